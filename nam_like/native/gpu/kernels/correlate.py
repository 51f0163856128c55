"""All weight gradients: how two signals go together, summed over time, in a fixed order.

The gradient of a convolution's weight W[m, c, k] is Σ_t u[m, t] · v[c, t + k·dilation], u being the
gradient of
its output and v its input; that of its bias is Σ_t u[m, t]. Every program sums a stretch of one item of the
batch
for some channels of v and writes it to a row of its own; the rows are summed afterwards. No atomic
operations: the same data gives the same gradients, bit for bit.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["correlate_conv", "correlate_layer"]


@triton.jit
def correlate(
    u,
    rows,
    u_length,
    v,
    columns,
    v_length,
    shift,
    start,
    steps,
    group,
    partial,
    out_at,
    bias_at,
    ROWS: tl.constexpr,
    GROUP: tl.constexpr,
    TILE: tl.constexpr,
):
    """Write Σ_t u[m, t] · v[j, t + shift] for ``j`` in `group` to ``partial[out_at + j · rows + m]``.

    `u` and `v` point to one item of the batch. Σ_t u[m, t] goes to ``partial[bias_at + m]`` unless that is
    < 0.
    """
    m = tl.arange(0, ROWS)
    j = group * GROUP + tl.arange(0, GROUP)
    total = tl.zeros([GROUP, ROWS, TILE], tl.float32)
    plain = tl.zeros([ROWS, TILE], tl.float32)
    for step in range(steps):
        t = start + step * TILE + tl.arange(0, TILE)
        inside = t < u_length
        at_v = t + shift
        there = inside & (at_v >= 0)
        u_tile = tl.load(
            u + m[:, None] * u_length + t[None, :], mask=(m < rows)[:, None] & inside[None, :], other=0.0
        )
        v_tile = tl.load(
            v + j[:, None] * v_length + at_v[None, :],
            mask=(j < columns)[:, None] & there[None, :],
            other=0.0,
        )
        total += v_tile[:, None, :] * u_tile[None, :, :]
        plain += u_tile
    to = partial + out_at + j[:, None] * rows + m[None, :]
    tl.store(to, tl.sum(total, axis=2), mask=(j < columns)[:, None] & (m < rows)[None, :])
    if bias_at >= 0:
        tl.store(partial + bias_at + m, tl.sum(plain, axis=1), mask=m < rows)


@triton.jit(
    do_not_specialize=["x_length", "condition_length", "head_length", "steps", "width", "taps", "dilation"]
)
def correlate_layer(
    z_grad,
    residual_grad,
    head_grad,
    x,
    condition,
    activated,
    partials,
    x_length,
    condition_length,
    head_length,
    steps,
    width,
    taps,
    dilation,
    conv_at,
    bias_at,
    mixer_at,
    residual_at,
    residual_bias_at,
    skip_at,
    skip_bias_at,
    CHANNELS: tl.constexpr,
    CONDITIONS: tl.constexpr,
    MID: tl.constexpr,
    WIDTH: tl.constexpr,
    SKIPS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ROWS: tl.constexpr,
    GROUP: tl.constexpr,
    TILE: tl.constexpr,
):
    """All weight gradients of a layer; the second axis of the grid counts (matrix, tap, group of channels).

    `width` is the number of weights of the array: the length of a row of `partials`.
    """
    part = tl.program_id(0)
    job = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    length = x_length - (taps - 1) * dilation
    partial = partials + (batch * tl.num_programs(0) + part) * width
    groups: tl.constexpr = (CHANNELS + GROUP - 1) // GROUP
    condition_groups: tl.constexpr = (CONDITIONS + GROUP - 1) // GROUP
    width_groups: tl.constexpr = (WIDTH + GROUP - 1) // GROUP
    tap = job // groups
    group = job % groups
    u = z_grad + batch * MID * length
    rows = MID
    u_length = length
    v = x + batch * CHANNELS * x_length
    columns = CHANNELS
    v_length = x_length
    shift = tap * dilation
    out_at = conv_at + tap * (CHANNELS * MID)
    sum_at = tl.where(job == 0, bias_at, -1)
    job -= taps * groups
    if CONDITIONS > 0:
        if job >= 0:
            group = job
            v = condition + batch * CONDITIONS * condition_length
            columns = CONDITIONS
            v_length = condition_length
            shift = condition_length - length
            out_at = mixer_at
            sum_at = -1
        job -= condition_groups
    if HAS_RESIDUAL:
        if job >= 0:
            group = job
            u = residual_grad + batch * CHANNELS * length
            rows = CHANNELS
            v = activated + batch * WIDTH * length
            columns = WIDTH
            v_length = length
            shift = 0
            out_at = residual_at
            sum_at = tl.where(job == 0, residual_bias_at, -1)
        job -= width_groups
    if SKIPS > 0:
        if job >= 0:
            group = job
            u = head_grad + batch * SKIPS * head_length
            rows = SKIPS
            u_length = head_length
            v = activated + batch * WIDTH * length
            columns = WIDTH
            v_length = length
            shift = length - head_length
            out_at = skip_at
            sum_at = tl.where(job == 0, skip_bias_at, -1)
    start = part * steps * TILE
    correlate(
        u, rows, u_length, v, columns, v_length, shift, start, steps, group,
        partial, out_at, sum_at, ROWS, GROUP, TILE,
    )  # fmt: skip


@triton.jit(do_not_specialize=["x_length", "y_length", "steps", "width", "taps", "dilation", "bias_at"])
def correlate_conv(
    y_grad,
    x,
    partials,
    x_length,
    y_length,
    steps,
    width,
    taps,
    dilation,
    conv_at,
    bias_at,
    INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    ROWS: tl.constexpr,
    GROUP: tl.constexpr,
    TILE: tl.constexpr,
):
    """The weight gradients of a plain convolution; `bias_at` is −1 where it has no bias."""
    part = tl.program_id(0)
    job = tl.program_id(1)
    batch = tl.program_id(2).to(tl.int64)
    partial = partials + (batch * tl.num_programs(0) + part) * width
    groups: tl.constexpr = (INPUTS + GROUP - 1) // GROUP
    tap = job // groups
    shift = x_length - y_length - (taps - 1 - tap) * dilation
    sum_at = tl.where(job == 0, bias_at, -1)
    correlate(
        y_grad + batch * OUTPUTS * y_length, OUTPUTS, y_length, x + batch * INPUTS * x_length, INPUTS,
        x_length,
        shift, part * steps * TILE, steps, job % groups,
        partial, conv_at + tap * (INPUTS * OUTPUTS), sum_at, ROWS, GROUP, TILE,
    )  # fmt: skip
