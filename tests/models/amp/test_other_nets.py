"""ConvNet, Linear, Sequential, ConditionedWaveNet: what the contract does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness.net_contract import noise, randomise
from pydantic import ValidationError
from scipy.signal import lfilter

from nam_like.config.component import component
from nam_like.errors import HandshakeError
from nam_like.models.amp.conditioned import ConditionedWaveNet
from nam_like.models.amp.convnet import ConvNet, as_wavenet
from nam_like.models.amp.linear import Linear
from nam_like.models.amp.sequential import Sequential, merged
from nam_like.models.amp.wavenet import WaveNet
from nam_like.models.base import Net

ARRAY: dict[str, Any] = {
    "channels": 3,
    "kernel_size": 2,
    "dilations": [1, 3],
    "activation": "Tanh",
    "head": {"out_channels": 1, "bias": True},
}


def make(kind: str, **config: Any) -> Net:
    return randomise(component("net", {"name": kind, "config": config}).build()).eval()


def assert_alike(one: Net, other: Net, *conditions: torch.Tensor) -> None:
    x = noise(1, 400).double()
    with torch.no_grad():
        wanted = one.double()(x, *(c.double() for c in conditions))
        torch.testing.assert_close(other.double()(x), wanted, atol=1e-7, rtol=0)


def problems(kind: str, **config: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        component("net", {"name": kind, "config": config})
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


# -- Linear ----------------------------------------------------------------------------------------------


def test_linear_is_a_filter_and_exports_its_impulse_response() -> None:
    net = make("Linear", receptive_field=5, bias=True)
    weights = net.export_weights()
    x = noise(1, 50)
    with torch.no_grad():
        np.testing.assert_allclose(
            net(x)[0].numpy(), lfilter(weights[:5], [1.0], x[0].numpy()) + weights[5], atol=1e-6
        )


# -- ConvNet ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("activation", ["PReLU", "ReLU", {"name": "Hardtanh", "min_val": -0.2}])
def test_a_convnet_as_a_wavenet(batchnorm: bool, activation: Any) -> None:
    net = make("ConvNet", channels=3, dilations=[1, 2, 5], batchnorm=batchnorm, activation=activation)
    assert isinstance(net, ConvNet)
    other = as_wavenet(net)
    assert other.receptive_field == net.receptive_field
    assert_alike(net, other)


@pytest.mark.parametrize(
    ("activation", "architecture"),
    [
        ("Tanh", "ConvNet"),
        ("Softsign", "ConvNet"),
        ("LeakyReLU", "ConvNet"),
        ("LeakyHardtanh", "ConvNet"),
        ({"name": "LeakyReLU", "negative_slope": 0.2}, "WaveNet"),
        ({"name": "Hardtanh", "max_val": 0.5}, "WaveNet"),
        ("PReLU", "WaveNet"),
        ("ReLU6", "WaveNet"),
    ],
)
def test_a_convnet_keeps_its_name_where_the_engine_knows_the_activation(
    activation: Any, architecture: str
) -> None:
    net = make("ConvNet", channels=2, dilations=[1, 2], activation=activation)
    assert net.engine_net().architecture == architecture
    assert net.export_obstacles("nam") == []


def test_convnet_mistakes() -> None:
    net = make("ConvNet", channels=2, dilations=[1], activation="GELU")
    assert "no activation 'GELU'" in net.export_obstacles("nam")[0]
    assert list(problems("ConvNet", train_strategy="stride")) == ["config.train_strategy"]
    assert problems("ConvNet", ir_filename="ir.wav") == {
        "config.ir_filename": "expected null (put a Linear behind the ConvNet in a Sequential instead), "
        'but got the string "ir.wav"'
    }
    assert list(problems("ConvNet", dilations=[])) == ["config.dilations"]
    assert list(problems("ConvNet", activation={"name": "PReLU", "num_parameters": 5})) == [
        "config.activation"
    ]
    assert list(problems("ConvNet", activation="PairBlend")) == ["config.activation"]


def test_writing_a_convnet_leaves_its_statistics_alone() -> None:
    net = make("ConvNet", channels=2, dilations=[1, 2], batchnorm=True)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.export_weights()
    net(noise(1, 100))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


# -- Sequential ------------------------------------------------------------------------------------------


def sequential(*models: tuple[str, dict[str, Any]]) -> Sequential:
    net = make("Sequential", models=[{"name": name, "config": config} for name, config in models])
    assert isinstance(net, Sequential)
    return net


FIR = ("Linear", {"receptive_field": 6, "bias": True})
PLAIN_FIR = ("Linear", {"receptive_field": 3})
WAVE = ("WaveNet", {"layers_configs": [ARRAY], "head_scale": 0.4})
HEADED = (
    "WaveNet",
    {
        "layers_configs": [{**ARRAY, "head": {"out_channels": 2}}],
        "head": {"channels": 2, "activation": "ReLU", "kernel_sizes": [1, 3]},
    },
)
NO_BIAS = ("WaveNet", {"layers_configs": [{**ARRAY, "head": {"out_channels": 1, "kernel_size": 2}}]})
CONV = ("ConvNet", {"channels": 2, "dilations": [1, 2]})


@pytest.mark.parametrize(
    ("models", "architecture"),
    [
        ([FIR, PLAIN_FIR, FIR], "Linear"),
        ([PLAIN_FIR, PLAIN_FIR], "Linear"),
        ([WAVE, FIR], "WaveNet"),
        ([HEADED, FIR], "WaveNet"),
        ([NO_BIAS, FIR], "WaveNet"),
        ([NO_BIAS, PLAIN_FIR], "WaveNet"),
        ([CONV, FIR, PLAIN_FIR], "WaveNet"),
        ([("Sequential", {"models": [{"name": "Linear", "config": PLAIN_FIR[1]}]}), PLAIN_FIR], "Linear"),
        ([WAVE], "WaveNet"),
    ],
    ids=str,
)
def test_what_can_be_merged_is_exported(models: list[Any], architecture: str) -> None:
    net = sequential(*models)
    one = net.engine_net()
    assert one.architecture == architecture
    assert one.receptive_field == net.receptive_field
    assert_alike(net, one)


def test_a_silenced_net_leaves_the_constant_of_the_filter() -> None:
    net = sequential(WAVE, FIR)
    net.nets()[0].scale_output(0.0)
    assert_alike(net, net.engine_net())


@pytest.mark.parametrize("models", [[PLAIN_FIR, WAVE], [WAVE, WAVE], [("LSTM", {"hidden_size": 2}), FIR]])
def test_what_cannot_be_merged_is_refused_as_nam(models: list[Any]) -> None:
    net = sequential(*models)
    assert merged(net.nets()) is None
    (reason,) = net.export_obstacles("nam")
    assert "the realtime engine has no Sequential" in reason
    with pytest.raises(NotImplementedError, match="no Sequential"):
        net.export_config()
    assert net.export_obstacles("torchscript") == []


def test_sequential_mistakes() -> None:
    linear = {"name": "Linear", "config": {"receptive_field": 3}}
    assert list(problems("Sequential", models=[])) == ["config.models"]
    lstm = {"name": "LSTM", "config": {"hidden_size": 2, "input_size": 2}}
    assert list(problems("Sequential", models=[linear, lstm])) == ["config.models.1"]
    rated = [
        {"name": "Linear", "config": {"receptive_field": 3, "sample_rate": rate}} for rate in (48_000, 44_100)
    ]
    assert list(problems("Sequential", models=rated)) == ["config.models.1.config.sample_rate"]
    assert make("Sequential", models=rated[:1]).sample_rate == 48_000
    gelu = ("ConvNet", {"channels": 2, "dilations": [1], "activation": "GELU"})
    assert "models[0]: activation" in sequential(gelu, FIR).export_obstacles("nam")[0]


# -- ConditionedWaveNet ----------------------------------------------------------------------------------

FILMS = [
    {},
    {"conv_post_film": {"shift": False}},
    {"input_mixin_post_film": {"shift": False}},
    {"input_mixin_post_film": {}, "conv_post_film": {}},
    {"conv_pre_film": {}, "activation_pre_film": {}, "activation_post_film": {"shift": False}},
    {"layer1x1_post_film": {}, "head1x1_post_film": {"groups": 3}},
    {"input_mixin_pre_film": {}},
]


def conditioned(film: dict[str, Any] | None = None, **config: Any) -> ConditionedWaveNet:
    head1x1 = {"active": True, "out_channels": 3}
    first = {**ARRAY, "head": {"out_channels": 3}, "head1x1": head1x1, "film_params": film or {}}
    second = {**ARRAY, "condition_size": 0}
    net = make("ConditionedWaveNet", num_knobs=2, **{"layers_configs": [first, second], **config})
    assert isinstance(net, ConditionedWaveNet)
    return net


@pytest.mark.parametrize("film", FILMS, ids=str)
def test_a_frozen_net_plays_as_at_that_setting(film: dict[str, Any]) -> None:
    net = conditioned(film)
    knobs = torch.tensor([0.3, -0.8])
    frozen = net.frozen(knobs)
    assert type(frozen) is WaveNet
    assert frozen.num_conditions == 0
    assert_alike(net, frozen, knobs[None])
    assert_alike(net, net.double().frozen(knobs).engine_net(), knobs[None])


def test_frozen_groups_and_condition_net() -> None:
    inner = {"layers_configs": [{**ARRAY, "head": {"out_channels": 2}}]}
    arrays = [{**ARRAY, "channels": 4, "groups_input_mixin": 2}]
    dsp = {"name": "WaveNet", "config": inner}
    net = conditioned(layers_configs=arrays, condition_dsp=dsp)
    knobs = torch.tensor([0.3, -0.8])
    assert_alike(net, net.frozen(knobs), knobs[None])
    film = [{**arrays[0], "film_params": {"input_mixin_pre_film": {}}}]
    net = conditioned(layers_configs=film, condition_dsp=dsp, export_knobs=[0.0, 0.0])
    assert "knobs cannot be frozen" in net.export_obstacles("nam")[0]


def test_knobs_may_move_in_time() -> None:
    net = conditioned()
    x, field = noise(1, 60), net.receptive_field
    first, second = torch.tensor([[0.1, 0.2]]), torch.tensor([[-0.9, 0.7]])
    moving = torch.cat([first[..., None].expand(-1, -1, 30), second[..., None].expand(-1, -1, 30)], dim=2)
    with torch.no_grad():
        y = net(x, moving)
        torch.testing.assert_close(y[:, :30], net(x, first)[:, :30])
        torch.testing.assert_close(y[:, 30 + field :], net(x, second)[:, 30 + field :])
        assert not torch.allclose(y[:, 30:], net(x, first)[:, 30:])


def test_knobs_are_checked() -> None:
    net = conditioned()
    with pytest.raises(
        ValueError, match=r"expected knobs of shape \(B, 2\) or \(B, 2, L\), but got \(1, 3\)"
    ):
        net(noise(1, 50), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="expected 1 condition tensors"):
        net(noise(1, 50))
    with pytest.raises(ValueError, match="expected 2 knob values, but got 3"):
        net.frozen([1.0, 2.0, 3.0])
    wide = {**ARRAY, "condition_size": 2}
    found = problems("ConditionedWaveNet", num_knobs=2, layers_configs=[wide])
    assert found == {
        "config.layers_configs.0.condition_size": (
            "expected 3 (the audio and 2 knobs) or 0 (no condition), but got 2"
        )
    }
    found = problems("ConditionedWaveNet", num_knobs=2, layers_configs=[ARRAY], export_knobs=[1.0])
    assert list(found) == ["config.export_knobs"]

    class Data:
        num_conditions = 1
        condition_names = ("gain",)

    with pytest.raises(HandshakeError, match="expected a dataset with 2 knobs, but got 1"):
        net.handshake(Data())


def test_knobs_and_nam() -> None:
    net = conditioned()
    assert "nam" not in net.exports
    assert "set `export_knobs`" in net.export_obstacles("nam")[0]
    with pytest.raises(NotImplementedError, match="export_knobs"):
        net.export_weights()
    frozen = conditioned(export_knobs=[0.1, 0.2])
    assert "nam" in frozen.exports
    assert frozen.export_obstacles("nam") == []
    assert frozen.export_conditions()[0].tolist() == [[pytest.approx(0.1), pytest.approx(0.2)]]


def test_import_path() -> None:
    """Our classes can also be named by their import path, with the same config."""
    net = component(
        "net", {"name": "nam_like.models.amp.linear.Linear", "config": {"receptive_field": 3}}
    ).build()
    assert isinstance(net, Linear)
