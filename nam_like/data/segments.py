"""The segment map: which samples of a recording an item is made of, and how a batch of them is gathered.

With ``nx`` input samples per output sample and ``ny`` output samples per item, an item that starts at
sample `s` is `x[s : s + nx + ny − 1]` and `y[s + nx − 1 : s + nx + ny − 1]`. On the grid, item `i` starts
at `i · ny`: the outputs of consecutive items touch and never overlap. At random, `s` is uniform over all
starts that fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nam_like.errors import UserError

__all__ = ["SegmentMap", "gather", "mix_seed", "splitmix64"]

MASK64 = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def splitmix64(state: int) -> int:
    """Hash a 64-bit integer to 64 well-mixed bits.

    Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    z = (state + GOLDEN_GAMMA) & MASK64
    z = ((z ^ (z >> 30)) * MIX_1) & MASK64
    z = ((z ^ (z >> 27)) * MIX_2) & MASK64
    return z ^ (z >> 31)


def mix_seed(*parts: int) -> int:
    """Hash integers, in order, to one seed in `[0, 2^63)`."""
    state = 0
    for part in parts:
        state = splitmix64(state ^ (part & MASK64))
    return state >> 1


def _signed(value: int) -> int:
    """The 64 bits of `value` as the signed integer that torch holds them in."""
    return value - (1 << 64) if value >> 63 else value


def _shift_right(z: Tensor, bits: int) -> Tensor:
    """Logical shift; torch's own is arithmetic."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _splitmix64_tensor(state: Tensor) -> Tensor:
    """:func:`splitmix64` of each element of an int64 tensor (products wrap around)."""
    z = state + _signed(GOLDEN_GAMMA)
    z = (z ^ _shift_right(z, 30)) * _signed(MIX_1)
    z = (z ^ _shift_right(z, 27)) * _signed(MIX_2)
    return z ^ _shift_right(z, 31)


@dataclass(frozen=True)
class SegmentMap:
    """How a recording is cut into items.

    Attributes:
        samples: length of the recording.
        nx: input samples per output sample.
        ny: output samples per item; None makes the whole recording one item.

    Raises:
        UserError: no item fits.
    """

    samples: int
    nx: int
    ny: int | None = None

    def __post_init__(self) -> None:
        if self.nx < 1:
            raise UserError(f"expected `nx` to be at least 1, but got {self.nx}")
        if self.nx > self.samples:
            raise UserError(
                f"expected at least {self.nx} samples (the net's receptive field), but got {self.samples}"
            )
        longest = self.samples - self.nx + 1
        if self.ny is not None and not 1 <= self.ny <= longest:
            raise UserError(
                f"expected `ny` to be from 1 to {longest} ({self.samples} samples with a receptive field of "
                f"{self.nx}), but got {self.ny}"
            )

    @property
    def output_length(self) -> int:
        """Output samples per item."""
        return self.samples - self.nx + 1 if self.ny is None else self.ny

    @property
    def input_length(self) -> int:
        """Input samples per item."""
        return self.output_length + self.nx - 1

    @property
    def items(self) -> int:
        """How many items there are."""
        return (self.samples - self.nx + 1) // self.output_length

    @property
    def positions(self) -> int:
        """How many starts an item could have."""
        return self.samples - self.input_length + 1

    def grid_starts(self, indices: Tensor) -> Tensor:
        """Start of each item `(B,)` on the grid."""
        return indices * self.output_length

    def random_starts(self, indices: Tensor, seed: int, epoch: int) -> Tensor:
        """Start of each item `(B,)`, uniform over all positions: a hash of seed, epoch and index."""
        key = _signed(splitmix64(mix_seed(seed, epoch)))
        hashed = _splitmix64_tensor(_splitmix64_tensor(indices.to(torch.int64)) ^ key)
        return _shift_right(hashed, 1) % self.positions


def gather(signal: Tensor, starts: Tensor, length: int) -> Tensor:
    """Cut segments out of a signal with one indexing operation.

    Args:
        signal: `(L,)` or `(K, L)`.
        starts: `(B,)`, from 0 to `L − length`.
        length: of each segment.

    Returns:
        `(B, length)` or `(B, K, length)`.
    """
    windows = signal.unfold(-1, length, 1)
    # index_select is several times faster than indexing with brackets here.
    return windows.index_select(signal.dim() - 1, starts).movedim(signal.dim() - 1, 0)
