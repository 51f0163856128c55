"""What the kernels need to know about a layer array: sizes, activations, and where the weights lie."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["MOST_CHANNELS", "Activation", "ArrayPlan", "Kind", "LayerPlan", "Pair", "power_of_two"]

#: A thread holds all channels of a sample in registers; more would not fit.
MOST_CHANNELS = 32


class Kind(IntEnum):
    """Pointwise activations."""

    IDENTITY = 0
    TANH = 1
    FASTTANH = 2
    HARDTANH = 3
    LEAKY_HARDTANH = 4
    RELU = 5
    LEAKY_RELU = 6
    SIGMOID = 7
    SILU = 8
    HARDSWISH = 9
    SOFTSIGN = 10
    SOFTSIGMOID = 11


class Pair(IntEnum):
    """How two halves of the channels become one."""

    NONE = 0
    MULTIPLY = 1
    BLEND = 2


#: ``(kind, parameter, parameter, parameter, parameter)``: hashable and made of numbers, as kernels take it.
Activation = tuple[int, float, float, float, float]


@dataclass(frozen=True)
class LayerPlan:
    """One layer.

    Attributes:
        taps: of the dilated convolution.
        dilation: samples between taps.
        pair: see :class:`Pair`.
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
        groups_conv: groups of the dilated convolutions.
        groups_mixer: groups of the condition's 1×1s.
        groups_1x1: groups of the residual 1×1s.
        groups_skip: groups of the skip path's 1×1s.
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
    groups_conv: int = 1
    groups_mixer: int = 1
    groups_1x1: int = 1
    groups_skip: int = 1

    @property
    def branches(self) -> int:
        """2 for pairs of activations, else 1."""
        return 1 if self.layers[0].pair == Pair.NONE else 2

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


def power_of_two(number: int) -> int:
    """The least power of two that is at least `number`."""
    return 1 << (number - 1).bit_length() if number > 1 else 1
