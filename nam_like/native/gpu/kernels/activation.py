"""The activations and their slopes, pointwise in registers, with torch's conventions at kinks and for NaN."""

from __future__ import annotations

import triton
import triton.language as tl

from nam_like.native.kinds import KINDS, PAIRS

__all__ = ["activate", "differentiate"]

TANH = tl.constexpr(KINDS.index("Tanh"))
FASTTANH = tl.constexpr(KINDS.index("Fasttanh"))
HARDTANH = tl.constexpr(KINDS.index("Hardtanh"))
LEAKY_HARDTANH = tl.constexpr(KINDS.index("LeakyHardtanh"))
RELU = tl.constexpr(KINDS.index("ReLU"))
LEAKY_RELU = tl.constexpr(KINDS.index("LeakyReLU"))
SIGMOID = tl.constexpr(KINDS.index("Sigmoid"))
SILU = tl.constexpr(KINDS.index("SiLU"))
HARDSWISH = tl.constexpr(KINDS.index("Hardswish"))
SOFTSIGN = tl.constexpr(KINDS.index("Softsign"))
SOFTSIGMOID = tl.constexpr(KINDS.index("Softsigmoid"))
BLEND = tl.constexpr(PAIRS.index("blend"))
NONE = tl.constexpr(PAIRS.index("none"))


@triton.jit
def tanh(z):
    """Tanh to 2 units in the last place: an odd polynomial near 0, where 1 − 2 / (e^2z + 1) cancels."""
    size = tl.abs(z)
    square = z * z
    # Least largest relative error on |z| <= 0.55 (1e-9), fitted with Lawson's algorithm.
    near = -6.282472905759239e-3 * square + 2.1077758095849865e-2
    near = near * square - 5.38538578911342e-2
    near = near * square + 1.333260168542073e-1
    near = near * square - 3.333331804571083e-1
    near = z + z * (square * near)
    far = 1.0 - 2.0 / (tl.exp(2.0 * size) + 1.0)
    far = tl.where(z < 0.0, -far, far)
    return tl.where(size > 0.55, far, near)


@triton.jit
def sigmoid(z):
    """1 / (1 + e^−z)."""
    return 1.0 / (1.0 + tl.exp(-z))


@triton.jit
def fasttanh(z):
    """The plugins' rational tanh, f = p / q in u = |z|, and its slope (p′ − f·q′) / q."""
    u = tl.abs(z)
    s = z * z
    p = u * (2.45550750702956 + 2.45550750702956 * u + (0.893229853513558 + 0.821226666969744 * u) * s)
    q_inner = u + 0.814642734961073 * s
    q = 2.44506634652299 + (2.44506634652299 + s) * q_inner
    dp = 2.45550750702956 + 4.91101501405912 * u + (2.679689560540674 + 3.284906667878976 * u) * s
    dq = 2.0 * u * q_inner + (2.44506634652299 + s) * (1.0 + 1.629285469922146 * u)
    f = p / q
    return tl.where(z < 0.0, -f, f), (dp - f * dq) / q


@triton.jit
def leaky_hardtanh(z, LOW: tl.constexpr, HIGH: tl.constexpr, BELOW: tl.constexpr, ABOVE: tl.constexpr):
    """Linear between two limits, with slopes of its own beyond them."""
    y = tl.where(z < LOW, LOW + (z - LOW) * BELOW, z)
    y = tl.where(z > HIGH, HIGH + (z - HIGH) * ABOVE, y)
    slope = tl.where((z >= LOW) & (z <= HIGH), 1.0, 0.0)
    slope += tl.where(z <= LOW, BELOW, 0.0)
    slope += tl.where(z >= HIGH, ABOVE, 0.0)
    return y, slope


@triton.jit
def pointwise(z, ACT: tl.constexpr):
    """Value and slope of one activation; what is not used is not computed."""
    if ACT[0] == TANH:
        y = tanh(z)
        slope = 1.0 - y * y
    elif ACT[0] == FASTTANH:
        y, slope = fasttanh(z)
    elif ACT[0] == HARDTANH:
        y = tl.where(z <= ACT[1], ACT[1], tl.where(z >= ACT[2], ACT[2], z))
        slope = tl.where((z > ACT[1]) & (z < ACT[2]), 1.0, 0.0)
    elif ACT[0] == LEAKY_HARDTANH:
        y, slope = leaky_hardtanh(z, ACT[1], ACT[2], ACT[3], ACT[4])
    elif ACT[0] == RELU:
        y = tl.where(z <= 0.0, 0.0, z)
        slope = tl.where(z <= 0.0, 0.0, 1.0)
    elif ACT[0] == LEAKY_RELU:
        y = tl.where(z > 0.0, z, z * ACT[1])
        slope = tl.where(z > 0.0, 1.0, ACT[1])
    elif ACT[0] == SIGMOID:
        y = sigmoid(z)
        slope = y * (1.0 - y)
    elif ACT[0] == SILU:
        share = sigmoid(z)
        y = z * share
        slope = share * (1.0 + z * (1.0 - share))
    elif ACT[0] == HARDSWISH:
        y = tl.where(z <= -3.0, 0.0, tl.where(z >= 3.0, z, z * (z + 3.0) / 6.0))
        slope = tl.where(z < -3.0, 0.0, tl.where(z <= 3.0, z / 3.0 + 0.5, 1.0))
    elif ACT[0] == SOFTSIGN:
        scale = 1.0 / (1.0 + tl.abs(z))
        y = z * scale
        slope = scale * scale
    elif ACT[0] == SOFTSIGMOID:
        scale = 1.0 / (1.0 + tl.abs(z))
        y = tl.where(z < 0.0, 0.5 * scale, 1.0 - 0.5 * scale)
        slope = 0.5 * scale * scale
    else:
        y = z
        slope = tl.full(z.shape, 1.0, z.dtype)
    return y, slope


@triton.jit
def activate(z1, z2, PAIR: tl.constexpr, PRIMARY: tl.constexpr, SECONDARY: tl.constexpr):
    """The activation's output; `z2` is the second half of the channels of a pair."""
    y, _ = pointwise(z1, PRIMARY)
    if PAIR != NONE:
        share, _ = pointwise(z2, SECONDARY)
        if PAIR == BLEND:
            y = share * y + (1.0 - share) * z1
        else:
            y = share * y
    return y


@triton.jit
def differentiate(z1, z2, grad, PAIR: tl.constexpr, PRIMARY: tl.constexpr, SECONDARY: tl.constexpr):
    """The activation's output, and the gradients of both halves for the gradient `grad` of the output."""
    y, slope = pointwise(z1, PRIMARY)
    if PAIR == NONE:
        value = y
        grad1 = grad * slope
        grad2 = grad1
    else:
        share, share_slope = pointwise(z2, SECONDARY)
        if PAIR == BLEND:
            value = share * y + (1.0 - share) * z1
            grad1 = grad * (share * slope + (1.0 - share))
            grad2 = grad * (y - z1) * share_slope
        else:
            value = share * y
            grad1 = grad * share * slope
            grad2 = grad * y * share_slope
    return value, grad1, grad2
