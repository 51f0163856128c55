"""Cuts by number: a finite dataset whose examples any number of workers can make."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.cuts.examples import ExampleMaker
from nam_like.data.cuts.sources import CutSource, JoinedCuts
from nam_like.data.segments import mix_seed
from nam_like.data.speech_batch import Example, collate

__all__ = ["CutsDataset"]


class CutsDataset(AbstractDataset):
    """Examples of cuts; each is a function of the seed, the epoch and its index.

    Args:
        sources: of the cuts, one after the other.
        make: makes examples.
        seed: of everything random.
        tags: of each source.

    Raises:
        DataError: there is no cut.
    """

    uniform_length = False
    padded = True

    def __init__(
        self,
        sources: Sequence[CutSource],
        make: ExampleMaker,
        *,
        seed: int = 0,
        tags: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.cuts = JoinedCuts(tuple(sources))
        if not len(self.cuts):
            raise DataError("expected at least one cut within min_duration and max_duration, but got none")
        self.make = make
        self.seed = seed
        self.epoch = 0
        self.sample_rate = float(make.sample_rate)
        self._tags = list(tags) or [{}] * len(self.cuts.members)

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, index: int) -> Example:
        """Return one example.

        Raises:
            DataError: it cannot be made.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an item from 0 to {len(self) - 1}, but got {index}")
        index %= len(self)
        member, inside = self.cuts.locate(index)
        cut = self.cuts.members[member].cut(inside)
        return self.make(cut, mix_seed(self.seed, self.epoch, index), self._tags[member])

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the batch of the examples `indices` `(B,)`, as :func:`collate` makes it."""
        return collate([self[index] for index in indices.tolist()])

    def set_epoch(self, epoch: int) -> None:
        """Draw windows, noises and rooms anew."""
        self.epoch = epoch

    @functools.cached_property
    def names(self) -> list[str]:
        """What messages and reports call each example."""
        return [self.cuts.name(index) for index in range(len(self))]
