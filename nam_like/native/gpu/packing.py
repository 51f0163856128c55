"""Where each weight lies in the vectors that the kernels read, and where its gradient comes out.

The parameters of an array are joined to one vector (in the order of :func:`parameter_shapes`), and one gather
makes of it the packed vector, in which what one program reads at once lies together and is filled up with
zeros to a power of two: a convolution as ``[tap][input][output]``, and once more as ``[tap][output][input]``
for the way back; a 1×1 as ``[output][input]``. The gradients are summed as ``[tap][input][output]`` without
filling, and a second gather puts them into the order of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nam_like.native.gpu.plan import ArrayPlan, LayerPlan, power_of_two

__all__ = ["ConvPlaces", "LayerPlaces", "Packing", "parameter_shapes"]

Indices = NDArray[np.int64]

#: Every matrix begins at a multiple of so many numbers, so that a vector of weights is read at once.
ALIGNMENT = 16


@dataclass(frozen=True)
class ConvPlaces:
    """Offsets of one convolution; −1 where there is none.

    Attributes:
        conv: packed weights.
        back: packed weights for the way back.
        bias: packed bias.
        conv_grad: gradient of the weights.
        bias_grad: gradient of the bias.
    """

    conv: int = 0
    back: int = 0
    bias: int = 0
    conv_grad: int = 0
    bias_grad: int = -1


@dataclass(frozen=True)
class LayerPlaces:
    """Offsets of one layer."""

    conv: ConvPlaces
    mixer: ConvPlaces
    residual: ConvPlaces
    skip: ConvPlaces


def parameter_shapes(plan: ArrayPlan, has_residual: bool) -> Iterator[tuple[int, ...]]:
    """Shapes of the parameters in their order.

    Rechannel; per layer convolution and bias, mixer, residual 1×1 and bias, skip 1×1 and bias; the head's
    convolution and bias. Without `has_residual` nothing reads the last residual 1×1, and it is not there.
    """
    yield (plan.channels, plan.inputs, 1)
    for index, layer in enumerate(plan.layers):
        yield (plan.mid, plan.channels, layer.taps)
        yield (plan.mid,)
        if plan.conditions:
            yield (plan.mid, plan.conditions, 1)
        if plan.has_1x1 and (has_residual or index < len(plan.layers) - 1):
            yield (plan.channels, plan.width, 1)
            yield (plan.channels,)
        if plan.skips:
            yield (plan.skips, plan.width, 1)
            yield (plan.skips,)
    yield (plan.heads, plan.skip_size, plan.head_taps)
    if plan.head_bias:
        yield (plan.heads,)


@dataclass
class _Builder:
    """Collects the two gathers; a source of −1 stands for a zero."""

    sizes: Iterator[int]
    taken: int = 0
    packed: list[Indices] = field(default_factory=list)
    packed_size: int = 0
    grads: list[Indices] = field(default_factory=list)
    grads_size: int = 0

    def next_parameter(self, shape: tuple[int, ...]) -> Indices:
        """Positions of the next parameter's values in the joined vector."""
        size = math.prod(shape)
        first, self.taken = self.taken, self.taken + size
        if next(self.sizes) != size:
            raise RuntimeError(f"expected a parameter of {shape} next in the order of the parameters")
        return np.arange(first, first + size, dtype=np.int64).reshape(shape)

    def place(self, sources: Indices) -> int:
        """Append to the packed vector; returns where."""
        at = self.packed_size
        filled = np.full(-(-sources.size // ALIGNMENT) * ALIGNMENT, -1, dtype=np.int64)
        filled[: sources.size] = sources.reshape(-1)
        self.packed.append(filled)
        self.packed_size += filled.size
        return at

    def place_grad(self, sources: Indices) -> int:
        """Append a matrix of gradients that belong to `sources`; returns where."""
        at = self.grads_size
        self.grads.append(sources.reshape(-1))
        self.grads_size += sources.size
        return at

    def conv(
        self, outputs: int, inputs: int, taps: int, *, bias: bool, pair: bool = False, one: bool = False
    ) -> ConvPlaces:
        """Take a convolution's weights; `one` packs a 1×1 for sums over registers."""
        weight = self.next_parameter((outputs, inputs, taps))
        by_tap = weight.transpose(2, 1, 0)  # [tap][input][output]
        lanes = _halves(by_tap) if pair else _filled(by_tap)
        main = _filled(weight[:, :, 0]) if one else lanes
        vector = self.next_parameter((outputs,)) if bias else None
        return ConvPlaces(
            conv=self.place(main),
            back=0 if one else self.place(_filled(weight.transpose(2, 0, 1))),
            bias=0 if vector is None else self.place(_halves(vector) if pair else _filled(vector)),
            conv_grad=self.place_grad(by_tap),
            bias_grad=-1 if vector is None else self.place_grad(vector),
        )


class Packing:
    """The packed layout of one array.

    Args:
        plan: the array.
        has_residual: whether its last residual is read.

    Attributes:
        rechannel: offsets of the first 1×1.
        layers: offsets of the layers.
        head: offsets of the head's convolution.
        width: how many gradients there are in the dense layout.
    """

    def __init__(self, plan: ArrayPlan, has_residual: bool) -> None:
        self.shapes = tuple(parameter_shapes(plan, has_residual))
        builder = _Builder(iter([math.prod(shape) for shape in self.shapes]))
        self.rechannel = builder.conv(plan.channels, plan.inputs, 1, bias=False)
        last = len(plan.layers) - 1
        self.layers = tuple(
            _place_layer(builder, plan, layer, has_residual or index < last)
            for index, layer in enumerate(plan.layers)
        )
        self.head = builder.conv(plan.heads, plan.skip_size, plan.head_taps, bias=plan.head_bias)
        self.width = builder.grads_size
        gather = np.concatenate(builder.packed)
        self._gather = torch.from_numpy(np.where(gather < 0, builder.taken, gather))  # a zero stands last
        self._back = torch.from_numpy(np.argsort(np.concatenate(builder.grads)))

    def to(self, device: torch.device) -> None:
        """Move the indices to where the parameters are."""
        if self._gather.device != device:
            self._gather, self._back = self._gather.to(device), self._back.to(device)

    def pack(self, parameters: Sequence[Tensor]) -> Tensor:
        """The packed vector of all parameters."""
        self.to(parameters[0].device)
        joined = torch.cat([*(p.detach().reshape(-1) for p in parameters), parameters[0].new_zeros(1)])
        return joined.index_select(0, self._gather)

    def unpack_grads(self, grads: Tensor) -> list[Tensor]:
        """The gradients of the parameters from ``(width,)``: views into one vector."""
        flat = grads.index_select(0, self._back)
        parts = torch.split(flat, [math.prod(shape) for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def _place_layer(builder: _Builder, plan: ArrayPlan, layer: LayerPlan, has_residual: bool) -> LayerPlaces:
    """Take the weights of one layer."""
    pair, none = layer.pair != 0, ConvPlaces()
    conv = builder.conv(plan.mid, plan.channels, layer.taps, bias=True, pair=pair)
    mixer, residual, skip = none, none, none
    if plan.conditions:
        mixer = builder.conv(plan.mid, plan.conditions, 1, bias=False, pair=pair)
    if plan.has_1x1 and has_residual:
        residual = builder.conv(plan.channels, plan.width, 1, bias=True, one=True)
    if plan.skips:
        skip = builder.conv(plan.skips, plan.width, 1, bias=True, one=True)
    return LayerPlaces(conv, mixer, residual, skip)


def _filled(sources: Indices) -> Indices:
    """The last axis filled up to a power of two."""
    missing = power_of_two(sources.shape[-1]) - sources.shape[-1]
    return np.pad(sources, [(0, 0)] * (sources.ndim - 1) + [(0, missing)], constant_values=-1)


def _halves(sources: Indices) -> Indices:
    """The two halves of the last axis, each filled up to a power of two."""
    first, second = np.split(sources, 2, axis=-1)
    return np.concatenate([_filled(first), _filled(second)], axis=-1)
