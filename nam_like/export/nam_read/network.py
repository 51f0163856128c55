"""What every architecture is made of: a network with explicit state, weight layouts, causal convolutions.

A network itself never changes while it plays; what it remembers of the past stands in a :data:`State`
that the caller keeps, so that one loaded file can play any number of streams.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from nam_like.errors import NamFileError

__all__ = [
    "MAX_CHANNELS",
    "MAX_RECEPTIVE_FIELD",
    "Array",
    "CausalConv",
    "ConvShape",
    "Network",
    "Slot",
    "State",
    "split_weights",
]

Array = NDArray[np.float64]
State = dict[str, Array]
# Generous bounds (the widest published captures have 32 channels, the longest impulse responses seconds),
# so that a corrupt number is an error message and not an exhausted memory.
MAX_CHANNELS = 1024
MAX_RECEPTIVE_FIELD = 2**24


class Network(ABC):
    """A causal network from `(in_channels, T)` to `(out_channels, T)`, float64.

    Attributes:
        in_channels: rows of the input.
        out_channels: rows of the output.
        receptive_field: input samples that one output sample depends on (1 for recurrent networks).
        prewarm_samples: zeros the engine feeds before the first sample, so that the state has settled.
        num_weights: numbers of the file that this network uses.
        chunk: samples per call of `process` that run fastest.
    """

    in_channels: int = 1
    out_channels: int = 1
    receptive_field: int = 1
    prewarm_samples: int = 1
    num_weights: int = 0
    chunk: int = 4096

    @abstractmethod
    def initial_state(self) -> State:
        """A fresh state, as the file gives it: zeros, or an LSTM's stored h and c."""

    @abstractmethod
    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(in_channels, T)` and bring `state` up to date.

        Args:
            x: input; T may be any number of samples.
            state: from :meth:`initial_state` or the previous call; its entries are replaced.
            fast: use the engine's approximate tanh where plugins do.
        """

    def _check_size(self, where: str) -> None:
        """Refuse a receptive field no capture can have (its delay lines would fill the memory)."""
        if self.receptive_field > MAX_RECEPTIVE_FIELD:
            raise NamFileError(
                f"expected `{where}` to have a receptive field of at most {MAX_RECEPTIVE_FIELD} samples,"
                f" but got {self.receptive_field}"
            )


@dataclass(frozen=True)
class Slot:
    """One tensor in the flat list of weights: its name and shape, stored in C order."""

    name: str
    shape: tuple[int, ...]


def split_weights(slots: Iterable[Slot], weights: NDArray[np.float32], where: str) -> dict[str, Array]:
    """Cut the flat list into named float64 tensors, in the order of `slots`.

    Raises:
        NamFileError: the list is longer or shorter than the slots need.
    """
    slots = list(slots)
    expected = sum(prod(slot.shape) for slot in slots)
    if expected != len(weights):
        raise NamFileError(
            f"weight count mismatch: expected {expected} weights for `{where}`,"
            f" but the file holds {len(weights)}"
        )
    tensors: dict[str, Array] = {}
    start = 0
    for slot in slots:
        end = start + prod(slot.shape)
        tensors[slot.name] = weights[start:end].astype(np.float64).reshape(slot.shape)
        start = end
    return tensors


@dataclass(frozen=True)
class ConvShape:
    """The shape of a causal convolution over time.

    Its weights in the file: `(outputs, inputs / groups, kernel)` in C order, the last tap meets the newest
    sample; then `(outputs,)` if there is a bias.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def history(self) -> int:
        """Past samples that an output depends on."""
        return (self.kernel - 1) * self.dilation

    def slots(self, name: str) -> list[Slot]:
        """Where its weights stand in the file."""
        weight = Slot(f"{name}.weight", (self.outputs, self.inputs // self.groups, self.kernel))
        return [weight, Slot(f"{name}.bias", (self.outputs,))] if self.bias else [weight]

    def check(self, where: str) -> None:
        """Refuse widths that are out of bounds or that the groups do not divide.

        Raises:
            NamFileError: with the place and both numbers.
        """
        for what, width in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not 1 <= width <= MAX_CHANNELS:
                raise NamFileError(f"expected `{where}` to have 1 to {MAX_CHANNELS} {what}, but got {width}")
            if width % self.groups:
                raise NamFileError(
                    f"expected the {width} {what} of `{where}` to be divisible by its {self.groups} groups"
                )


class CausalConv:
    """A dilated causal convolution as one matrix product per tap; groups are unfolded to block diagonals."""

    def __init__(self, shape: ConvShape, name: str, tensors: Mapping[str, Array], prefix: str = "") -> None:
        self.shape = shape
        self.key = prefix + name
        self.taps = np.ascontiguousarray(np.moveaxis(_unfold(tensors[f"{name}.weight"], shape.groups), 2, 0))
        self.bias = tensors[f"{name}.bias"][:, None] if shape.bias else None

    def initial_state(self) -> State:
        """Silence in the delay line; nothing for a 1×1."""
        if self.shape.history == 0:
            return {}
        return {self.key: np.zeros((self.shape.inputs, self.shape.history))}

    def __call__(self, x: Array, state: State) -> Array:
        """`(inputs, T)` → `(outputs, T)`, with the past taken from and left in `state`."""
        if self.shape.history == 0:
            y: Array = self.taps[0] @ x
        else:
            y = self._with_past(x, state)
        if self.bias is not None:
            y += self.bias
        return y

    def _with_past(self, x: Array, state: State) -> Array:
        length = x.shape[1]
        joined = np.concatenate([state[self.key], x], axis=1)
        y: Array = self.taps[-1] @ x
        for k in range(self.shape.kernel - 1):
            start = k * self.shape.dilation
            y += self.taps[k] @ joined[:, start : start + length]
        state[self.key] = joined[:, length:].copy()
        return y


def _unfold(weight: Array, groups: int) -> Array:
    """`(out, in / groups, K)` → `(out, in, K)`, zero between the groups."""
    if groups == 1:
        return weight
    outputs, inputs, kernel = weight.shape
    dense = np.zeros((outputs, inputs * groups, kernel))
    rows = outputs // groups
    for g in range(groups):
        dense[g * rows : (g + 1) * rows, g * inputs : (g + 1) * inputs] = weight[g * rows : (g + 1) * rows]
    return dense
