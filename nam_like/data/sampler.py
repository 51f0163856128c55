"""The order of the items: a function of the seed and the epoch, split among processes, startable anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from nam_like.data.base import BatchIndices
from nam_like.data.segments import mix_seed

__all__ = ["SeededBatchSampler", "world"]


def world() -> tuple[int, int]:
    """Rank and number of the processes that train together; `(0, 1)` where only one does."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class SeededBatchSampler(Sampler[BatchIndices]):
    """Yields the batches of one process.

    All processes draw the same order of all items, and each takes every `world size`-th of it. They get
    equally many: the order is filled up from its beginning, or, with `drop_last`, cut to whole batches.

    Args:
        items: how many items there are.
        batch_size: items per batch and process.
        shuffle: draw a new order in each epoch; otherwise items come in theirs.
        drop_last: leave out a last batch that is not full.
        seed: of the order.

    Attributes:
        epoch: set by :meth:`set_epoch`.
        start_batch: the batch that the next iteration begins with; 0 again after it.
    """

    def __init__(
        self, items: int, batch_size: int, *, shuffle: bool = False, drop_last: bool = False, seed: int = 0
    ) -> None:
        self.items = items
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0
        self.start_batch = 0

    @property
    def sampler(self) -> SeededBatchSampler:
        """Itself: the trainer looks for ``set_epoch`` on the sampler of a batch sampler."""
        return self

    def set_epoch(self, epoch: int, start_batch: int | None = None) -> None:
        """Choose the epoch, and the batch in it to begin with.

        Args:
            epoch: counted from 0.
            start_batch: None begins at the first batch, but keeps a start that was set for this same epoch (a
                trainer that resumes announces the epoch once more).
        """
        if start_batch is not None:
            self.start_batch = start_batch
        elif epoch != self.epoch:
            self.start_batch = 0
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches per epoch and process."""
        per_process = self._per_process(world()[1])
        return per_process // self.batch_size if self.drop_last else -(-per_process // self.batch_size)

    def __iter__(self) -> Iterator[BatchIndices]:
        start, self.start_batch = self.start_batch, 0
        rank, processes = world()
        mine = self.order(self.epoch, processes)[rank::processes]
        for batch in range(start, len(self)):
            begin = batch * self.batch_size
            yield BatchIndices(mine[begin : begin + self.batch_size], self.epoch)

    def order(self, epoch: int, processes: int = 1) -> list[int]:
        """The items of an epoch in order, for all processes together, filled up or cut to be divisible."""
        if self.shuffle:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
            order = torch.randperm(self.items, generator=generator).tolist()
        else:
            order = list(range(self.items))
        wanted = self._per_process(processes) * processes
        repeats = -(-wanted // max(len(order), 1))
        return (order * repeats)[:wanted]

    def _per_process(self, processes: int) -> int:
        """How many items each process gets."""
        if self.drop_last:
            return self.items // (processes * self.batch_size) * self.batch_size
        return -(-self.items // processes)
