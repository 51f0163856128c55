"""Group norm, SiLU and a 3×3 convolution of maps as one autograd function.

    y = scale · (conv(silu(norm x)) + bias + skip), zero behind the valid columns

The kernels are ``csrc/isa/norm_conv_*.cpp``; what they compute, and how, is written down in
``csrc/norm_conv.h``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from nam_like.native.library import load, status

__all__ = ["Layer", "norm_conv", "obstacle"]


@dataclass(frozen=True)
class Layer:
    """The weights.

    Attributes:
        groups: of the norm.
        eps: added to variances.
        gamma: factors of the norm, ``(I,)``.
        beta: what it adds, ``(I,)``.
        weight: of the convolution, ``(O, I, 3, 3)``.
        bias: of the convolution, ``(B, O)``; it may differ from item to item.
    """

    groups: int
    eps: float
    gamma: Tensor
    beta: Tensor
    weight: Tensor
    bias: Tensor


class CallFields(ctypes.Structure):
    """`NormConv` of csrc/norm_conv.h."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("batch", "inputs", "outputs", "groups", "height", "width")),
        ("scale", ctypes.c_float),
        *(
            (name, ctypes.c_void_p)
            for name in ("x", "gamma", "beta", "weight", "bias", "skip", "valid", "statistics", "y")
        ),
    ]


class GradientFields(ctypes.Structure):
    """`NormConvGradients` of csrc/norm_conv.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("z", "x", "gamma", "beta", "weight", "bias")]


def obstacle(*tensors: Tensor) -> str:
    """Why the kernels do not cover maps and weights; empty where they do."""
    if load() is None:
        return status()
    return next(filter(None, map(_obstacle_of, tensors)), "")


def _obstacle_of(tensor: Tensor) -> str:
    if type(tensor) not in (Tensor, nn.Parameter):
        return f"the maps or weights are {type(tensor).__name__}s"
    if tensor.device.type != "cpu":
        return f"the maps or weights are on {tensor.device.type}"
    if tensor.dtype != torch.float32:
        return f"the maps or weights are {tensor.dtype}"
    return "" if tensor.numel() else "the maps are empty"


def norm_conv(
    x: Tensor, layer: Layer, skip: Tensor | None = None, scale: float = 1.0, valid: Tensor | None = None
) -> Tensor:
    """The operation; differentiable once with respect to maps and weights.

    Args:
        x: ``(B, I, H, W)``, where :func:`obstacle` finds none.
        layer: the weights.
        skip: added to the convolution, ``(B, O, H, W)``, or None.
        scale: factor of the sum.
        valid: columns of each item, ``(B,)`` int64; None when all are.

    Returns:
        ``(B, O, H, W)``.

    Raises:
        MemoryError: there is not enough for the work in hand.
    """
    weights = (layer.gamma, layer.beta, layer.weight, layer.bias)
    made = NormConvFunction.apply(  # type: ignore[no-untyped-call]
        layer.groups, layer.eps, scale, valid, x, *weights, skip
    )
    return cast("Tensor", made)


class NormConvFunction(torch.autograd.Function):
    """See :func:`norm_conv`."""

    @staticmethod
    def forward(
        ctx: Any,
        groups: int,
        eps: float,
        scale: float,
        valid: Tensor | None,
        x: Tensor,
        gamma: Tensor,
        beta: Tensor,
        weight: Tensor,
        bias: Tensor,
        skip: Tensor | None,
    ) -> Tensor:
        """The output; x and the statistics of its groups are kept."""
        x, gamma, beta, weight, bias = (part.contiguous() for part in (x, gamma, beta, weight, bias))
        skip = None if skip is None else skip.contiguous()
        valid = None if valid is None else valid.to(torch.int64).contiguous()
        y = x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])
        statistics = x.new_empty(x.shape[0], groups, 2)
        call = _call(groups, x, gamma, beta, weight, statistics)
        call.scale, call.y, call.bias = scale, y.data_ptr(), bias.data_ptr()
        call.skip = None if skip is None else skip.data_ptr()
        call.valid = None if valid is None else valid.data_ptr()
        if _library().nam_norm_conv_forward(ctypes.byref(call), eps, torch.get_num_threads()):
            raise MemoryError(f"not enough memory for a convolution of maps of {tuple(x.shape)}")
        ctx.groups, ctx.scale, ctx.has_skip = groups, scale, skip is not None
        ctx.save_for_backward(x, gamma, beta, weight, statistics, valid)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients."""
        x, gamma, beta, weight, statistics, valid = ctx.saved_tensors
        dz = dy.contiguous() if ctx.scale == 1.0 and valid is None else _before_scale(dy, ctx.scale, valid)
        call = _call(ctx.groups, x, gamma, beta, weight, statistics)
        found = [torch.empty_like(part) for part in (x, gamma, beta, weight)]
        bias = x.new_empty(x.shape[0], weight.shape[0])
        gradients = GradientFields(dz.data_ptr(), *(part.data_ptr() for part in found), bias.data_ptr())
        failed = _library().nam_norm_conv_backward(
            ctypes.byref(call), ctypes.byref(gradients), torch.get_num_threads()
        )
        if failed:
            raise MemoryError(f"not enough memory for the gradient of maps of {tuple(x.shape)}")
        return None, None, None, None, *found, bias, dz if ctx.has_skip else None


def _before_scale(dy: Tensor, scale: float, valid: Tensor | None) -> Tensor:
    dz = dy.mul(scale).contiguous()
    if valid is not None:
        for item, columns in enumerate(valid.tolist()):
            dz[item, ..., columns:] = 0.0
    return dz


def _call(
    groups: int, x: Tensor, gamma: Tensor, beta: Tensor, weight: Tensor, statistics: Tensor
) -> CallFields:
    batch, inputs, height, width = x.shape
    call = CallFields(batch, inputs, weight.shape[0], groups, height, width, 1.0)
    call.x, call.gamma, call.beta = x.data_ptr(), gamma.data_ptr(), beta.data_ptr()
    call.weight, call.statistics = weight.data_ptr(), statistics.data_ptr()
    return call


def _library() -> ctypes.CDLL:
    library = load()
    if library is None:
        raise RuntimeError("expected the native library, but it is switched off")
    handle, pointer = library.handle, ctypes.c_void_p
    handle.nam_norm_conv_forward.restype = handle.nam_norm_conv_backward.restype = ctypes.c_int
    handle.nam_norm_conv_forward.argtypes = [pointer, ctypes.c_float, ctypes.c_int]
    handle.nam_norm_conv_backward.argtypes = [pointer, pointer, ctypes.c_int]
    return handle
