"""What a net costs, against counting by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nam_like.cli.estimate import macs_per_sample, parameter_count, training_bytes
from nam_like.config.component import component
from nam_like.models.base import Net
from nam_like.native import library


def test_lstm_multiplies_each_weight_once_per_sample() -> None:
    net = component(
        "net", {"name": "LSTM", "config": {"hidden_size": 8, "num_layers": 2, "input_size": 1}}
    ).build()
    first, second, head = 4 * 8 * (1 + 8), 4 * 8 * (8 + 8), 8
    assert macs_per_sample(net) == pytest.approx(first + second + head)


class TwoConvolutions(Net):
    """Three taps of four channels, then seven taps in two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.receptive_field = 9
        self.first, self.second = nn.Conv1d(1, 4, 3), nn.Conv1d(4, 2, 7, groups=2)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x[:, None]))).sum(1)


def test_convolutions_multiply_each_tap_once_per_sample() -> None:
    net = TwoConvolutions()
    assert macs_per_sample(net) == 4 * 3 + 2 * 2 * 7
    assert parameter_count(net) == 4 * 3 + 4 + 2 * 2 * 7 + 2


def test_memory_grows_with_the_batch_and_holds_the_activations() -> None:
    net, ny = TwoConvolutions(), 10_000
    item = (torch.randn(8 + ny), torch.randn(ny))
    one, three = (training_bytes(net, item, size) for size in (1, 3))
    weights = 4 * 4 * parameter_count(net)
    assert three - weights == 3 * (one - weights)
    # at least the input, what tanh gave (kept for its gradient) and the error
    assert one - weights >= 4 * (ny + 4 * ny + ny)
    assert one - weights <= 4 * 20 * ny


@pytest.mark.skipif(library.load() is None, reason="needs the native kernels")
def test_memory_counts_what_native_kernels_keep() -> None:
    config = {"channels": 6, "kernel_size": 3, "dilations": [1, 2, 4, 8]}
    layers = {
        "input_size": 1,
        "condition_size": 1,
        "head_size": 1,
        "head_bias": True,
        "activation": "Tanh",
        **config,
    }
    net = component("net", {"name": "WaveNet", "config": {"layers_configs": [layers]}}).build()
    past, ny = net.receptive_field - 1, 20_000
    item = (torch.randn(past + ny), torch.randn(ny))

    def step() -> None:
        (net(item[0].expand(9, -1).contiguous(), pad_start=False) - item[1]).square().mean().backward()

    activations = [training_bytes(net, item, size) - 4 * 4 * parameter_count(net) for size in (1, 2, 9)]
    # Of each of four layers, six channels of its input and of its activation.
    assert all(used >= size * 4 * 2 * 6 * 4 * ny for used, size in zip(activations, (1, 2, 9), strict=True))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert activations[2] == pytest.approx(library.most_bytes(step), rel=0.15)
