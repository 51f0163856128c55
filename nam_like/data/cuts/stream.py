"""Endless streams of examples: from archives read front to back, and from mixtures of sources.

A stream runs in slots, one for each worker of each process. Slots share the cuts of each source: archives
where there are enough of them, cuts by their number otherwise. Within one pass over a source no cut comes
twice.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.cuts.examples import ExampleMaker
from nam_like.data.cuts.mixture import Mixture
from nam_like.data.cuts.shar import ShardSource
from nam_like.data.cuts.sources import CutSource
from nam_like.data.segments import mix_seed
from nam_like.data.speech_batch import Example

__all__ = ["CutsStream", "Leaf", "Plan", "draws", "shuffled"]

_AHEAD = 16
"""Cuts that a shuffled stream reads before it gives the first."""
_CHOICE, _ORDER, _BUFFER, _SLICE = 1, 2, 3, 4


@dataclass(frozen=True)
class Leaf:
    """A source of a stream.

    Attributes:
        source: cuts by number, or archives.
        sharded: whether it consists of archives.
        probability: how often it is drawn from.
        tags: that its examples get.
        name: what messages call it.
        seed: of its order; None takes the stream's.
    """

    source: CutSource | ShardSource
    sharded: bool
    probability: float = 1.0
    tags: Mapping[str, Any] = field(default_factory=dict)
    name: str = "cuts"
    seed: int | None = None


@dataclass(frozen=True)
class Plan:
    """An example that was not made yet.

    Attributes:
        cut: what it is made of.
        seed: of what is random in it.
        seconds: how long it will be.
        tags: that it gets.
    """

    cut: Any
    seed: int
    seconds: float
    tags: Mapping[str, Any]


def draws(probabilities: Sequence[float], seed: int) -> Iterator[int]:
    """Draw numbers of sources, endlessly."""
    ends = list(itertools.accumulate(probabilities))
    rng = np.random.default_rng(seed)
    while True:
        for value in rng.random(1024).tolist():
            yield min(bisect.bisect_right(ends, value * ends[-1]), len(ends) - 1)


def shuffled(items: Iterable[Any], capacity: int, rng: np.random.Generator) -> Iterator[Any]:
    """Give items in another order, out of a buffer.

    The buffer fills while items are given: two are read for each, until there are `capacity`. So the first
    does not wait for all of them.

    Args:
        items: in their order.
        capacity: of the buffer; up to 1 leaves the order as it is.
        rng: draws which is next.
    """
    if capacity <= 1:
        yield from items
        return
    buffer: list[Any] = []
    source = iter(items)
    buffer.extend(itertools.islice(source, min(_AHEAD, capacity)))
    while buffer:
        chosen = int(rng.integers(len(buffer)))
        buffer[chosen], buffer[-1] = buffer[-1], buffer[chosen]
        yield buffer.pop()
        buffer.extend(itertools.islice(source, min(2, capacity - len(buffer))))


class CutsStream(AbstractDataset):
    """Examples of an endless stream of cuts; a function of the seed, the epoch, the slot and their number.

    Args:
        leaves: the sources.
        make: makes examples.
        seed: of everything random in the examples, and of which source is drawn from.
        shuffle_buffer_size: cuts held per worker to be given in another order, shared by archives according
            to their probabilities; never more than a pass has. Up to 1 keeps the order within an archive.
        mixture: where `leaves` come from, for the record.

    Raises:
        DataError: there is no source.
    """

    streamed = True
    uniform_length = False
    padded = True

    def __init__(
        self,
        leaves: Sequence[Leaf],
        make: ExampleMaker,
        *,
        seed: int = 0,
        shuffle_buffer_size: int = 10000,
        mixture: Mixture | None = None,
    ) -> None:
        if not leaves:
            raise DataError("expected at least one source of cuts, but got none")
        self.leaves = tuple(leaves)
        self.make = make
        self.seed = seed
        self.shuffle_buffer_size = shuffle_buffer_size
        self.mixture = mixture
        self.sample_rate = float(make.sample_rate)

    def stream(self, slot: int, slots: int, epoch: int) -> Iterator[Example]:
        """Yield the examples of one slot, endlessly.

        Args:
            slot: rank · workers + worker.
            slots: how many there are.
            epoch: counted from 0.

        Raises:
            DataError: a source has fewer cuts than there are slots, or an example cannot be made.
        """
        return (self.load(plan) for plan in self.plans(slot, slots, epoch))

    def plans(self, slot: int, slots: int, epoch: int) -> Iterator[Plan]:
        """As :meth:`stream`, but without reading audio."""
        mine = mix_seed(self.seed, epoch, slot)
        sources = [self._cuts(number, slot, slots, epoch) for number in range(len(self.leaves))]
        choices = draws([leaf.probability for leaf in self.leaves], mix_seed(mine, _CHOICE))
        for number, choice in enumerate(choices):
            cut = next(sources[choice])
            seconds = self.make.seconds(float(cut.duration))
            yield Plan(cut, mix_seed(mine, number), seconds, self.leaves[choice].tags)

    def load(self, plan: Plan) -> Example:
        """Make an example."""
        return self.make(plan.cut, plan.seed, plan.tags)

    def batch(self, indices: Tensor) -> Any:
        """A stream has no indices.

        Raises:
            DataError: always.
        """
        raise DataError("expected a stream to be read by StreamLoader, but got indices of items")

    def _cuts(self, number: int, slot: int, slots: int, epoch: int) -> Iterator[Any]:
        """The cuts of one source that belong to one slot, pass after pass."""
        leaf = self.leaves[number]
        for repeat in itertools.count():
            # The same in all slots, which therefore agree on who gets what.
            base = self.seed if leaf.seed is None else leaf.seed
            seed = mix_seed(base, number, epoch, repeat)
            order = np.random.default_rng(mix_seed(seed, _ORDER)).permutation(len(leaf.source)).tolist()
            given = 0
            for cut in self._pass(leaf, order, slot, slots, seed):
                given += 1
                yield cut
            if not given:
                raise DataError(
                    f"{leaf.name}: expected at least one cut within the duration limits for each of {slots} "
                    f"{'processes and workers' if slots > 1 else 'process'}, but got none for number {slot}"
                )

    def _pass(self, leaf: Leaf, order: Sequence[int], slot: int, slots: int, seed: int) -> Iterator[Any]:
        """One slot's part of one pass."""
        source: Any = leaf.source
        if not leaf.sharded:
            return (source.cut(index) for index in order[slot::slots])
        by_shard = len(order) >= slots

        def rng(shard: int) -> np.random.Generator:
            return np.random.default_rng(mix_seed(seed, _SLICE, shard))

        shards = order[slot::slots] if by_shard else order
        cuts = itertools.chain.from_iterable(source.read(shard, rng(shard)) for shard in shards)
        mine = cuts if by_shard else itertools.islice(cuts, slot, None, slots)
        capacity = math.ceil(self.shuffle_buffer_size * leaf.probability)
        return shuffled(mine, capacity, np.random.default_rng(mix_seed(seed, _BUFFER, slot)))
