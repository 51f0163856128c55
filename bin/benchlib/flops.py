"""How much arithmetic a training step of a net is, counted from the shapes of its layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def step_flops(net: nn.Module, batch: int, ny: int) -> float:
    """Floating-point operations of a training step.

    Two per multiply-add of convolutions, linear and recurrent layers; the backward pass costs twice the
    forward pass (gradients of inputs and of weights). Activations, losses and the optimizer are not counted.

    Args:
        net: one of our nets; it is moved to the meta device, so it is of no use afterwards.
        batch: items per batch.
        ny: target samples per item.
    """
    return 3.0 * 2.0 * forward_multiply_adds(net, batch, ny)


def forward_multiply_adds(net: nn.Module, batch: int, ny: int) -> float:
    """Multiply-adds of the forward pass for `batch` × `ny` outputs; see :func:`step_flops`."""
    counted: list[float] = []

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        counted.append(_multiply_adds(module, inputs[0], output))

    for module in net.modules():
        if isinstance(module, nn.Conv1d | nn.Linear | nn.LSTM):
            module.register_forward_hook(count)
    length = int(net.receptive_field) + ny - 1  # type: ignore[arg-type]
    with torch.no_grad():
        net.to("meta").train()(torch.empty(batch, length, device="meta"), pad_start=False)
    return sum(counted)


def _multiply_adds(module: nn.Module, x: Tensor, y: Any) -> float:
    if isinstance(module, nn.LSTM):  # x is (B, L, D)
        widths = [module.input_size] + [module.hidden_size] * (module.num_layers - 1)
        gates = sum(4 * module.hidden_size * (width + module.hidden_size) for width in widths)
        return float(x.shape[0] * x.shape[1] * gates)
    if isinstance(module, nn.Conv1d):
        return float(y.numel() * module.in_channels // module.groups * module.kernel_size[0])
    assert isinstance(module, nn.Linear)
    return float(y.numel() * module.in_features)
