"""One layer, backward, as far as it concerns each sample alone: from the outputs to the pre-activations."""

from __future__ import annotations

import triton
import triton.language as tl

from nam_like.native.gpu.kernels.activation import differentiate

__all__ = ["layer_backward"]


@triton.jit(do_not_specialize=["length", "head_length", "condition_length", "stride"])
def layer_backward(
    residual_grad,
    head_grad,
    z,
    weights,
    z_grad,
    activated,
    condition_grad,
    length,
    head_length,
    condition_length,
    stride,
    mixer_at,
    residual_at,
    skip_at,
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
    WANTS_CONDITION: tl.constexpr,
    TILE: tl.constexpr,
):
    """Gradient of z, the activations once more (the 1×1s' weight gradients need them), that of the condition.

    The gradient of the condition is added to what the later layers left there; every sample belongs to one
    program, so the order of the sum is fixed.
    """
    batch = tl.program_id(1).to(tl.int64)
    t = tl.program_id(0) * stride + tl.arange(0, TILE)
    inside = t < length
    n = tl.arange(0, LANES)
    branches: tl.constexpr = 1 if PAIR == 0 else 2
    grad = tl.zeros([LANES, TILE], tl.float32)
    if HAS_1X1 and HAS_RESIDUAL:
        residual_grad += batch * CHANNELS * length
        for c in tl.static_range(CHANNELS):
            row = tl.load(residual_grad + c * length + t, mask=inside, other=0.0)[None, :]
            grad += tl.load(weights + residual_at + c * LANES + n)[:, None] * row
    at_head = t - (length - head_length)
    heard = inside & (at_head >= 0)
    if SKIPS == 0:
        at = head_grad + batch * WIDTH * head_length + (n[:, None] * head_length + at_head[None, :])
        grad += tl.load(at, mask=(n < WIDTH)[:, None] & heard[None, :], other=0.0)
    else:
        for s in tl.static_range(SKIPS):
            at = head_grad + (batch * SKIPS + s) * head_length + at_head
            row = tl.load(at, mask=heard, other=0.0)[None, :]
            grad += tl.load(weights + skip_at + s * LANES + n)[:, None] * row

    tile = (n < WIDTH)[:, None] & inside[None, :]
    at_z = n[:, None] * length + t[None, :]
    z += batch * (branches * WIDTH) * length
    z_grad += batch * (branches * WIDTH) * length
    z1 = tl.load(z + at_z, mask=tile, other=0.0)
    z2 = z1
    if PAIR != 0:
        z2 = tl.load(z + at_z + WIDTH * length, mask=tile, other=0.0)
    a, grad1, grad2 = differentiate(z1, z2, grad, PAIR, PRIMARY, SECONDARY)
    tl.store(z_grad + at_z, grad1, mask=tile)
    if PAIR != 0:
        tl.store(z_grad + at_z + WIDTH * length, grad2, mask=tile)
    if SKIPS > 0 or (HAS_1X1 and HAS_RESIDUAL):
        tl.store(activated + batch * WIDTH * length + at_z, a, mask=tile)
    if WANTS_CONDITION:
        for d in tl.static_range(CONDITIONS):
            at = weights + mixer_at + d * (LANES * branches) + n
            mixed = tl.load(at)[:, None] * grad1
            if PAIR != 0:
                mixed += tl.load(at + LANES)[:, None] * grad2
            to = (
                condition_grad + (batch * CONDITIONS + d) * condition_length + (condition_length - length) + t
            )
            tl.store(to, tl.load(to, mask=inside, other=0.0) + tl.sum(mixed, axis=0), mask=inside)
