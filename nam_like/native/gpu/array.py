"""A whole layer array as one autograd function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nam_like.native.gpu import launch
from nam_like.native.gpu.packing import Packing
from nam_like.native.gpu.plan import ArrayPlan

__all__ = ["play_array"]


def play_array(
    plan: ArrayPlan,
    packing: Packing,
    x: Tensor,
    condition: Tensor | None,
    head: Tensor | None,
    parameters: Sequence[Tensor],
    *,
    has_residual: bool,
) -> tuple[Tensor | None, Tensor]:
    """Play one layer array.

    Args:
        plan: its sizes.
        packing: made of the plan and `has_residual`.
        x: ``(B, inputs, L)``, float32.
        condition: ``(B, conditions, at least L)``, aligned with `x` at the last sample, or None.
        head: head output of the array before, aligned likewise, or None.
        parameters: as :func:`nam_like.native.gpu.packing.parameter_shapes` lists them.
        has_residual: False leaves the residual after the last layer out.

    Returns:
        residual ``(B, channels, L − shrink)`` or None, and head ``(B, heads, …)``.
    """
    signals = [tensor for tensor in (x, condition, head) if tensor is not None]
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (*signals, *parameters))
    apply = cast(Any, _Array).apply
    played: tuple[Tensor | None, Tensor] = apply(
        plan, packing, has_residual, learns, x, condition, head, *parameters
    )
    return played


class _Array(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: ArrayPlan,
        packing: Packing,
        has_residual: bool,
        learns: bool,
        x: Tensor,
        condition: Tensor | None,
        head: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor | None, Tensor]:
        x = x.contiguous()
        condition = None if condition is None else condition.contiguous()
        head = None if head is None else head.contiguous()
        batch, length = x.shape[0], x.shape[-1]
        lag = 0 if head is None else length - head.shape[-1]
        packed = packing.pack(parameters)
        signal: Tensor | None = launch.conv(x, packed, packing.rechannel, plan.channels, 1, bias=False)
        total = x.new_empty(batch, plan.skip_size, length - plan.shrink - lag)
        saved, last = [packed, x, total], len(plan.layers) - 1
        for index, (layer, places) in enumerate(zip(plan.layers, packing.layers, strict=True)):
            given = cast(Tensor, signal)
            length -= layer.shrink
            z = x.new_empty(batch, plan.mid, length) if learns else None
            keeps = has_residual or index < last
            signal = x.new_empty(batch, plan.channels, length) if keeps else None
            before = total if index else head
            launch.layer_out(plan, layer, places, packed, given, condition, before, z, total, signal)
            if z is not None:
                saved += [given, z]
        if learns:
            ctx.plan, ctx.packing, ctx.has_residual = plan, packing, has_residual
            ctx.head_length = None if head is None else head.shape[-1]
            ctx.save_for_backward(*saved, *([] if condition is None else [condition]))
        played = launch.conv(total, packed, packing.head, plan.heads, plan.head_taps, bias=plan.head_bias)
        return signal, played

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, residual_grad: Tensor | None, played_grad: Tensor) -> tuple[Any, ...]:
        plan: ArrayPlan = ctx.plan
        packing: Packing = ctx.packing
        packed, x, total, *saved = ctx.saved_tensors
        condition = saved.pop() if plan.conditions else None
        wants_x, wants_condition = ctx.needs_input_grad[4:6]
        sums = launch.Gradients.like(x, packing.width)
        played_grad = played_grad.contiguous()
        grad = residual_grad.contiguous() if ctx.has_residual and residual_grad is not None else None
        sums.of_conv(played_grad, total, plan.head_taps, packing.head)
        head_length = total.shape[-1] if ctx.head_length is None else ctx.head_length
        head_grad = launch.back_through_conv(
            played_grad, packed, packing.head, plan.skip_size, head_length, plan.head_taps
        )
        condition_grad = torch.zeros_like(condition) if wants_condition and condition is not None else None
        for layer, places in zip(reversed(plan.layers), reversed(packing.layers), strict=True):
            z, given = saved.pop(), saved.pop()
            grad = launch.layer_back(
                plan, layer, places, packed, given, condition, z, grad, head_grad, condition_grad, sums
            )
        first_grad = cast(Tensor, grad)
        sums.of_conv(first_grad, x, 1, packing.rechannel)
        x_grad = None
        if wants_x:
            x_grad = launch.back_through_conv(
                first_grad, packed, packing.rechannel, plan.inputs, x.shape[-1], 1
            )
        weights = packing.unpack_grads(sums.partials.sum(dim=0))
        return (
            *(None,) * 4,
            x_grad,
            condition_grad,
            None if ctx.head_length is None else head_grad,
            *weights,
        )
