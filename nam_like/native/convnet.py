"""A whole ConvNet as one autograd function: forward and backward pass of a batch are one native call each.

A net is described by plain dataclasses (:class:`NetSpec`), and its weights are a flat list of tensors in the
order of :func:`weight_shapes`. The kernels are ``csrc/isa/convnet_*.cpp``; what they compute is written down
in ``csrc/convnet.h``.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nam_like.native.kinds import KINDS
from nam_like.native.library import load
from nam_like.native.wavenet import ActivationSpec
from nam_like.native.whole_net import Kept, flatten, pieces

__all__ = ["MAX_CHANNELS", "LayerSpec", "NetSpec", "Plan", "Statistics", "plan", "play", "weight_shapes"]

#: `MAX_CHANNELS` of csrc/wavenet.h.
MAX_CHANNELS = 64

NO_ACTIVATION = ActivationSpec()


@dataclass(frozen=True)
class LayerSpec:
    """One layer: a convolution, then batch norm and activation; the last layer has neither."""

    outputs: int
    kernel_size: int
    dilation: int
    bias: bool
    norm: bool = False
    activation: ActivationSpec = NO_ACTIVATION


@dataclass(frozen=True)
class NetSpec:
    """A net: channels of its input, and its layers."""

    inputs: int
    layers: tuple[LayerSpec, ...]


@dataclass(frozen=True)
class Statistics:
    """Of all batch norms of a net.

    Attributes:
        values: ``(3, rows)`` float64: mean, variance (the mean square deviation), and ε. A row is a channel
            of the input or of a layer; those without batch norm are not read.
        from_batch: mean and variance are those of the batch: they are written, not read.
    """

    values: Tensor
    from_batch: bool


def weight_shapes(spec: NetSpec) -> list[tuple[int, ...]]:
    """Shapes of the weights, in the order in which the kernels read them.

    Per layer: convolution, its bias, weight and bias of the batch norm, trainable slopes; where it has them.
    """
    shapes: list[tuple[int, ...]] = []
    inputs = spec.inputs
    for layer in spec.layers:
        shapes.append((layer.outputs, inputs, layer.kernel_size))
        shapes += [(layer.outputs,)] * (int(layer.bias) + 2 * int(layer.norm))
        if layer.activation.slopes:
            shapes.append((layer.activation.slopes,))
        inputs = layer.outputs
    return shapes


class LayerFields(ctypes.Structure):
    """`ConvNetLayerFields` of csrc/convnet_plan.h."""

    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in ("outputs", "kernel", "dilation", "bias", "norm", "kind", "slopes")
        ),
        ("constants", ctypes.c_float * 4),
    ]


class Plan:
    """A net as the library knows it; freed with this object.

    Attributes:
        spec: what it was made from.
        past: past samples that an output needs.
        rows: channels of the input and of all layers.
        sizes: numbers in each of the weights.
    """

    def __init__(self, spec: NetSpec, handle: int, library: ctypes.CDLL) -> None:
        self.spec, self.handle, self.library = spec, handle, library
        self.past = int(library.nam_convnet_past(handle))
        self.rows = int(library.nam_convnet_rows(handle))
        self.sizes = [torch.Size(shape).numel() for shape in weight_shapes(spec)]
        self.weights = sum(self.sizes)
        if self.weights != library.nam_convnet_weights(handle):
            raise RuntimeError(
                "the library counts other weights than weight_shapes: it is from another version"
            )
        weakref.finalize(self, library.nam_convnet_destroy, handle)


@functools.lru_cache(maxsize=256)
def plan(spec: NetSpec) -> Plan | None:
    """The plan of a net; None without the library, or where the net is larger than the kernels allow."""
    loaded = load()
    if loaded is None:
        return None
    library = _declare(loaded.handle)
    fields = (LayerFields * len(spec.layers))(*map(_layer_fields, spec.layers))
    handle = library.nam_convnet_create(spec.inputs, fields, len(fields))
    return Plan(spec, handle, library) if handle else None


def _layer_fields(layer: LayerSpec) -> LayerFields:
    activation = layer.activation
    return LayerFields(
        layer.outputs,
        layer.kernel_size,
        layer.dilation,
        layer.bias,
        layer.norm,
        KINDS.index(activation.kind),
        activation.slopes,
        activation.constants,
    )


def play(made: Plan, x: Tensor, weights: Sequence[Tensor], statistics: Statistics) -> Tensor:
    """Play a batch.

    Args:
        made: the net.
        x: ``(B, inputs, L)`` float32 on the CPU.
        weights: float32 tensors in the order of :func:`weight_shapes`.
        statistics: for its batch norms; those of the batch are written into it.

    Returns:
        ``(B, outputs, L − past)``.

    Raises:
        MemoryError: what the backward pass needs does not fit into memory.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights)):
        out = ConvNetFunction.apply(made, statistics, x, *weights)  # type: ignore[no-untyped-call]
        return cast("Tensor", out)
    return _forward(made, x, flatten(weights), statistics, None)


def _forward(
    made: Plan, x: Tensor, flat: Tensor, statistics: Statistics, kept: ctypes.c_void_p | None
) -> Tensor:
    x = x.detach().contiguous()
    batch, _, length = x.shape
    out = x.new_empty(batch, made.spec.layers[-1].outputs, length - made.past)
    failed = made.library.nam_convnet_forward(
        made.handle,
        flat.data_ptr(),
        x.data_ptr(),
        batch,
        length,
        statistics.values.data_ptr(),
        statistics.from_batch,
        out.data_ptr(),
        None if kept is None else ctypes.byref(kept),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError(f"not enough memory to play {batch} × {length} samples of a ConvNet")
    return out


class ConvNetFunction(torch.autograd.Function):
    """See :func:`play`. It can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, made: Plan, statistics: Statistics, x: Tensor, *weights: Tensor) -> Tensor:
        """Play, and keep the rows of all layers."""
        flat = flatten(weights)
        kept = ctypes.c_void_p()
        out = _forward(made, x, flat, statistics, kept)
        ctx.made, ctx.statistics, ctx.x_shape = made, statistics, x.shape
        ctx.kept = Kept(kept.value, made.library)
        ctx.shapes = [weight.shape for weight in weights]
        ctx.save_for_backward(flat)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input and the weights."""
        made: Plan = ctx.made
        (flat,) = ctx.saved_tensors
        gradient = gradient.contiguous()
        made_weights = gradient.new_empty(made.weights)
        _, _, needs_x, *needs = ctx.needs_input_grad
        for_x = gradient.new_empty(ctx.x_shape) if needs_x else None
        failed = made.library.nam_convnet_backward(
            made.handle,
            flat.data_ptr(),
            gradient.data_ptr(),
            ctx.x_shape[0],
            ctx.x_shape[-1],
            ctx.statistics.values.data_ptr(),
            ctx.statistics.from_batch,
            ctx.kept.address,
            made_weights.data_ptr(),
            None if for_x is None else for_x.data_ptr(),
            torch.get_num_threads(),
        )
        if failed:
            raise MemoryError("not enough memory for the gradients of a ConvNet")
        return (None, None, for_x, *pieces(made_weights, made.sizes, ctx.shapes, needs))


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer, small = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    library.nam_convnet_create.restype = pointer
    library.nam_convnet_create.argtypes = [small, pointer, small]
    library.nam_convnet_destroy.restype = None
    library.nam_convnet_destroy.argtypes = [pointer]
    for function in (library.nam_convnet_weights, library.nam_convnet_past, library.nam_convnet_rows):
        function.restype, function.argtypes = integer, [pointer]
    sizes: list[Any] = [integer, integer, pointer, small]
    library.nam_convnet_forward.restype = small
    library.nam_convnet_forward.argtypes = [*[pointer] * 3, *sizes, *[pointer] * 2, small]
    library.nam_convnet_backward.restype = small
    library.nam_convnet_backward.argtypes = [*[pointer] * 3, *sizes, *[pointer] * 3, small]
    return library
