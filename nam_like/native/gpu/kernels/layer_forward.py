"""One layer, forward: convolution, condition, activation, skip term and residual in one pass."""

from __future__ import annotations

import triton
import triton.language as tl

from nam_like.native.gpu.kernels.activation import activate

__all__ = ["layer_forward"]

#: Numbers that differ from layer to layer or from call to call: no kernel of its own for each.
RUNTIME = [
    "x_length",
    "condition_length",
    "before_length",
    "head_length",
    "taps",
    "dilation",
    "stride",
]


@triton.jit(do_not_specialize=RUNTIME)
def layer_forward(
    x,
    condition,
    before,
    weights,
    z,
    head,
    residual,
    x_length,
    condition_length,
    before_length,
    head_length,
    taps,
    dilation,
    stride,
    conv_at,
    bias_at,
    mixer_at,
    residual_at,
    residual_bias_at,
    skip_at,
    skip_bias_at,
    CHANNELS: tl.constexpr,
    CONDITIONS: tl.constexpr,
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
    SKIPS: tl.constexpr,
    PAIR: tl.constexpr,
    PRIMARY: tl.constexpr,
    SECONDARY: tl.constexpr,
    HAS_1X1: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    HAS_BEFORE: tl.constexpr,
    SAVES: tl.constexpr,
    UNROLL: tl.constexpr,
    TILE: tl.constexpr,
):
    """Z = conv(x) + mixer(c); a = activation(z); head = before + skip(a); residual = x + 1×1(a).

    `before` is the sum of the skip terms so far, which may be `head` itself. `LANES` is `WIDTH` filled up to
    a power of two; the packed weights have zeros there. A pair of activations has its second half of the
    channels in the second `LANES` of each packed vector.
    """
    batch = tl.program_id(1).to(tl.int64)
    length = x_length - (taps - 1) * dilation
    t = tl.program_id(0) * stride + tl.arange(0, TILE)
    inside = t < length
    n = tl.arange(0, LANES)
    branches: tl.constexpr = 1 if PAIR == 0 else 2
    x += batch * CHANNELS * x_length
    z1 = tl.zeros([LANES, TILE], tl.float32) + tl.load(weights + bias_at + n)[:, None]
    z2 = z1
    if PAIR != 0:
        z2 = tl.zeros([LANES, TILE], tl.float32) + tl.load(weights + bias_at + LANES + n)[:, None]
    for tap in range(taps):
        for first in range(0, CHANNELS, UNROLL):
            for c in tl.static_range(UNROLL):
                row = x + (first + c) * x_length + t + tap * dilation
                row = tl.load(row, mask=inside, other=0.0)[None, :]
                at = weights + conv_at + (tap * CHANNELS + first + c) * (LANES * branches) + n
                z1 += tl.load(at)[:, None] * row
                if PAIR != 0:
                    z2 += tl.load(at + LANES)[:, None] * row
    if CONDITIONS > 0:
        condition += batch * CONDITIONS * condition_length + (condition_length - length)
        for d in tl.static_range(CONDITIONS):
            row = tl.load(condition + d * condition_length + t, mask=inside, other=0.0)[None, :]
            at = weights + mixer_at + d * (LANES * branches) + n
            z1 += tl.load(at)[:, None] * row
            if PAIR != 0:
                z2 += tl.load(at + LANES)[:, None] * row
    tile = (n < WIDTH)[:, None] & inside[None, :]
    if SAVES:
        to = z + batch * (branches * WIDTH) * length + (n[:, None] * length + t[None, :])
        tl.store(to, z1, mask=tile)
        if PAIR != 0:
            tl.store(to + WIDTH * length, z2, mask=tile)
    a = activate(z1, z2, PAIR, PRIMARY, SECONDARY)
    a = tl.where(tile, a, 0.0)  # an activation of 0 need not be 0

    at_head = t - (length - head_length)
    at_before = t - (length - before_length)
    heard = inside & (at_head >= 0)
    if SKIPS == 0:
        tile = (n < WIDTH)[:, None] & heard[None, :]
        skip = a
        if HAS_BEFORE:
            at = before + batch * WIDTH * before_length + (n[:, None] * before_length + at_before[None, :])
            skip += tl.load(at, mask=tile, other=0.0)
        to = head + batch * WIDTH * head_length + (n[:, None] * head_length + at_head[None, :])
        tl.store(to, skip, mask=tile)
    else:
        for s in tl.static_range(SKIPS):
            term = tl.sum(tl.load(weights + skip_at + s * LANES + n)[:, None] * a, axis=0)
            term += tl.load(weights + skip_bias_at + s)
            if HAS_BEFORE:
                at = before + (batch * SKIPS + s) * before_length + at_before
                term += tl.load(at, mask=heard, other=0.0)
            tl.store(head + (batch * SKIPS + s) * head_length + at_head, term, mask=heard)

    if HAS_RESIDUAL:
        x += x_length - length
        residual += batch * CHANNELS * length
        for c in range(CHANNELS):
            passed = tl.load(x + c * x_length + t, mask=inside, other=0.0)
            if HAS_1X1:
                passed += tl.sum(tl.load(weights + residual_at + c * LANES + n)[:, None] * a, axis=0)
                passed += tl.load(weights + residual_bias_at + c)
            tl.store(residual + c * length + t, passed, mask=inside)
