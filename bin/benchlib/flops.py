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
    if any(isinstance(module, nn.LSTM) for module in net.modules()):
        # Every matrix is used once per sample. (torch plays an LSTM on the meta device for minutes.)
        return float(batch * ny * sum(w.numel() for m in net.modules() for w in _matrices(m)))
    counted: list[float] = []

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        counted.append(_multiply_adds(module, inputs[0], output))

    for module in net.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            module.register_forward_hook(count)
    length = int(net.receptive_field) + ny - 1  # type: ignore[arg-type]
    with torch.no_grad():
        net.to("meta").train()(torch.empty(batch, length, device="meta"), pad_start=False)
    return sum(counted)


def _matrices(module: nn.Module) -> list[Tensor]:
    if not isinstance(module, nn.LSTM | nn.Linear):
        return []
    return [weight for weight in module.parameters(recurse=False) if weight.ndim == 2]


def _multiply_adds(module: nn.Module, x: Tensor, y: Any) -> float:
    if isinstance(module, nn.Conv1d):
        return float(y.numel() * module.in_channels // module.groups * module.kernel_size[0])
    assert isinstance(module, nn.Linear)
    return float(y.numel() * module.in_features)
