"""``nam_like``: the commands that neither train nor need a network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from nam_like.cli.main import COMMANDS
from nam_like.registry import kinds
from tests.cli.conftest import Done

Cli = Callable[..., Done]


def write_linear(path: Path, taps: list[float], **envelope: Any) -> Path:
    """A .nam file of a FIR filter; the tap of the newest sample comes first."""
    content = {
        "version": "0.5.4",
        "architecture": "Linear",
        "config": {"receptive_field": len(taps), "bias": False},
        "weights": taps,
        "sample_rate": 48000,
        "metadata": {"name": "A filter", "gear_make": None},
        **envelope,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", done.out, re.MULTILINE)
    assert "130  interrupted" in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(cli: Cli, name: str) -> None:
    done = cli(name, "--help")
    assert done.code == 0
    assert "examples:" in done.out
    assert "exit codes:" in done.out


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"nam_like \d+\.\d+\.\d+\n", cli("--version").out)
    assert cli("--version", full=True).out == cli("--version").out


def test_a_misspelt_command_is_recognised(cli: Cli) -> None:
    done = cli("trian")
    assert done.code == 2
    assert "did you mean 'train'?" in done.err


def test_no_command_shows_the_help_and_fails(cli: Cli) -> None:
    done = cli()
    assert done.code == 2
    assert "commands:" in done.out


# -- list and show


def test_list_shows_every_kind(cli: Cli) -> None:
    out = cli("list").out
    for kind in (*kinds(), "presets"):
        assert re.search(rf"^{kind}\b", out, re.MULTILINE)
    assert "every class of torch.optim" in out


def test_list_of_one_kind_singular_or_plural(cli: Cli) -> None:
    assert cli("list", "net").out == cli("list", "nets").out
    listed = json.loads(cli("list", "net", "--family", "amp", "--json").out)["net"]
    assert {"WaveNet", "LSTM", "ConvNet", "Linear"} <= {entry["name"] for entry in listed}
    assert all(entry["owner"] == "nam_like" for entry in listed)


def test_list_of_an_unknown_kind(cli: Cli) -> None:
    done = cli("list", "optimiser")
    assert done.code == 2
    assert "did you mean 'optimizer'?" in done.err


def test_list_shows_whose_component_it_is_and_what_failed(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nam_like.registry import METRICS

    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(
        "from nam_like.registry import METRICS\nMETRICS.register('Mine', dict, summary='my own')\n"
    )
    bad.write_text("raise OSError('no such thing')\n")
    monkeypatch.setenv("NAM_LIKE_EXTENSIONS", str(tmp_path))
    try:
        done = cli("list", "metric")
    finally:
        METRICS.unregister("Mine")
    assert re.search(rf"Mine +my own \[{re.escape(str(good))}\]", " ".join(done.out.split()))
    assert "FAILED: OSError: no such thing" in done.out
    assert "Traceback" in done.err
    assert "Mine" not in cli("list", "metric", "--no-extensions").out


def test_show_tells_options_with_defaults(cli: Cli) -> None:
    shown = json.loads(cli("show", "dataset", "paired", "--json").out)
    options = {option["name"]: option for option in shown["options"]}
    assert options["x_path"]["default"] == "required"
    assert options["require_input_pre_silence"]["default"] == "0.4"
    assert options["ny"]["takes"] == "integer > 0 or null"
    assert "delay" in cli("show", "dataset", "paired").out


def test_show_derives_the_options_of_a_class_of_torch(cli: Cli) -> None:
    shown = json.loads(cli("show", "optimizer", "torch.optim.SGD", "--json").out)
    options = {option["name"]: option for option in shown["options"]}
    assert options["momentum"]["takes"] == "number"
    assert options["nesterov"] == {
        "name": "nesterov",
        "takes": "true or false",
        "default": "false",
        "description": "",
    }
    assert "params" not in options


def test_show_follows_objects_inside(cli: Cli) -> None:
    shown = json.loads(cli("show", "net", "WaveNet", "--json").out)
    assert "dilations" in {option["name"] for option in shown["objects"]["LayerArray"]}


def test_show_of_an_unknown_name(cli: Cli) -> None:
    done = cli("show", "net", "WaveNte")
    assert done.code == 2
    assert "did you mean 'WaveNet'?" in done.err


# -- init and schema


def test_init_writes_three_files_that_keep_their_comments(cli: Cli, tmp_path: Path) -> None:
    from nam_like.config import jsonc

    folder = tmp_path / "amp"
    done = cli("init", "a1_standard", folder, "--x", 'in "1".wav', "--y", "out.wav")
    assert done.code == 0
    for name in ("data", "model", "learning"):
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        assert text.startswith("//")
        value = jsonc.loads(text)
        assert (folder / str(value["$schema"])).is_file()
    data = jsonc.loads((folder / "data.json").read_text(encoding="utf-8"))
    assert data["common"]["x_path"] == 'in "1".wav'
    assert data["common"]["y_path"] == "out.wav"
    again = cli("init", "a1_standard", folder)
    assert again.code == 2
    assert "data.json" in again.err
    assert cli("init", "amp/a1_standard", folder, "--force").code == 0


def test_init_names_manifests_where_they_belong(cli: Cli, tmp_path: Path) -> None:
    from nam_like.config.jsonc import loads

    names = ("--train", "a/t.json", "--validation", 'v"1".json')
    assert cli("init", "mask_rnn", tmp_path / "speech", *names).code == 0
    data = loads((tmp_path / "speech" / "data.json").read_text(encoding="utf-8"))
    assert data["train"]["manifest_filepath"] == "a/t.json"
    assert data["validation"]["manifest_filepath"] == 'v"1".json'
    done = cli("init", "a1_nano", tmp_path / "amp", "--train", "t.json")
    assert done.code == 2
    assert "to have 'manifest_filepath' in `train`, but it has none" in done.err
    assert not (tmp_path / "amp").exists()


def test_init_of_an_unknown_preset_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "a1_standart", tmp_path / "new")
    assert done.code == 2
    assert "did you mean 'a1_standard'?" in done.err
    assert not (tmp_path / "new").exists()


def test_init_takes_other_data_and_learning_presets(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "a1_nano", tmp_path, "--data", "two_pairs", "--learning", "cpu").code == 0
    assert "A quick capture" in (tmp_path / "learning.json").read_text(encoding="utf-8")
    done = cli("init", "a1_nano", tmp_path, "--learning", "cpuu", "--force")
    assert done.code == 2
    assert "did you mean 'cpu'?" in done.err


def test_the_files_of_every_preset_belong_together() -> None:
    from nam_like.config.run import load_run
    from nam_like.presets import find_preset, preset_names

    for name in preset_names():
        preset = find_preset(name)
        run = load_run(preset.data, preset.model, preset.learning, [])
        takes_knobs = getattr(run.model.net.build(), "num_conditions", 0) > 0
        kind = "parametric" if takes_knobs else "manifest" if name.startswith("enhancement") else "paired"
        assert {member.name for member in run.data.train} == {kind}, name
        assert run.learning.export is None or not takes_knobs


def test_every_preset_can_be_shown(cli: Cli) -> None:
    from nam_like.presets import find_preset, preset_names

    for name in preset_names():
        assert find_preset(name).summary
        shown = cli("show", name).out
        assert shown.count("// data.json, from") == shown.count("// model.json, from") == 1


def test_schema_prints_and_writes_what_is_shipped(cli: Cli, tmp_path: Path) -> None:
    printed = json.loads(cli("schema", "learning").out)
    assert cli("schema", "--out", tmp_path).code == 0
    written = json.loads((tmp_path / "learning.schema.json").read_text(encoding="utf-8"))
    assert printed == written
    assert "trainer" in printed["properties"]
    assert cli("schema").code == 2


# -- audio and .nam files


def test_signal_is_what_its_table_says(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "dry.wav"
    facts = json.loads(cli("signal", path, "--length", "short", "--rate", 16000, "--json").out)
    samples, rate = soundfile.read(path)
    assert rate == 16000
    assert facts["sections"][-1]["stop"] == len(samples)
    assert np.flatnonzero(samples)[0] == facts["blips"][0]
    region = facts["validation"]
    assert np.any(samples[region["start_samples"] : region["stop_samples"]])


def test_simulate_plays_and_refuses(cli: Cli, tmp_path: Path) -> None:
    dry, wet = tmp_path / "dry.wav", tmp_path / "wet.wav"
    soundfile.write(dry, 0.5 * np.sin(np.arange(8000) / 20), 48000, subtype="PCM_24")
    assert cli("simulate", dry, wet, "--device", "pedal", "--knob", "drive=0.9").code == 0
    loud = soundfile.read(wet)[0]
    assert len(loud) == 8000
    assert (
        cli("simulate", dry, wet, "--device", "pedal", "--knob", "drive=0.9", "--knob", "level=0").code == 0
    )
    assert not np.any(soundfile.read(wet)[0])
    for wrong in (
        ["--device", "fuzz"],
        ["--knob", "drive=loud"],
        ["--knob", "presence=0.5"],
        ["--knob", "gain=2"],
    ):
        done = cli("simulate", dry, wet, *wrong)
        assert done.code == 2
        assert done.err.startswith("error: expected")


def test_info_render_and_eval_of_a_filter(cli: Cli, tmp_path: Path) -> None:
    model = write_linear(tmp_path / "model.nam", [0.5, 0.0])  # y[n] = x[n] / 2
    dry, wet, other = tmp_path / "dry.wav", tmp_path / "wet.wav", tmp_path / "other.wav"
    x = 0.5 * np.sin(np.arange(4800) / 20)
    soundfile.write(dry, x, 48000, subtype="FLOAT")

    facts = json.loads(cli("info", model, "--json").out)
    assert (facts["architecture"], facts["num_weights"], facts["receptive_field"]) == ("Linear", 2, 2)
    shown = cli("info", model).out
    assert "A filter" in shown
    assert "gear_make" not in shown  # it says nothing

    done = cli("render", model, dry, wet)
    assert done.code == 0
    np.testing.assert_allclose(soundfile.read(wet)[0], 0.5 * x, atol=1e-6)

    soundfile.write(other, np.concatenate([np.zeros(3), 0.45 * x[:-3]]), 48000, subtype="FLOAT")
    result = json.loads(cli("eval", model, dry, other, "--delay", 3, "--start", 100, "--json").out)
    assert result["esr"] == pytest.approx((0.05 / 0.45) ** 2, rel=1e-4)
    assert result["samples"] == 4800 - 3 - 100
    early = json.loads(cli("eval", model, wet, dry, "--json").out)
    assert early["esr"] == pytest.approx(0.75**2, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "gone.nam", "x.wav", "y.wav"], "gone.nam"),
        (["info", "broken.nam"], "broken.nam"),
        (["render", "model.nam", "x.wav", "y.flac"], ".wav"),
        (["render", "model.nam", "x.wav", "y.wav", "--slim", "0.5"], "one size only"),
        (["eval", "model.nam", "x.wav", "silent.wav"], "silent"),
        (["eval", "model.nam", "x.wav", "x.wav", "--start", "9999"], "9999"),
        (["eval", "model.nam", "slow.wav", "slow.wav"], "sample rate"),
    ],
)
def test_bad_input_is_explained_without_a_traceback(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_linear(tmp_path / "model.nam", [1.0, 0.0])
    (tmp_path / "broken.nam").write_text("{", encoding="utf-8")
    soundfile.write("x.wav", 0.1 * np.ones(100), 48000, subtype="PCM_16")
    soundfile.write("slow.wav", 0.1 * np.ones(100), 16000, subtype="PCM_16")
    soundfile.write("silent.wav", np.zeros(100), 48000, subtype="PCM_16")
    before = set(tmp_path.iterdir())
    done = cli(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert set(tmp_path.iterdir()) == before


def test_regenerated_schemas_know_extensions(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nam_like.registry import LOSSES

    extension = tmp_path / "extra.py"
    extension.write_text(
        "from nam_like.registry import LOSSES\n"
        "@LOSSES.register('ExtraLoss')\ndef extra(sharpness: float = 1.0):\n    return abs\n"
    )
    monkeypatch.setenv("NAM_LIKE_EXTENSIONS", str(extension))
    try:
        assert cli("schema", "--regenerate", "--out", tmp_path / "all").code == 0
        assert "ExtraLoss" in cli("schema", "model", "--regenerate").out
        assert "ExtraLoss" not in cli("schema", "model", "--regenerate", "--no-extensions").out
    finally:
        LOSSES.unregister("ExtraLoss")
    assert "sharpness" in (tmp_path / "all" / "model.schema.json").read_text(encoding="utf-8")
    assert "ExtraLoss" not in cli("schema", "model").out
