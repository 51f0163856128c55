"""A curriculum: in some epochs the items are of another length, or the batches of another size.

Which stage an epoch belongs to is a function of the epoch alone. Loader and sampler learn the epoch as they
always do, and tell it to the dataset with the indices of each batch, so that worker processes and resumed
runs are in the right stage without knowing about stages.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.concat import ConcatDataset
from nam_like.data.paired import PairedDataset
from nam_like.data.sampler import SeededBatchSampler
from nam_like.data.segments import SegmentMap
from nam_like.data.store import AudioSource

__all__ = ["Stage", "StagedBatchSampler", "StagedDataset", "recut"]


@dataclass(frozen=True)
class Stage:
    """What is different in some epochs.

    Attributes:
        until_epoch: the first epoch, counted from 0, that is no longer in it.
        ny: output samples per item; None leaves the dataset's.
        batch_size: items per batch; None leaves the loader's.
    """

    until_epoch: int
    ny: int | None = None
    batch_size: int | None = None


def stage_of(stages: Sequence[Stage], epoch: int) -> int:
    """Index of the stage of an epoch; ``len(stages)`` after all of them."""
    return next((i for i, stage in enumerate(stages) if epoch < stage.until_epoch), len(stages))


def recut(dataset: AbstractDataset, ny: int) -> AbstractDataset:
    """The same recordings, cut into items of another length. Nothing is copied.

    Args:
        dataset: of recordings.
        ny: output samples per item.

    Raises:
        DataError: the dataset is not one of recordings.
        UserError: no item of that length fits.
    """
    if isinstance(dataset, ConcatDataset):
        joined = ConcatDataset([recut(part, ny) for part in dataset.datasets])
        joined.output_gain = dataset.output_gain
        return joined
    if isinstance(dataset, PairedDataset):
        cut = copy.copy(dataset)
        cut.segments = SegmentMap(dataset.segments.samples, dataset.segments.nx, ny)
        cut.ny = ny
        return cut
    raise DataError(
        f"expected a dataset of recordings for a curriculum of `ny`, but got a {type(dataset).__name__}"
    )


class StagedDataset(AbstractDataset):
    """A dataset whose items have the length of the epoch's stage.

    Args:
        dataset: as it is after all stages.
        stages: in order.

    Raises:
        DataError: it cannot be cut anew.
    """

    def __init__(self, dataset: AbstractDataset, stages: Sequence[Stage]) -> None:
        self.dataset = dataset
        self.stages = tuple(stages)
        self.sample_rate, self.nx, self.ny = dataset.sample_rate, dataset.nx, dataset.ny
        self.num_conditions, self.condition_names = dataset.num_conditions, dataset.condition_names
        self.output_gain = dataset.output_gain
        self._cut()
        self._epoch = 0

    def _cut(self) -> None:
        cuts = [self.dataset if s.ny is None else recut(self.dataset, s.ny) for s in self.stages]
        self.cuts = [*cuts, self.dataset]

    def of_epoch(self, epoch: int) -> AbstractDataset:
        """The dataset as it is in an epoch."""
        return self.cuts[stage_of(self.stages, epoch)]

    @property
    def _current(self) -> AbstractDataset:
        return self.of_epoch(self._epoch)

    def __len__(self) -> int:
        return len(self._current)

    def __getitem__(self, index: int) -> Any:
        """Return one item of the present stage."""
        return self._current[index]

    def batch(self, indices: Tensor) -> Any:
        """Return items of the present stage, stacked."""
        return self._current.batch(indices)

    def set_epoch(self, epoch: int) -> None:
        """Start an epoch, and with it perhaps a stage."""
        self._epoch = epoch
        self._current.set_epoch(epoch)

    def base_datasets(self) -> Iterator[AbstractDataset]:
        """The datasets that hold samples."""
        return self.dataset.base_datasets()

    @property
    def uniform_length(self) -> bool:  # type: ignore[override]
        """Whether the items of each stage have one length."""
        return all(cut.uniform_length for cut in self.cuts)

    @property
    def sources(self) -> tuple[AudioSource, ...]:
        """The files it reads."""
        return self.dataset.sources

    def handshake(self, net: Any) -> None:
        """Let the dataset check the net."""
        self.dataset.handshake(net)

    def teardown(self) -> None:
        """Tear the dataset down."""
        self.dataset.teardown()

    def to(self, device: Any) -> StagedDataset:
        """Move the recordings to a device, once for all stages."""
        move = getattr(self.dataset, "to", None)
        if move is not None:
            self.dataset = move(device)
            self._cut()
        return self


class StagedBatchSampler(SeededBatchSampler):
    """A batch sampler whose number of items and batch size are those of the epoch's stage.

    Args:
        dataset: knows how many items there are.
        batch_size: after all stages, and in those that set none.
        options: of :class:`SeededBatchSampler`.

    Attributes:
        sizes: items per epoch and per batch of each stage, and after all of them.
    """

    def __init__(self, dataset: StagedDataset, batch_size: int, **options: Any) -> None:
        super().__init__(len(dataset.of_epoch(0)), batch_size, **options)
        sizes = [stage.batch_size or batch_size for stage in dataset.stages]
        self._stages = dataset.stages
        self.sizes = [(len(cut), size) for cut, size in zip(dataset.cuts, [*sizes, batch_size], strict=True)]
        self._enter(0)

    def set_epoch(self, epoch: int, start_batch: int | None = None) -> None:
        """As :meth:`SeededBatchSampler.set_epoch`."""
        super().set_epoch(epoch, start_batch)
        self._enter(epoch)

    def batches_of(self, epoch: int) -> int:
        """Batches per process in an epoch."""
        before = self.items, self.batch_size
        self._enter(epoch)
        count = len(self)
        self.items, self.batch_size = before
        return count

    def _enter(self, epoch: int) -> None:
        self.items, self.batch_size = self.sizes[stage_of(self._stages, epoch)]
