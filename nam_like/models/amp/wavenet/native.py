"""The way from a :class:`WaveNet` to the native kernels: description, weights, and whether they cover it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from nam_like.models.blocks.activations import PairActivation, PairBlend, PairMultiply
from nam_like.models.blocks.native import (
    HOOKED,
    NotCoveredError,
    fits,
    is_hooked,
    is_watched,
    once_per_net,
    report_line,
)
from nam_like.models.blocks.native_activation import describe_activation
from nam_like.native import wavenet as kernels
from nam_like.native.gpu import available
from nam_like.native.gpu import wavenet as gpu
from nam_like.native.wavenet import ActivationSpec, ArraySpec, LayerSpec, NetSpec

if TYPE_CHECKING:
    from nam_like.models.amp.wavenet.array import LayerArray
    from nam_like.models.amp.wavenet.layer import Layer
    from nam_like.models.amp.wavenet.model import WaveNet

__all__ = ["obstacle", "process", "report"]


@dataclass
class Described:
    """What is known about one net: its arrays or why they are not covered, its weights, its inner modules."""

    arrays: tuple[ArraySpec, ...] = ()
    weights: tuple[Callable[[], Tensor], ...] = ()
    obstacle: str = ""
    inner: tuple[nn.Module, ...] = ()


def process(net: WaveNet, x: Tensor, condition: Tensor) -> Tensor | None:
    """Play the layer arrays with the native kernels.

    Args:
        net: the net.
        x: ``(B, 1, L)``.
        condition: ``(B, D, L)``, or `x` itself.

    Returns:
        ``(B, head size, L − past)``, scaled; None where the kernels do not cover this call.
    """
    if available.takes(x.device):
        return _process_on_gpu(net, x, condition)
    if not fits(x) or not fits(condition):
        return None
    own = condition is x
    conditions = condition.shape[1] if net.layer_arrays()[0].condition_size else 0
    described = describe(net)
    made = _plan(net, x.shape[1], conditions, own)
    if made is None or x.shape[-1] <= made.past:
        return None
    weights = [weight() for weight in described.weights]
    if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in weights):
        return None
    return kernels.play(made, x, None if own or not conditions else condition, weights)


def _plan(net: WaveNet, inputs: int, conditions: int, own: bool) -> kernels.Plan | None:
    """The plan of a net for so many channels of audio and of a condition, which may be the audio itself."""
    described = describe(net)
    if obstacle(net):
        return None
    spec = NetSpec(inputs, conditions, own and conditions > 0, described.arrays, float(net.head_scale))
    return kernels.plan(spec)


def reserve(net: WaveNet, batch: int, length: int) -> None:
    """Get what a training step on audio ``(batch, length)`` keeps from the system, in the background.

    Args:
        net: a net that is its own condition, or has none.
        batch: items.
        length: samples of input.
    """
    made = _plan(net, 1, int(net.layer_arrays()[0].condition_size > 0), own=True)
    if made is not None and length > made.past:
        kernels.reserve(made, batch, length)


def _process_on_gpu(net: WaveNet, x: Tensor, condition: Tensor) -> Tensor | None:
    """:func:`process` with the kernels for CUDA devices."""
    if is_watched():
        return None
    described = describe(net)
    conditions = condition.shape[1] if net.layer_arrays()[0].condition_size else 0
    if obstacle(net) or gpu.obstacle(described.arrays, conditions, x.device):
        return None
    weights = [weight() for weight in described.weights]
    head = gpu.process(described.arrays, x, condition if conditions else None, weights)
    return None if head is None else head * net.head_scale


def obstacle(net: WaveNet) -> str:
    """Why the kernels do not cover a net as it is now; empty where they do."""
    described = describe(net)
    return described.obstacle or (HOOKED if is_hooked(described.inner) else "")


def report(net: WaveNet, device: torch.device | str = "cpu") -> str:
    """One line for logs: what plays the net on a device."""
    device, found = torch.device(device), obstacle(net)
    if available.takes(device):
        conditions = net.layer_arrays()[0].condition_size
        found = found or gpu.obstacle(describe(net).arrays, conditions, device)
        return f"Triton kernels on {device}" if not found else f"plain PyTorch on {device}: {found}"
    return report_line(device, found)


@once_per_net(lambda reason: Described(obstacle=reason))
def describe(net: WaveNet) -> Described:
    """The description of a net: what of it the kernels ask for."""
    arrays = net.layer_arrays()
    if len({bool(array.condition_size) for array in arrays}) > 1:
        raise NotCoveredError("some layer arrays have a condition and some have none")
    specs, weights = [], []
    for index, array in enumerate(arrays):
        idle = index == len(arrays) - 1
        specs.append(_array(array, idle))
        weights += list(_weights(array, idle))
    inner = tuple(module for module in net.modules() if module is not net)
    return Described(tuple(specs), tuple(weights), inner=inner)


def _array(array: LayerArray, last: bool) -> ArraySpec:
    if array.film:
        raise NotCoveredError("it has FiLM")
    return ArraySpec(
        array.input_size,
        array.channels,
        array.bottleneck,
        array.skip_size,
        array.head_size,
        array.head_kernel_size,
        array.head_bias,
        array.head1x1 is not None,
        # Nobody reads the residual after the very last layer, so its 1×1 gets no gradient.
        tuple(_layer(layer, last and layer is array.stack[-1]) for layer in array.stack),
    )


def _layer(layer: Layer, idle: bool) -> LayerSpec:
    first: nn.Module = layer.activation
    pair, second = "none", ActivationSpec()
    if isinstance(first, PairActivation):
        names = {PairMultiply: "multiply", PairBlend: "blend"}
        if type(first) not in names:
            raise NotCoveredError(f"its activation is {type(first).__name__}")
        pair, second = names[cast("type[PairMultiply]", type(first))], describe_activation(first.secondary)
        first = first.primary
    (kernel,), (dilation,) = layer.conv.kernel_size, layer.conv.dilation
    residual = layer.layer1x1 is not None and not idle
    return LayerSpec(kernel, dilation, describe_activation(first), pair, second, residual)


def _weights(array: LayerArray, last: bool) -> Iterator[Callable[[], Tensor]]:
    """Where the weights are, in the order of :func:`nam_like.native.wavenet.weight_shapes`."""
    yield from _conv(array.rechannel)
    for layer in array.stack:
        yield from _conv(layer.conv)
        if layer.mixer is not None:
            yield from _conv(layer.mixer)
        if layer.layer1x1 is not None and not (last and layer is array.stack[-1]):
            yield from _conv(layer.layer1x1)
        if layer.head1x1 is not None:
            yield from _conv(layer.head1x1)
        pair = layer.activation if isinstance(layer.activation, PairActivation) else None
        for module in (pair.primary, pair.secondary) if pair is not None else (layer.activation,):
            if isinstance(module, nn.PReLU):
                yield partial(getattr, module, "weight")
    yield from _conv(array.head_rechannel)


def _conv(conv: nn.Conv1d) -> Iterator[Callable[[], Tensor]]:
    yield (lambda: conv.weight) if conv.groups == 1 else (lambda: _dense(conv))
    if conv.bias is not None:
        yield lambda: cast("Tensor", conv.bias)


def _dense(conv: nn.Conv1d) -> Tensor:
    """The weight of a grouped convolution with zeros between the groups ``(C_out, C_in, K)``."""
    blocks = conv.weight.chunk(conv.groups)
    wide = blocks[0].shape[1]
    padded = [
        nn.functional.pad(block, (0, 0, index * wide, (conv.groups - 1 - index) * wide))
        for index, block in enumerate(blocks)
    ]
    return torch.cat(padded)
