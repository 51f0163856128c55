"""Maps at half their size (means of 2 × 2) and at twice their size (bilinear), as autograd functions.

The kernels are ``csrc/isa/resize.cpp``; what they compute is written down in ``csrc/resize.h``.
"""

from __future__ import annotations

import ctypes
from typing import Any, cast

import torch
from torch import Tensor

from nam_like.native.library import load

__all__ = ["double", "halve"]


def halve(x: Tensor) -> Tensor:
    """Means of 2 × 2, ``(B, C, 2H, 2W)`` → ``(B, C, H, W)``; where :func:`norm_conv.obstacle` finds none."""
    return cast("Tensor", HalveFunction.apply(x))  # type: ignore[no-untyped-call]


def double(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Bilinear interpolation, ``(B, C, H, W)`` → ``(B, C, 2H, 2W)``.

    Args:
        x: the maps, where :func:`~nam_like.native.norm_conv.obstacle` finds none.
        valid: columns of each item of the result, ``(B,)``; zeros lie behind them. None when all are.
    """
    return cast("Tensor", DoubleFunction.apply(x, valid))  # type: ignore[no-untyped-call]


class HalveFunction(torch.autograd.Function):
    """See :func:`halve`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Nothing is kept."""
        return _halve(x.contiguous(), backward=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """The gradient."""
        return _halve(dy.contiguous(), backward=True)


class DoubleFunction(torch.autograd.Function):
    """See :func:`double`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, valid: Tensor | None) -> Tensor:
        """The valid columns are kept."""
        ctx.valid = None if valid is None else valid.to(torch.int64).contiguous()
        return _double(x.contiguous(), ctx.valid, backward=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """The gradient."""
        return _double(dy.contiguous(), ctx.valid, backward=True), None


def _halve(x: Tensor, *, backward: bool) -> Tensor:
    batch, channels, height, width = x.shape
    if not backward:
        height, width = height // 2, width // 2
    y = x.new_empty(batch, channels, *((2 * height, 2 * width) if backward else (height, width)))
    _library().nam_halve(
        x.data_ptr(), y.data_ptr(), batch * channels, height, width, backward, torch.get_num_threads()
    )
    return y


def _double(x: Tensor, valid: Tensor | None, *, backward: bool) -> Tensor:
    batch, channels, height, width = x.shape
    if backward:
        height, width = height // 2, width // 2
    y = x.new_empty(batch, channels, *((height, width) if backward else (2 * height, 2 * width)))
    _library().nam_double(
        x.data_ptr(),
        y.data_ptr(),
        None if valid is None else valid.data_ptr(),
        batch,
        channels,
        height,
        width,
        backward,
        torch.get_num_threads(),
    )
    return y


def _library() -> ctypes.CDLL:
    library = load()
    if library is None:
        raise RuntimeError("expected the native library, but it is switched off")
    handle, pointer, long, integer = library.handle, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    handle.nam_halve.restype = handle.nam_double.restype = None
    handle.nam_halve.argtypes = [pointer, pointer, long, long, long, integer, integer]
    handle.nam_double.argtypes = [pointer, pointer, pointer, long, long, long, long, integer, integer]
    return handle
