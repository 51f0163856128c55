"""Every amp net holds to the contract of nets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.net_contract import check_net, noise, randomise
from harness.wavenets import is_tight, wavenet_configs
from hypothesis import HealthCheck, Phase, assume, given, settings

from nam_like.config.component import component
from nam_like.models.amp.wavenet import WaveNet

ARRAY: dict[str, Any] = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 3,
    "kernel_size": 3,
    "dilations": [1, 2, 4],
    "activation": "Tanh",
    "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
}
TWO = [
    {**ARRAY, "head": {"out_channels": 2, "kernel_size": 1, "bias": False}},
    {**ARRAY, "input_size": 3, "channels": 2},
]
NETS: dict[str, tuple[str, dict[str, Any], int]] = {
    "wavenet": ("WaveNet", {"layers_configs": TWO, "head_scale": 0.5}, 0),
    "unconditioned": ("WaveNet", {"layers_configs": [{**ARRAY, "condition_size": 0}]}, 0),
    "linear": ("Linear", {"receptive_field": 37, "bias": True}, 0),
    "convnet": ("ConvNet", {"channels": 4, "dilations": [1, 2, 4]}, 0),
    "convnet, one block": ("ConvNet", {"channels": 3, "dilations": [3], "activation": "PReLU"}, 0),
    "convnet with batch norm": ("ConvNet", {"channels": 4, "dilations": [1, 3], "batchnorm": True}, 0),
    "convnet that becomes a wavenet": (
        "ConvNet",
        {"channels": 4, "dilations": [1, 2, 4], "batchnorm": True, "activation": "PReLU"},
        0,
    ),
    "lstm": ("LSTM", {"hidden_size": 5, "num_layers": 2}, 0),
    "lstm without biases": ("LSTM", {"hidden_size": 4, "bias": False}, 0),
    "lstm with a knob": ("LSTM", {"hidden_size": 4, "input_size": 2, "export_knobs": [0.3]}, 1),
    "knobs": (
        "ConditionedWaveNet",
        {"num_knobs": 2, "export_knobs": [0.2, -0.4], "layers_configs": [{**ARRAY, "condition_size": 3}]},
        2,
    ),
    "amp and cabinet": (
        "Sequential",
        {
            "models": [
                {"name": "WaveNet", "config": {"layers_configs": [ARRAY], "head_scale": 0.3}},
                {"name": "Linear", "config": {"receptive_field": 9, "bias": True}},
                {"name": "Linear", "config": {"receptive_field": 4}},
            ]
        },
        0,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_nets(name: str, tmp_path: Path) -> None:
    kind, config, knobs = NETS[name]
    net = randomise(component("net", {"name": kind, "config": config}).build())
    check_net(net, tmp_path, knobs=knobs)


ANY = {
    "deadline": None,
    "phases": [Phase.explicit, Phase.generate],  # shrinking a net takes longer than reading one
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}


def check_config(config: dict[str, Any]) -> None:
    net = randomise(WaveNet.init_from_config(config), size=0.6).eval()
    with torch.no_grad():
        assume(float(net(noise(1, 200)).std()) > 1e-5)  # not one whose ReLUs are all shut
    with tempfile.TemporaryDirectory() as folder:
        check_net(net, Path(folder), tight=is_tight(config))


@given(config=wavenet_configs())
@settings(max_examples=15, **ANY)
def test_wavenets_of_any_config(config: dict[str, Any]) -> None:
    check_config(config)


@pytest.mark.slow
@given(config=wavenet_configs())
@settings(max_examples=300, **ANY)
def test_many_wavenets_of_any_config(config: dict[str, Any]) -> None:
    check_config(config)


@pytest.mark.parametrize("film", [{}, {"layer1x1_post_film": {}}])
def test_ranks_wait_for_no_gradient(film: dict[str, Any], tmp_path: Path) -> None:
    """Nothing reads the last residual; with several processes its weights get a zero gradient."""
    net = WaveNet.init_from_config({"layers_configs": [{**ARRAY, **film}]}).train()
    x = noise(2, 50)
    net(x, pad_start=False).sum().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None]
    alone = net(x, pad_start=False)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/ranks", rank=0, world_size=1)
    try:
        y = net(x, pad_start=False)
    finally:
        torch.distributed.destroy_process_group()
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert torch.equal(y, alone)
