import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from nam_like.errors import NamFileError
from nam_like.export.nam_read import load_nam

ROOT = Path(__file__).resolve().parents[3]


def load_script():
    spec = importlib.util.spec_from_file_location("golden_table", ROOT / "bin" / "golden_table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["golden_table"] = module
    spec.loader.exec_module(module)
    return module


golden = load_script()
SMALL = golden.SMALL_SET
LARGE = golden.large_set()


def cases(folder):
    return [pytest.param(*entry, id=entry[0]) for entry in golden.entries(folder)] if folder else []


def check(folder, name, status):
    row = golden.compare(folder, name, status)
    if status == "core_rejects":
        assert row.refused
        return
    assert not row.refused
    assert row.difference <= 3e-6
    assert row.esr <= 1e-10
    if not name.startswith("legacy_lstm"):  # one of those has no namesake in the set
        assert row.runs > 0


@pytest.mark.parametrize(("name", "status"), cases(SMALL))
def test_plays_as_the_engine(name, status):
    check(SMALL, name, status)


@pytest.mark.parametrize(("name", "status"), cases(LARGE))
def test_plays_the_whole_set_as_the_engine(name, status):
    check(LARGE, name, status)


def test_the_small_set_holds_every_kind():
    statuses = {status for _, status in golden.entries(SMALL)}
    assert statuses == {"match", "mismatch", "core_rejects"}
    assert not [name for name, _ in golden.entries(SMALL) if name.startswith("ex_")]
    assert np.abs(np.load(SMALL / "inputs" / "pluck.npy")).max() > 0.01


def test_manifest_facts_agree():
    for model in json.loads((SMALL / "manifest.json").read_text("utf-8"))["models"]:
        if model["status"] == "core_rejects" or not isinstance(model.get("n_weights"), int):
            continue
        loaded = load_nam(SMALL / model["name"] / "model.nam")
        assert loaded.num_weights + _condition_excess(model) == model["n_weights"]
        if model["architecture"] != "LSTM":
            assert loaded.receptive_field == model["receptive_field"]


def _condition_excess(model):
    # The manifest counts the weights of the outer list only.
    condition = json.loads((SMALL / model["name"] / "model.nam").read_text("utf-8"))["config"].get(
        "condition_dsp"
    )
    return -len(condition["weights"]) if condition else 0


def test_linear_reads_the_newest_tap_first():
    """The engine's order is an impulse response: an impulse in gives the weights out."""
    path = SMALL / "linear_bias" / "model.nam"
    weights = np.array(json.loads(path.read_text("utf-8"))["weights"])
    impulse = np.zeros(200, dtype=np.float32)
    impulse[0] = 1.0
    np.testing.assert_allclose(load_nam(path).process(impulse), weights[:-1] + weights[-1], atol=1e-7)
    reversed_path = SMALL / "linear_bias" / "model_taps_reversed.nam"
    expected = weights[:-1][::-1] + weights[-1]
    np.testing.assert_allclose(load_nam(reversed_path).process(impulse), expected, atol=1e-7)


def test_a_newer_head_scale_in_the_config_is_ignored():
    document = json.loads((SMALL / "wn_a1_nano" / "model.nam").read_text("utf-8"))
    x = np.load(SMALL / "inputs" / "pluck.npy")
    expected = load_nam(document).process(x)
    document["config"]["head_scale"] = 123.0
    np.testing.assert_array_equal(load_nam(document).process(x), expected)
    document["weights"][-1] *= 2
    np.testing.assert_allclose(load_nam(document).process(x), 2 * expected, rtol=1e-6)


def test_without_prewarming_a_convolution_starts_from_zeros():
    path = SMALL / "convnet_bn" / "model.nam"
    x = np.load(SMALL / "inputs" / "pluck.npy")
    model = load_nam(path)
    cold, warm = model.process(x, prewarm=False), model.process(x)
    settled = model.receptive_field - 1
    np.testing.assert_array_equal(cold[settled:], warm[settled:])
    assert np.abs(cold[:settled] - warm[:settled]).max() > 1e-3


def test_table_prints_markdown(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["golden_table.py", str(SMALL)])
    assert golden.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "|-|-|-|-|-|-|"
    assert len([line for line in lines if line.startswith("| ")]) == len(list(golden.entries(SMALL))) + 1


def test_refusals_name_the_reason():
    reasons = {
        "wn_act_gelu": "unknown activation .* got 'GELU'",
        "wn_bottleneck_two_arrays": r"channels to be the head size of the array before \(6\), but got 8",
        "wn_post_head_actdict": "config.head.activation.type",
        "convnet_softsign": "_Softsign",
    }
    for name, reason in reasons.items():
        with pytest.raises(NamFileError, match=reason):
            load_nam(SMALL / name / "model.nam")
