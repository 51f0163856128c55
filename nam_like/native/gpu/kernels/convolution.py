"""A plain convolution, and the way back through one: what stands before and after the layers."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["convolve", "convolve_back"]


@triton.jit(do_not_specialize=["x_length", "taps", "dilation", "stride"])
def convolve(
    x,
    weights,
    y,
    x_length,
    taps,
    dilation,
    stride,
    conv_at,
    bias_at,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    LANES: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    UNROLL: tl.constexpr,
    TILE: tl.constexpr,
):
    """Y = conv(x) + bias, with `LANES` output channels of which `OUTPUTS` exist."""
    batch = tl.program_id(1).to(tl.int64)
    length = x_length - (taps - 1) * dilation
    t = tl.program_id(0) * stride + tl.arange(0, TILE)
    inside = t < length
    m = tl.arange(0, LANES)
    x += batch * INPUTS * x_length
    total = tl.zeros([LANES, TILE], tl.float32)
    if HAS_BIAS:
        total += tl.load(weights + bias_at + m)[:, None]
    for tap in range(taps):
        for first in range(0, INPUTS, UNROLL):
            for c in tl.static_range(UNROLL):
                row = x + (first + c) * x_length + t + tap * dilation
                row = tl.load(row, mask=inside, other=0.0)[None, :]
                total += tl.load(weights + conv_at + (tap * INPUTS + first + c) * LANES + m)[:, None] * row
    tile = (m < OUTPUTS)[:, None] & inside[None, :]
    tl.store(y + batch * OUTPUTS * length + (m[:, None] * length + t[None, :]), total, mask=tile)


@triton.jit(do_not_specialize=["y_length", "x_length", "taps", "dilation", "stride"])
def convolve_back(
    y_grad,
    residual_grad,
    weights,
    x_grad,
    y_length,
    x_length,
    taps,
    dilation,
    stride,
    back_at,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    LANES: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    UNROLL: tl.constexpr,
    TILE: tl.constexpr,
):
    """Gradient of x from that of y = conv(x), plus that of a residual as long as y, if there is one.

    `x_length` may be more than the convolution needs: what lies before gets zeros. `LANES` are the `INPUTS`,
    filled up; the packed weights have them last here.
    """
    batch = tl.program_id(1).to(tl.int64)
    at_x = tl.program_id(0) * stride + tl.arange(0, TILE)
    inside = at_x < x_length
    t = at_x - (x_length - y_length) + (taps - 1) * dilation
    c = tl.arange(0, LANES)
    tile = (c < INPUTS)[:, None] & inside[None, :]
    y_grad += batch * OUTPUTS * y_length
    total = tl.zeros([LANES, TILE], tl.float32)
    if HAS_RESIDUAL:
        at = at_x - (x_length - y_length)
        passed = tile & (at >= 0)[None, :]
        residual_grad += batch * INPUTS * y_length
        total = tl.load(residual_grad + (c[:, None] * y_length + at[None, :]), mask=passed, other=0.0)
    for tap in range(taps):
        at = t - tap * dilation
        there = inside & (at >= 0) & (at < y_length)
        for first in range(0, OUTPUTS, UNROLL):
            for m in tl.static_range(UNROLL):
                row = tl.load(y_grad + (first + m) * y_length + at, mask=there, other=0.0)[None, :]
                total += tl.load(weights + back_at + (tap * OUTPUTS + first + m) * LANES + c)[:, None] * row
    tl.store(x_grad + batch * INPUTS * x_length + (c[:, None] * x_length + at_x[None, :]), total, mask=tile)
