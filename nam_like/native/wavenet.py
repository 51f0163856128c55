"""A whole WaveNet as one autograd function: forward and backward pass of a batch are one native call each.

A net is described by plain dataclasses of integers (:class:`NetSpec`), and its weights are a flat list of
tensors in
the order of :func:`weight_shapes`. The kernels are ``csrc/isa/wavenet_*.cpp``; what they compute is written
down in
``csrc/wavenet.h``.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import weakref
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nam_like.native.kinds import KINDS, PAIRS
from nam_like.native.library import load
from nam_like.native.whole_net import Kept, flatten, pieces

__all__ = [
    "ActivationSpec",
    "ArraySpec",
    "LayerSpec",
    "NetSpec",
    "Plan",
    "plan",
    "play",
    "reserve",
    "weight_shapes",
]


@dataclass(frozen=True)
class ActivationSpec:
    """One pointwise activation.

    Attributes:
        kind: one of :data:`~nam_like.native.kinds.KINDS`.
        constants: up to four: slope of LeakyReLU, limits of Hardtanh, limits and slopes of LeakyHardtanh.
        slopes: trainable slopes of PReLU: 1, or one per channel; 0 for all others.
    """

    kind: str = "Identity"
    constants: tuple[float, ...] = ()
    slopes: int = 0


@dataclass(frozen=True)
class LayerSpec:
    """One layer: taps, samples between taps, activation(s), and whether it has the residual 1×1."""

    kernel_size: int
    dilation: int
    activation: ActivationSpec
    pair: str = "none"
    secondary: ActivationSpec = ActivationSpec()
    residual: bool = True


@dataclass(frozen=True)
class ArraySpec:
    """One layer array; `skip_mix` says that the skip path has a 1×1."""

    inputs: int
    channels: int
    bottleneck: int
    skips: int
    heads: int
    head_kernel_size: int
    head_bias: bool
    skip_mix: bool
    layers: tuple[LayerSpec, ...]


@dataclass(frozen=True)
class NetSpec:
    """A net.

    Attributes:
        inputs: channels of the audio.
        conditions: channels of the condition, 0 for none.
        own_condition: the condition is the audio itself.
        arrays: the layer arrays.
        head_scale: factor of the output.
    """

    inputs: int
    conditions: int
    own_condition: bool
    arrays: tuple[ArraySpec, ...]
    head_scale: float = 1.0


def weight_shapes(spec: NetSpec) -> list[tuple[int, ...]]:
    """Shapes of the weights, in the order in which the kernels read them.

    Per array: the 1×1 in front; per layer convolution, its bias, the condition's 1×1, residual 1×1 and bias
    (where it
    has one), skip 1×1 and bias, trainable slopes; then the head's convolution and bias.
    """
    shapes: list[tuple[int, ...]] = []
    for array in spec.arrays:
        shapes.append((array.channels, array.inputs, 1))
        for layer in array.layers:
            mid = array.bottleneck * (1 if layer.pair == "none" else 2)
            shapes += [(mid, array.channels, layer.kernel_size), (mid,)]
            if spec.conditions:
                shapes.append((mid, spec.conditions, 1))
            if layer.residual:
                shapes += [(array.channels, array.bottleneck, 1), (array.channels,)]
            if array.skip_mix:
                shapes += [(array.skips, array.bottleneck, 1), (array.skips,)]
            shapes += [(a.slopes,) for a in (layer.activation, layer.secondary) if a.slopes]
        shapes.append((array.heads, array.skips, array.head_kernel_size))
        if array.head_bias:
            shapes.append((array.heads,))
    return shapes


class Plan:
    """A net as the library knows it; freed with this object.

    Attributes:
        spec: what it was made from.
        past: past samples that an output needs.
        shapes: shapes of the weights.
    """

    def __init__(self, spec: NetSpec, handle: int, library: ctypes.CDLL) -> None:
        self.spec, self.handle, self.library = spec, handle, library
        self.past = int(library.nam_wavenet_past(handle))
        self.shapes = weight_shapes(spec)
        self.sizes = [torch.Size(shape).numel() for shape in self.shapes]
        self.weights = sum(self.sizes)
        if self.weights != library.nam_wavenet_weights(handle):
            raise RuntimeError(
                "the library counts other weights than weight_shapes: it is from another version"
            )
        weakref.finalize(self, library.nam_wavenet_destroy, handle)

    @property
    def heads(self) -> int:
        """Channels of the output."""
        return self.spec.arrays[-1].heads


@functools.lru_cache(maxsize=256)
def plan(spec: NetSpec) -> Plan | None:
    """The plan of a net; None without the library, or where the net is larger than the kernels allow."""
    loaded = load()
    if loaded is None:
        return None
    library = _declare(loaded.handle)
    integers: list[int] = [spec.inputs, spec.conditions, spec.own_condition, len(spec.arrays)]
    reals: list[float] = [spec.head_scale]
    for array in spec.arrays:
        integers += [int(value) for value in astuple(array)[:-1]]
        integers.append(len(array.layers))
        for layer in array.layers:
            integers += [layer.kernel_size, layer.dilation, PAIRS.index(layer.pair), int(layer.residual)]
            for activation in (layer.activation, layer.secondary):
                integers += [KINDS.index(activation.kind), activation.slopes]
                reals += [*activation.constants, 0.0, 0.0, 0.0, 0.0][:4]
    handle = library.nam_wavenet_create(
        (ctypes.c_int64 * len(integers))(*integers),
        len(integers),
        (ctypes.c_double * len(reals))(*reals),
        len(reals),
    )
    return Plan(spec, handle, library) if handle else None


def play(made: Plan, x: Tensor, condition: Tensor | None, weights: Sequence[Tensor]) -> Tensor:
    """Play a batch.

    Args:
        made: the net.
        x: ``(B, inputs, L)`` float32 on the CPU.
        condition: ``(B, conditions, L)``, or None where the condition is `x` or there is none.
        weights: float32 tensors of :attr:`Plan.shapes` (or as many numbers in another shape).

    Returns:
        ``(B, heads, L − past)``.

    Raises:
        MemoryError: what the backward pass needs does not fit into memory.
    """
    given = (x, *weights) if condition is None else (x, condition, *weights)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        return cast("Tensor", WaveNetFunction.apply(made, x, condition, *weights))  # type: ignore[no-untyped-call]
    return _forward(made, x, condition, flatten(weights), None)


def reserve(made: Plan, batch: int, length: int) -> threading.Thread:
    """Get the rows that a forward pass keeps from the system before it asks for them, in a thread.

    The pass may begin meanwhile.

    Args:
        made: the net.
        batch: items.
        length: samples of input, more than ``made.past``.

    Returns:
        The thread.
    """

    def run() -> None:
        made.library.nam_wavenet_reserve(made.handle, batch, length)

    # A daemon: a process that ends need not wait for memory.
    thread = threading.Thread(target=run, name="nam_like memory", daemon=True)
    thread.start()
    return thread


def _forward(
    made: Plan, x: Tensor, condition: Tensor | None, flat: Tensor, kept: ctypes.c_void_p | None
) -> Tensor:
    x = x.detach().contiguous()
    condition = None if condition is None else condition.detach().contiguous()
    batch, length = x.shape[0], x.shape[-1]
    out = x.new_empty(batch, made.heads, length - made.past)
    failed = made.library.nam_wavenet_forward(
        made.handle,
        flat.data_ptr(),
        x.data_ptr(),
        None if condition is None else condition.data_ptr(),
        batch,
        length,
        out.data_ptr(),
        None if kept is None else ctypes.byref(kept),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError(f"not enough memory to play {batch} × {length} samples of a WaveNet")
    return out


class WaveNetFunction(torch.autograd.Function):
    """See :func:`play`. It can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, made: Plan, x: Tensor, condition: Tensor | None, *weights: Tensor) -> Tensor:
        """Play, and keep the rows of all layers."""
        flat = flatten(weights)
        kept = ctypes.c_void_p()
        out = _forward(made, x, condition, flat, kept)
        ctx.made, ctx.batch, ctx.length = made, x.shape[0], x.shape[-1]
        ctx.kept = Kept(kept.value, made.library)
        ctx.shapes = [weight.shape for weight in weights]
        ctx.save_for_backward(flat)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input, the condition and the weights."""
        made: Plan = ctx.made
        (flat,) = ctx.saved_tensors
        gradient = gradient.contiguous()
        like = gradient.new_empty
        made_weights = like(made.weights)
        _, needs_x, needs_condition, *needs = ctx.needs_input_grad
        inputs, conditions = made.spec.inputs, made.spec.conditions
        # A net that is its own condition gets one gradient for both.
        own = made.spec.own_condition
        for_x = like(ctx.batch, inputs, ctx.length) if needs_x else None
        for_condition = (
            like(ctx.batch, conditions, ctx.length) if needs_condition or (own and needs_x) else None
        )
        failed = made.library.nam_wavenet_backward(
            made.handle,
            flat.data_ptr(),
            gradient.data_ptr(),
            ctx.batch,
            ctx.length,
            ctx.kept.address,
            made_weights.data_ptr(),
            None if for_x is None else for_x.data_ptr(),
            None if for_condition is None else for_condition.data_ptr(),
            torch.get_num_threads(),
        )
        if failed:
            raise MemoryError("not enough memory for the gradients of a WaveNet")
        if own and for_x is not None and for_condition is not None:
            for_x, for_condition = for_x.add_(for_condition), None
        return (None, for_x, for_condition, *pieces(made_weights, made.sizes, ctx.shapes, needs))


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    library.nam_wavenet_create.restype = pointer
    library.nam_wavenet_create.argtypes = [pointer, integer, pointer, integer]
    library.nam_wavenet_destroy.restype = None
    library.nam_wavenet_destroy.argtypes = [pointer]
    library.nam_wavenet_reserve.restype = ctypes.c_int
    library.nam_wavenet_reserve.argtypes = [pointer, integer, integer]
    for function in (library.nam_wavenet_weights, library.nam_wavenet_past):
        function.restype, function.argtypes = integer, [pointer]
    library.nam_wavenet_forward.restype = ctypes.c_int
    library.nam_wavenet_forward.argtypes = [pointer] * 4 + [integer] * 2 + [pointer] * 2 + [ctypes.c_int]
    library.nam_wavenet_backward.restype = ctypes.c_int
    library.nam_wavenet_backward.argtypes = [pointer] * 3 + [integer] * 2 + [pointer] * 4 + [ctypes.c_int]
    return library
