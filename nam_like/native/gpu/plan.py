"""What the kernels need to know about a layer array: sizes and activations, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

from nam_like.native.kinds import KINDS, PAIRS
from nam_like.native.wavenet import ActivationSpec, ArraySpec

__all__ = ["MOST_CHANNELS", "Activation", "ArrayPlan", "LayerPlan", "obstacle", "plan_of", "power_of_two"]

#: A thread holds all channels of a sample in registers; more would not fit.
MOST_CHANNELS = 32

#: Index into :data:`nam_like.native.kinds.KINDS`, and four constants: hashable, as kernels take it.
Activation = tuple[int, float, float, float, float]


@dataclass(frozen=True)
class LayerPlan:
    """One layer.

    Attributes:
        taps: of the dilated convolution.
        dilation: samples between taps.
        pair: index into :data:`nam_like.native.kinds.PAIRS`.
        primary: the activation, or that of the first half of the channels.
        secondary: that of the second half.
    """

    taps: int
    dilation: int
    pair: int
    primary: Activation
    secondary: Activation

    @property
    def shrink(self) -> int:
        """Samples by which the output is shorter."""
        return (self.taps - 1) * self.dilation


@dataclass(frozen=True)
class ArrayPlan:
    """One layer array.

    Attributes:
        inputs: channels that come in.
        conditions: channels of the condition, 0 for none.
        channels: from layer to layer.
        width: after the activations (the bottleneck).
        skips: output channels of the skip path's 1×1, 0 where there is none.
        has_1x1: whether the residual passes a 1×1.
        heads: channels of the head output.
        head_taps: of the head's convolution.
        head_bias: whether it has a bias.
        layers: in order.
    """

    inputs: int
    conditions: int
    channels: int
    width: int
    skips: int
    has_1x1: bool
    heads: int
    head_taps: int
    head_bias: bool
    layers: tuple[LayerPlan, ...]

    @property
    def branches(self) -> int:
        """2 for pairs of activations, else 1."""
        return 2 if self.layers[0].pair else 1

    @property
    def mid(self) -> int:
        """Channels before the activations."""
        return self.branches * self.width

    @property
    def skip_size(self) -> int:
        """Channels of the skip terms."""
        return self.skips or self.width

    @property
    def shrink(self) -> int:
        """Samples by which the residual is shorter than the input."""
        return sum(layer.shrink for layer in self.layers)


def obstacle(spec: ArraySpec, conditions: int) -> str:
    """Why the kernels do not cover an array; empty where they do."""
    if len({layer.pair == "none" for layer in spec.layers}) > 1:
        return "it has layers with and without a pair of activations in one array"
    if any(layer.activation.slopes or layer.secondary.slopes for layer in spec.layers):
        return "its activation is PReLU"
    widest = max(spec.inputs, conditions, spec.channels, spec.bottleneck, spec.skips, spec.heads)
    return f"it has {widest} channels, more than {MOST_CHANNELS}" if widest > MOST_CHANNELS else ""


def plan_of(spec: ArraySpec, conditions: int) -> ArrayPlan:
    """The plan of an array without an :func:`obstacle`."""
    return ArrayPlan(
        inputs=spec.inputs,
        conditions=conditions,
        channels=spec.channels,
        width=spec.bottleneck,
        skips=spec.skips if spec.skip_mix else 0,
        has_1x1=any(layer.residual for layer in spec.layers),
        heads=spec.heads,
        head_taps=spec.head_kernel_size,
        head_bias=spec.head_bias,
        layers=tuple(
            LayerPlan(
                layer.kernel_size,
                layer.dilation,
                PAIRS.index(layer.pair),
                numbers(layer.activation),
                numbers(layer.secondary),
            )
            for layer in spec.layers
        ),
    )


def numbers(activation: ActivationSpec) -> Activation:
    """An activation as the kernels take it."""
    a, b, c, d = (*activation.constants, 0.0, 0.0, 0.0, 0.0)[:4]
    return (KINDS.index(activation.kind), a, b, c, d)


def power_of_two(number: int) -> int:
    """The least power of two that is at least `number`."""
    return 1 << (number - 1).bit_length() if number > 1 else 1
