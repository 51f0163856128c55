"""The way from an :class:`LSTM` to the native kernels: its weights, and whether they cover it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nam_like.models.blocks.native import HOOKED, fits, is_hooked, report_line
from nam_like.native import lstm as kernels

if TYPE_CHECKING:
    from nam_like.models.amp.lstm.model import LSTM, State

__all__ = ["obstacle", "play", "report", "train"]


def train(net: LSTM, inputs: Tensor, state: State) -> Tensor | None:
    """Play a training segment with burn-in and truncation.

    Args:
        net: the net.
        inputs: ``(B, L, D)``.
        state: hidden and cell before it, each ``(N, B, H)``.

    Returns:
        ``(B, L)``; None where the kernels do not cover this call.
    """
    weights = _weights(net, inputs, state)
    if weights is None:
        return None
    if not _needs_gradient(inputs, state, weights):
        return kernels.play(inputs, state, weights)[0]
    return kernels.train(inputs, state, weights, kernels.Cut(net.train_burn_in, net.train_truncate))


def play(net: LSTM, inputs: Tensor, state: State) -> tuple[Tensor, State] | None:
    """Play without gradients, as :func:`train`, and return the state afterwards, too."""
    weights = _weights(net, inputs, state)
    if weights is None or _needs_gradient(inputs, state, weights):
        return None
    return kernels.play(inputs, state, weights)


def _needs_gradient(inputs: Tensor, state: State, weights: kernels.Weights) -> bool:
    tensors = (inputs, *state, *weights.flat())
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _weights(net: LSTM, inputs: Tensor, state: State) -> kernels.Weights | None:
    """The weights; None where the kernels do not cover this call."""
    if not all(fits(tensor) for tensor in (inputs, *state)) or not inputs.numel() or obstacle(net):
        return None
    core, names = net.core, ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if net.core.bias else ())]
    layers = []
    for layer in range(core.num_layers):
        found = [getattr(core, f"{name}_l{layer}") for name in names]
        layers.append((*found, *([None] * (4 - len(found)))))
    weights = kernels.Weights(tuple(layers), net.head.weight, net.head.bias)
    if any(w is not None and (w.dtype != torch.float32 or w.device.type != "cpu") for w in weights.flat()):
        return None
    return weights


def obstacle(net: LSTM) -> str:
    """Why the kernels do not cover a net; empty where they do."""
    if type(net.core) is not nn.LSTM or type(net.head) is not nn.Linear:
        return f"its layers are {type(net.core).__name__} and {type(net.head).__name__}"
    if is_hooked((net.core, net.head)):
        return HOOKED
    return "it has dropout between its layers" if net.core.training and net.core.dropout else ""


def report(net: LSTM, device: torch.device | str = "cpu") -> str:
    """One line for logs: what plays the net on a device."""
    return report_line(torch.device(device), obstacle(net))
