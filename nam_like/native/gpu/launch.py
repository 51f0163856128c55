"""Calls of the kernels: grids, sizes and flags from a plan and the shapes of the signals."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nam_like.native.gpu import blocking
from nam_like.native.gpu.kernels.convolution import convolve, convolve_back
from nam_like.native.gpu.kernels.correlate import correlate_conv, correlate_layer
from nam_like.native.gpu.kernels.layer_backward import layer_backward
from nam_like.native.gpu.kernels.layer_forward import layer_forward
from nam_like.native.gpu.packing import ConvPlaces, LayerPlaces
from nam_like.native.gpu.plan import ArrayPlan, LayerPlan, power_of_two

__all__ = ["Gradients", "back_through_conv", "conv", "layer_back", "layer_out"]


@dataclass(frozen=True)
class Gradients:
    """Where the weight gradients are summed.

    Attributes:
        partials: ``(B · stretches, width)``; a row per program, added up at the end.
        stretches: programs that share an item.
    """

    partials: Tensor
    stretches: int

    @staticmethod
    def like(x: Tensor, width: int) -> Gradients:
        """Room for the gradients of an array whose input is `x` ``(B, C, L)``."""
        stretches = blocking.stretches(x.shape[-1])
        return Gradients(x.new_empty(x.shape[0] * stretches, width), stretches)

    def steps(self, length: int) -> int:
        """How often a program takes a tile, so that all together take `length` samples."""
        return -(-length // (self.stretches * blocking.tile_of_sums()))

    def of_conv(self, y_grad: Tensor, x: Tensor, taps: int, at: ConvPlaces) -> None:
        """Correlate a plain convolution's output gradient with its input."""
        inputs, outputs = x.shape[1], y_grad.shape[1]
        rows = power_of_two(outputs)
        group = blocking.channel_group(rows, inputs)
        correlate_conv[(self.stretches, taps * -(-inputs // group), x.shape[0])](
            y_grad, x, self.partials, x.shape[-1], y_grad.shape[-1], self.steps(y_grad.shape[-1]),
            self.partials.shape[1], taps, 1, at.conv_grad, at.bias_grad,
            INPUTS=inputs, OUTPUTS=outputs, ROWS=rows, GROUP=group, TILE=blocking.tile_of_sums(),
            num_warps=blocking.WARPS,
        )  # fmt: skip


def layer_out(
    plan: ArrayPlan,
    layer: LayerPlan,
    at: LayerPlaces,
    packed: Tensor,
    x: Tensor,
    condition: Tensor | None,
    before: Tensor | None,
    z: Tensor | None,
    head: Tensor,
    residual: Tensor | None,
) -> None:
    """Play one layer; writes `z`, `head` and `residual` where they are given. Signals are ``(B, C, L)``."""
    length = x.shape[-1] - layer.shrink
    lanes = power_of_two(plan.width)
    tile = blocking.tile(lanes * plan.branches)
    layer_forward[(-(-length // tile), x.shape[0])](
        x, x if condition is None else condition, head if before is None else before, packed,
        head if z is None else z, head, head if residual is None else residual,
        x.shape[-1], 0 if condition is None else condition.shape[-1],
        0 if before is None else before.shape[-1], head.shape[-1], layer.taps, layer.dilation, tile,
        at.conv.conv, at.conv.bias, at.mixer.conv,
        at.residual.conv, at.residual.bias, at.skip.conv, at.skip.bias,
        CHANNELS=plan.channels, CONDITIONS=plan.conditions, WIDTH=plan.width, LANES=lanes, SKIPS=plan.skips,
        PAIR=int(layer.pair), PRIMARY=layer.primary, SECONDARY=layer.secondary,
        HAS_1X1=plan.has_1x1, HAS_RESIDUAL=residual is not None, HAS_BEFORE=before is not None,
        SAVES=z is not None, UNROLL=blocking.unroll(plan.channels), TILE=tile, num_warps=blocking.WARPS,
    )  # fmt: skip


def layer_back(
    plan: ArrayPlan,
    layer: LayerPlan,
    at: LayerPlaces,
    packed: Tensor,
    x: Tensor,
    condition: Tensor | None,
    z: Tensor,
    residual_grad: Tensor | None,
    head_grad: Tensor,
    condition_grad: Tensor | None,
    sums: Gradients,
) -> Tensor:
    """Go back through one layer: sums its weight gradients and returns the gradient of `x`.

    That of the condition is added to `condition_grad`, if given.
    """
    batch, lanes, length = x.shape[0], power_of_two(plan.width), z.shape[-1]
    z_grad = x.new_empty(z.shape)
    activated = x.new_empty(batch, plan.width, length)
    tile = blocking.tile(lanes * plan.branches)
    condition_length = 0 if condition is None else condition.shape[-1]
    has_residual = plan.has_1x1 and residual_grad is not None
    layer_backward[(-(-length // tile), batch)](
        x if residual_grad is None else residual_grad, head_grad, z, packed, z_grad, activated,
        x if condition_grad is None else condition_grad,
        length, head_grad.shape[-1], condition_length, tile, at.mixer.conv, at.residual.conv, at.skip.conv,
        CHANNELS=plan.channels, CONDITIONS=plan.conditions, WIDTH=plan.width, LANES=lanes, SKIPS=plan.skips,
        PAIR=int(layer.pair), PRIMARY=layer.primary, SECONDARY=layer.secondary,
        HAS_1X1=plan.has_1x1, HAS_RESIDUAL=residual_grad is not None,
        WANTS_CONDITION=condition_grad is not None, TILE=tile, num_warps=blocking.WARPS,
    )  # fmt: skip
    rows = power_of_two(max(plan.mid, plan.channels if has_residual else 1, plan.skips))
    group = blocking.channel_group(rows, max(plan.channels, plan.width))
    jobs = layer.taps * -(-plan.channels // group) + -(-plan.conditions // group)
    jobs += -(-plan.width // group) * (int(has_residual) + int(plan.skips > 0))
    longest = max(length, head_grad.shape[-1])
    correlate_layer[(sums.stretches, jobs, batch)](
        z_grad, x if residual_grad is None else residual_grad, head_grad, x,
        x if condition is None else condition, activated, sums.partials,
        x.shape[-1], condition_length, head_grad.shape[-1], sums.steps(longest), sums.partials.shape[1],
        layer.taps, layer.dilation, at.conv.conv_grad, at.conv.bias_grad, at.mixer.conv_grad,
        at.residual.conv_grad, at.residual.bias_grad, at.skip.conv_grad, at.skip.bias_grad,
        CHANNELS=plan.channels, CONDITIONS=plan.conditions, MID=plan.mid, WIDTH=plan.width, SKIPS=plan.skips,
        HAS_RESIDUAL=has_residual, ROWS=rows, GROUP=group, TILE=blocking.tile_of_sums(),
        num_warps=blocking.WARPS,
    )  # fmt: skip
    return back_through_conv(
        z_grad, packed, at.conv, x.shape[1], x.shape[-1], layer.taps, layer.dilation, residual_grad
    )


def conv(x: Tensor, packed: Tensor, at: ConvPlaces, outputs: int, taps: int, *, bias: bool) -> Tensor:
    """A plain convolution, ``(B, C, L) → (B, outputs, L − taps + 1)``."""
    batch, inputs, x_length = x.shape
    length, lanes = x_length - taps + 1, power_of_two(outputs)
    y = x.new_empty(batch, outputs, length)
    tile = blocking.tile(lanes)
    convolve[(-(-length // tile), batch)](
        x, packed, y, x_length, taps, 1, tile, at.conv, at.bias,
        INPUTS=inputs, OUTPUTS=outputs, LANES=lanes, HAS_BIAS=bias,
        UNROLL=blocking.unroll(inputs), TILE=tile, num_warps=blocking.WARPS,
    )  # fmt: skip
    return y


def back_through_conv(
    y_grad: Tensor,
    packed: Tensor,
    at: ConvPlaces,
    inputs: int,
    x_length: int,
    taps: int,
    dilation: int = 1,
    residual_grad: Tensor | None = None,
) -> Tensor:
    """Gradient of a convolution's input ``(B, inputs, x_length)``, plus `residual_grad` at the end."""
    batch, outputs, y_length = y_grad.shape
    lanes = power_of_two(inputs)
    x_grad = y_grad.new_empty(batch, inputs, x_length)
    tile = blocking.tile(lanes)
    convolve_back[(-(-x_length // tile), batch)](
        y_grad, y_grad if residual_grad is None else residual_grad, packed, x_grad,
        y_length, x_length, taps, dilation, tile, at.back,
        INPUTS=inputs, OUTPUTS=outputs, LANES=lanes, HAS_RESIDUAL=residual_grad is not None,
        UNROLL=blocking.unroll(outputs), TILE=tile, num_warps=blocking.WARPS,
    )  # fmt: skip
    return x_grad
