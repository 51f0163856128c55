"""The `.nam` writer: spelling, versions, numbers, refusals, and the proof that a file plays as its net."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.golden import entry
from harness.net_contract import noise, randomise

from nam_like.config.component import component
from nam_like.errors import ExportError, NamFileError
from nam_like.export.base import Exporter, compare
from nam_like.export.nam import NamExporter, envelope
from nam_like.export.nam_read import load_nam
from nam_like.models.amp.from_nam import init_from_nam, net_config_from_nam
from nam_like.models.base import Net

ARRAY: dict[str, Any] = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 3,
    "kernel_size": 2,
    "dilations": [1, 3],
    "activation": "Tanh",
    "head": {"out_channels": 1, "bias": True},
}
A2_KERNELS = [6] * 14 + [15, 15] + [6] * 7
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]
FILM_OFF = {"active": False, "shift": True, "groups": 1}


def make(kind: str = "WaveNet", **config: Any) -> Net:
    return randomise(component("net", {"name": kind, "config": config}).build()).eval()


def wavenet(**changes: Any) -> Net:
    return make(layers_configs=[{**ARRAY, **changes}], head_scale=0.5)


def version(net: Net) -> str:
    found: str = envelope(net, {})["version"]
    return found


def test_it_is_an_exporter() -> None:
    exporter = component("exporter", "nam").build()
    assert isinstance(exporter, NamExporter)
    assert isinstance(exporter, Exporter)
    assert (exporter.name, exporter.suffix) == ("nam", ".nam")


def test_envelope() -> None:
    net = wavenet()
    content = envelope(net, {"loudness": -20.0})
    assert list(content) == ["version", "metadata", "architecture", "config", "weights"]  # no rate, no key
    net.sample_rate = 48_000.0
    content = envelope(net, {})
    assert list(content)[-1] == "sample_rate"
    assert isinstance(content["sample_rate"], int)
    net.sample_rate = 44_056.2
    assert envelope(net, {})["sample_rate"] == 44_056.2


def test_a_plain_net_is_written_as_the_first_files_were() -> None:
    net = make(
        layers_configs=[{**ARRAY, "head": {"out_channels": 3}}, {**ARRAY, "input_size": 3}], head_scale=0.02
    )
    content = envelope(net, {})
    assert content["version"] == "0.5.4"
    first = {
        "input_size": 1,
        "condition_size": 1,
        "head_size": 3,
        "channels": 3,
        "kernel_size": 2,
        "dilations": [1, 3],
        "activation": "Tanh",
        "gated": False,
        "head_bias": False,
    }
    second = {**first, "input_size": 3, "head_size": 1, "head_bias": True}
    assert content["config"] == {"layers": [first, second], "head": None, "head_scale": 0.02}


@pytest.mark.parametrize("name", ["legacy_a1_nano", "legacy_lstm_1x8"])
def test_an_old_file_is_written_again_with_the_same_config(name: str) -> None:
    """Key for key, in the same order, down to the last digit that a float32 has."""
    stored = entry(name).envelope()
    net = init_from_nam(stored)
    written = envelope(net, stored["metadata"])
    if "head_scale" in stored["config"]:
        stored["config"]["head_scale"] = float(str(np.float32(stored["config"]["head_scale"])))
    assert json.dumps(written["config"]) == json.dumps(stored["config"])
    assert [key for key in stored if key in written] == list(written)
    assert np.array_equal(np.float32(written["weights"]), np.float32(stored["weights"]))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "0.5.4"),
        ({"condition_size": 0}, "0.5.4"),
        ({"activation": "ReLU"}, "0.6.0"),  # players of 0.5 files take tanh for granted
        ({"gated": True}, "0.6.0"),
        ({"activation": {"name": "Hardtanh", "max_val": 0.5}}, "0.6.0"),
        ({"bottleneck": 2}, "0.6.0"),
        ({"groups_input": 3}, "0.6.0"),
        ({"head1x1": {"active": True, "out_channels": 2}}, "0.6.0"),
        ({"layer1x1": {"active": False}}, "0.6.0"),
        ({"conv_pre_film": {}}, "0.6.0"),
        ({"kernel_size": [2, 3]}, "0.7.0"),
        ({"kernel_size": [3, 3]}, "0.5.4"),
        ({"head": {"out_channels": 1, "kernel_size": 2}}, "0.7.0"),
    ],
    ids=str,
)
def test_the_oldest_version_that_expresses_the_net(
    changes: dict[str, Any], wanted: str, tmp_path: Path
) -> None:
    net, path = wavenet(**changes), tmp_path / "model.nam"
    assert version(net) == wanted
    NamExporter().write(net, path, {})
    NamExporter().verify(net, path, noise(500).numpy())


def test_versions_of_the_other_architectures() -> None:
    assert version(make("LSTM", hidden_size=3)) == "0.5.4"
    assert version(make("Linear", receptive_field=3)) == "0.5.4"
    assert version(make("ConvNet", channels=2, dilations=[1, 2])) == "0.5.4"
    assert version(make("ConvNet", channels=2, dilations=[1, 2], activation="PReLU")) == "0.6.0"
    head = {"channels": 2, "activation": "Tanh", "num_layers": 1}
    assert version(make(layers_configs=[{**ARRAY, "head": {"out_channels": 2}}], head=head)) == "0.7.0"


@pytest.mark.parametrize("channels", [3, 8])
def test_the_net_with_a_fast_path_is_spelt_as_the_engine_compares_it(channels: int) -> None:
    array = {
        "input_size": 1,
        "condition_size": 1,
        "channels": channels,
        "kernel_sizes": A2_KERNELS,
        "dilations": A2_DILATIONS,
        "activation": "LeakyReLU",
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
    }
    content = envelope(make(layers_configs=[array], head_scale=0.01), {})
    assert content["version"] == "0.7.0"
    films = [
        "conv_pre",
        "conv_post",
        "input_mixin_pre",
        "input_mixin_post",
        "activation_pre",
        "activation_post",
    ]
    written = {
        "input_size": 1,
        "condition_size": 1,
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
        "channels": channels,
        "kernel_sizes": A2_KERNELS,
        "dilations": A2_DILATIONS,
        "activation": [{"type": "LeakyReLU", "negative_slope": 0.01}] * 23,
        "bottleneck": channels,
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        **{f"{name}_film": FILM_OFF for name in [*films, "layer1x1_post", "head1x1_post"]},
        "gating_mode": ["none"] * 23,
        "secondary_activation": [None] * 23,
        "slimmable": None,
    }
    assert content["config"] == {"layers": [written], "head": None, "head_scale": 0.01}
    assert len(content["weights"]) == {3: 1871, 8: 12_146}[channels]


def test_a_gate_in_the_newest_spelling() -> None:
    activation = [{"name": "PairBlend", "primary": "PReLU", "secondary": "Softsign"}, "ReLU"]
    (array,) = envelope(wavenet(activation=activation, kernel_size=[2, 3]), {})["config"]["layers"]
    assert array["gating_mode"] == ["blended", "none"]
    assert array["secondary_activation"] == [{"type": "Softsign"}, None]
    # In a pair the engine reads one slope per channel.
    assert len(array["activation"][0]["negative_slopes"]) == 3
    assert array["activation"][1] == {"type": "ReLU"}


def test_the_post_head() -> None:
    last = {**ARRAY, "head": {"out_channels": 2}}
    head = {"channels": 4, "activation": {"name": "LeakyReLU", "negative_slope": 0.2}, "kernel_sizes": [3, 1]}
    content = envelope(make(layers_configs=[last], head=head), {})
    assert content["config"]["head"] == {
        "channels": 4,
        "activation": {"type": "LeakyReLU", "negative_slope": 0.2},
        "out_channels": 1,
        "kernel_sizes": [3, 1],
    }


def test_the_condition_net_has_its_own_envelope() -> None:
    inner = {"layers_configs": [{**ARRAY, "head": {"out_channels": 2}}]}
    net = make(
        layers_configs=[{**ARRAY, "condition_size": 2}],
        condition_dsp={"name": "WaveNet", "config": inner},
        sample_rate=44_100,
    )
    content = envelope(net, {})
    dsp = content["config"]["condition_dsp"]
    assert content["version"] == "0.6.0"
    assert (dsp["architecture"], dsp["version"], dsp["sample_rate"]) == ("WaveNet", "0.5.4", 44_100)
    assert len(dsp["weights"]) == net.condition_dsp.export_weights().size


def test_weights_are_the_shortest_decimals() -> None:
    net = make("Linear", receptive_field=3)
    with torch.no_grad():
        net.conv.weight.copy_(torch.tensor([[[0.1, 0.2, -1e-9]]]))
    assert json.dumps(envelope(net, {})["weights"]) == "[-1e-09, 0.2, 0.1]"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_is_written_that_is_not_finite(value: float, tmp_path: Path) -> None:
    net, path = wavenet(), tmp_path / "model.nam"
    with pytest.raises(ExportError, match=r"infinity in `metadata\.a\.1`"):
        NamExporter().write(net, path, {"a": [1.0, value]})
    with torch.no_grad():
        net.arrays[0].rechannel.weight[1] = value
    with pytest.raises(ExportError, match=r"expected finite weights, but got (nan|inf) \(weight 1\)"):
        NamExporter().write(net, path, {})
    assert list(tmp_path.iterdir()) == []


def test_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "model.nam"
    NamExporter().write(wavenet(), path, {"name": "Añejo"})
    text = path.read_text(encoding="utf-8")
    assert "\n" not in text
    assert json.loads(text)["metadata"] == {"name": "Añejo"}


def test_obstacles_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    net = wavenet(activation=["Tanh", "GELU"])
    (reason,) = NamExporter().obstacles(net)
    assert reason.startswith("layers_configs[0].activation: the realtime engine has no activation 'GELU'")
    with pytest.raises(ExportError, match="no activation 'GELU'"):
        NamExporter().write(net, tmp_path / "model.nam", {})
    assert list(tmp_path.iterdir()) == []
    gate = wavenet(gated=True, layer1x1_post_film={})
    (reason,) = NamExporter().obstacles(gate)
    assert "layer1x1_post_film" in reason
    inner = {"layers_configs": [{**ARRAY, "head": {"out_channels": 2}, "activation": "Mish"}]}
    outer = [{**ARRAY, "condition_size": 2}]
    net = make(layers_configs=outer, condition_dsp={"name": "WaveNet", "config": inner})
    assert NamExporter().obstacles(net)[0].startswith("condition_dsp.config.layers_configs[0].activation")


# -- verification ----------------------------------------------------------------------------------------


def exported(tmp_path: Path, net: Net) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "model.nam"
    NamExporter().write(net, path, {})
    return path, json.loads(path.read_text())


def test_verification_says_how_far_both_are_apart(tmp_path: Path) -> None:
    net = wavenet()
    path, _ = exported(tmp_path, net)
    result = NamExporter().verify(net, path, noise(3000).numpy())
    assert result.max_abs < 1e-6
    assert result.esr < 1e-11
    assert result.peak > 0.01


def test_a_file_that_plays_differently_is_refused(tmp_path: Path) -> None:
    net = wavenet()
    path, content = exported(tmp_path, net)
    content["weights"][-2] += 1e-4  # the last bias
    path.write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"expected the file to play as the net .* but got a difference of"):
        NamExporter().verify(net, path, noise(3000).numpy())


def test_a_wrong_start_is_noticed(tmp_path: Path) -> None:
    """The comparison begins at the first sample."""
    net = make("LSTM", hidden_size=3)
    path, _ = exported(tmp_path, net)
    other = copy.deepcopy(net)
    other.export_silence = 0.0
    with torch.no_grad():
        other.initial_cell.add_(30.0)
        for parameter in other.core.parameters():
            if parameter.ndim == 1:
                parameter[3:6] = 20.0  # a forget gate that never forgets
    with pytest.raises(ExportError):
        NamExporter().verify(other, path, np.zeros(10, dtype=np.float32))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    net = wavenet()
    path, content = exported(tmp_path, net)
    content["weights"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(ExportError, match="cannot be read back"):
        NamExporter().verify(net, path, noise(100).numpy())


def test_compare() -> None:
    one = np.array([0.0, 1.0], dtype=np.float32)
    assert compare(one, one).esr == 0.0
    assert compare(one, one[:1]).max_abs == float("inf")
    assert compare(np.array([np.nan, 1.0], dtype=np.float32), one).max_abs == float("inf")
    silent = np.zeros(2, dtype=np.float32)
    assert compare(silent, silent).esr == 0.0
    assert compare(one, silent).esr == float("inf")
    assert compare(2 * one, one).esr == 1.0


def test_knobs_are_verified_at_the_exported_setting(tmp_path: Path) -> None:
    net = make(
        "ConditionedWaveNet", num_knobs=1, export_knobs=[0.3], layers_configs=[{**ARRAY, "condition_size": 2}]
    )
    path, _ = exported(tmp_path, net)
    NamExporter().verify(net, path, noise(500).numpy())
    net.export_knobs = (0.4,)
    with pytest.raises(ExportError):
        NamExporter().verify(net, path, noise(500).numpy())


# -- reading into nets -----------------------------------------------------------------------------------


def test_what_cannot_be_read(tmp_path: Path) -> None:
    good = envelope(wavenet(), {})
    for changes, text in [
        ({"version": "0.8.0"}, "expected a file version from 0.5.0 to 0.7.0, but got 0.8.0"),
        ({"version": "0.4.9"}, "but got 0.4.9"),
        ({"version": "1"}, "but got 1"),
        (
            {"architecture": "CatLSTM"},
            "expected the architecture WaveNet, LSTM, ConvNet, Linear, but got CatLSTM",
        ),
        ({"architecture": "SlimmableContainer"}, "take one of its submodels"),
        ({"weights": good["weights"][:-1]}, "expected at least"),
        ({"weights": [*good["weights"], 1.0]}, r"expected \d+ weights, but got"),
        ({"config": {"layers": [{"channels": 3}], "head_scale": 1.0}}, r"config\.layers\.0\.dilations"),
        ({"config": {}}, "expected the config of a WaveNet to have a list of 'layers'"),
    ]:
        with pytest.raises(NamFileError, match=text):
            init_from_nam({**good, **changes})
    with pytest.raises(NamFileError, match="expected the file to have 'weights'"):
        init_from_nam({key: value for key, value in good.items() if key != "weights"})
    path = tmp_path / "model.nam"
    with pytest.raises(NamFileError, match="cannot be read"):
        init_from_nam(path)
    for text, message in [
        ("{", r"expected a \.nam file \(JSON\)"),
        ("[]", "expected a JSON object, but got list"),
    ]:
        path.write_text(text)
        with pytest.raises(NamFileError, match=message):
            init_from_nam(path)


def test_the_config_of_a_file_builds_its_net() -> None:
    stored = entry("wn_act_prelu_shared").envelope()
    name, config = net_config_from_nam(stored)
    net = component("net", {"name": name, "config": config}).build()
    net.import_weights(stored["weights"])
    net.eval()
    x = noise(2000).numpy()
    with torch.no_grad():
        np.testing.assert_allclose(net(torch.from_numpy(x)).numpy(), load_nam(stored).process(x), atol=3e-6)
    assert net.sample_rate == 48_000


def test_a_read_net_can_be_trained_on() -> None:
    net = init_from_nam(entry("wn_gated").path).train()
    net(noise(1, 600), pad_start=False).square().mean().backward()
    assert all(
        parameter.grad is not None
        for name, parameter in net.named_parameters()
        if not name.startswith("arrays.1.layers.5.layer1x1")  # nothing reads the last residual
    )
