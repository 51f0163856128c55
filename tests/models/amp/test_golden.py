"""Our nets against what the realtime engine played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.golden import Golden, assert_plays, entries, entry, folder
from harness.net_contract import noise, randomise
from numpy.typing import NDArray

from nam_like.config.component import component
from nam_like.export.nam import NamExporter
from nam_like.models.amp.from_nam import init_from_nam, net_config_from_nam
from nam_like.models.base import Net

MANY = ("SlimmableContainer", "PackedWaveNet")
# Nets of adjustable width are played by the reader only.
MATCHING = [e for e in entries("match") if e.architecture not in MANY and "slimmable" not in e.name]
CONFIGURED = [e for e in MATCHING if e.config is not None]


def named(golden: Golden) -> str:
    return golden.name


def play(net: Net, x: NDArray[np.float32], dtype: torch.dtype = torch.float32) -> NDArray[Any]:
    with torch.no_grad():
        return net.to(dtype)(torch.from_numpy(x).to(dtype)).numpy()


@pytest.mark.parametrize("golden", MATCHING, ids=named)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_file_plays_as_in_the_engine(golden: Golden, dtype: torch.dtype) -> None:
    net = init_from_nam(golden.path).eval()
    for x, wanted in golden.recordings():
        assert_plays(play(net, x, dtype), wanted)


@pytest.mark.parametrize("golden", CONFIGURED, ids=named)
def test_the_training_config_builds_the_same_net(golden: Golden) -> None:
    """The spelling of the training side, with the weights of the file."""
    envelope = golden.envelope()
    net = component("net", {"name": golden.architecture, "config": golden.config}).build()
    read = init_from_nam(golden.path)
    if golden.architecture == "LSTM":
        net.import_weights(envelope["weights"])
    else:
        net.load_state_dict(read.state_dict())  # also slopes, which stand in the config of the file
    net.eval()
    assert net.receptive_field == read.receptive_field
    for x, wanted in golden.recordings():
        assert_plays(play(net, x), wanted)


@pytest.mark.parametrize("golden", MATCHING, ids=named)
def test_what_was_read_is_written_with_the_same_weights(golden: Golden, tmp_path: Path) -> None:
    envelope = golden.envelope()
    net = init_from_nam(golden.path).eval()
    exporter, path = NamExporter(), tmp_path / "model.nam"
    assert exporter.obstacles(net) == []
    exporter.write(net, path, {})
    written = json.loads(path.read_text(encoding="utf-8"))
    assert np.array_equal(np.float32(written["weights"]), np.float32(envelope["weights"]))
    assert written.get("sample_rate") == envelope.get("sample_rate")
    # Never a newer version than what was read, except that 0.5 files hold plain tanh nets only.
    plain = golden.name not in ("legacy_gated", "legacy_act_relu")
    assert written["version"] <= envelope["version"] or not plain or envelope["version"] < "0.5.4"
    exporter.verify(net, path, golden.recordings()[0][0] if golden.recordings() else noise(3000).numpy())
    again = init_from_nam(path)
    assert net_config_from_nam(written)[0] == written["architecture"]
    assert np.array_equal(again.export_weights(), np.float32(written["weights"]))


@pytest.mark.parametrize("name", ["wn_no_layer1x1", "wn_act_hardtanh_custom", "wn_film_l1x1post_plain"])
def test_files_that_play_unlike_they_were_trained_are_read_as_they_play(name: str) -> None:
    golden = entry(name)
    net = init_from_nam(golden.path).eval()
    for x, wanted in golden.recordings():
        assert_plays(play(net, x), wanted)


def test_a_convnet_is_read_with_the_slope_that_the_engine_assumes() -> None:
    golden = entry("convnet_prelu")
    net = init_from_nam(golden.path).eval()
    for x, wanted in golden.recordings():
        assert_plays(play(net, x), wanted)


@pytest.mark.parametrize("golden", [e for e in entries("mismatch") if e.architecture == "Linear"], ids=named)
def test_filters_are_read_and_written_in_the_engines_order(golden: Golden) -> None:
    net = init_from_nam(golden.path).eval()
    for x, wanted in golden.recordings():
        assert_plays(play(net, x), wanted)
    assert np.array_equal(net.export_weights(), np.float32(golden.envelope()["weights"]))


@pytest.mark.parametrize(
    "golden", [e for e in entries("mismatch", "core_rejects", "peer_error") if e.config], ids=named
)
def test_such_a_config_plays_as_it_trains_or_is_refused(golden: Golden, tmp_path: Path) -> None:
    """Where trainer and engine disagree, we write an equivalent, or say why not before training."""
    net = component("net", {"name": golden.architecture, "config": golden.config}).build()
    randomise(net, size=0.3).eval()
    exporter, path = NamExporter(), tmp_path / "model.nam"
    obstacles = exporter.obstacles(net)
    if golden.name in ("wn_act_softsigmoid", "wn_act_gelu"):
        wanted = {"wn_act_gelu": "'GELU'", "wn_act_softsigmoid": "'Softsigmoid'"}[golden.name]
        assert wanted in obstacles[0]
        assert "LeakyReLU" in obstacles[0]  # it names what there is instead
        return
    assert obstacles == []
    exporter.write(net, path, {})
    exporter.verify(net, path, noise(net.receptive_field + 2000).numpy())


def test_the_engines_largest_example() -> None:
    """Every feature at once; some layers have FiLMs that the engine leaves out."""
    try:
        golden = entry("ex_wavenet_a2_max")
    except StopIteration:
        pytest.skip(f"not in {folder()}")
    net = init_from_nam(golden.path).eval()
    for x, wanted in golden.recordings():
        assert_plays(play(net, x), wanted)
    assert NamExporter().obstacles(net) == []
