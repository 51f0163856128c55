"""What every dataset offers the run: items, a sample rate, a handshake with the net, an end.

An item is ``(x, *conditions, y)``. A batch is the same with a leading batch axis, made by one call of
:meth:`AbstractDataset.batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from nam_like.data.store import AudioSource, AudioStore
from nam_like.errors import HandshakeError, UserError

__all__ = [
    "AbstractDataset",
    "AudioSource",
    "AudioStore",
    "BatchIndices",
    "DataError",
    "DatasetContext",
    "HandshakeError",
    "Split",
]

Split: TypeAlias = Literal["train", "validation"]


class DataError(UserError):
    """A dataset that cannot be made as configured."""


@dataclass(frozen=True)
class DatasetContext:
    """What a run supplies to each dataset it builds.

    Attributes:
        nx: input samples per output sample: the net's receptive field.
        folders: where relative paths are looked up after the current directory.
        store: the run's audio files.
        split: which split the dataset is for.
        seed: of everything random in it.
    """

    nx: int
    folders: tuple[Path, ...] = ()
    store: AudioStore = field(default_factory=AudioStore)
    split: Split = "train"
    seed: int = 0


class BatchIndices(list[int]):
    """The items of one batch, and the epoch they are drawn in.

    The epoch travels with the indices, so that worker processes that outlive an epoch know it too.
    """

    def __init__(self, indices: Iterable[int] = (), epoch: int = 0) -> None:
        super().__init__(indices)
        self.epoch = epoch


class AbstractDataset(TorchDataset[Any]):
    """Base of all datasets.

    A subclass needs ``__len__`` and ``__getitem__``; everything else has a default.

    Attributes:
        sample_rate: Hz; None where unknown.
        nx: input samples per output sample; None where the dataset does not say.
        ny: output samples per item; None where an item is a whole file, or the dataset does not say.
        num_conditions: how many condition tensors stand between ``x`` and ``y``; None where unknown.
        condition_names: names of the values of the conditions (knobs), in their order.
        output_gain: what ``y`` was multiplied by beyond the config; an export divides by it.
        uniform_length: whether all items have the same length.
        streamed: whether it has no end and no indices, but ``stream(slot, slots, epoch)``.
        padded: whether a batch may hold items of different lengths, because :meth:`collate` pads them.
        name: what reports call it; empty where it has no name.
        lists: the files that say which audio files it has; a run records their hashes.
    """

    sample_rate: float | None = None
    nx: int | None = None
    ny: int | None = None
    num_conditions: int | None = None
    condition_names: tuple[str, ...] = ()
    output_gain: float = 1.0
    uniform_length: bool = True
    padded: bool = False
    streamed: bool = False
    name: str = ""
    lists: tuple[Path, ...] = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        """Return one item, ``(x, *conditions, y)``."""
        raise NotImplementedError

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Return a finished batch; what a data loader calls."""
        if isinstance(indices, BatchIndices):
            self.set_epoch(indices.epoch)
        return self.batch(torch.tensor(indices, dtype=torch.int64))

    def batch(self, indices: Tensor) -> Any:
        """Return the items `indices` `(B,)` stacked: ``(x (B, …), *conditions (B, …), y (B, …))``.

        Raises:
            DataError: the items differ in size.
        """
        return self.collate([self[index] for index in indices.tolist()])

    def collate(self, items: Sequence[Any]) -> Any:
        """Join items, of this dataset or of others of its kind, to a batch.

        Raises:
            DataError: the items differ in size.
        """
        try:
            return tuple_of(default_collate(list(items)))
        except RuntimeError as error:
            raise DataError(
                f"expected the items of a batch to have the same size, but got different ones ({error}); "
                "use a batch_size of 1"
            ) from error

    def set_epoch(self, epoch: int) -> None:
        """Start epoch `epoch`; whatever is random is a function of the seed, the epoch and the index only."""

    def base_datasets(self) -> Iterator[AbstractDataset]:
        """The datasets this one is made of; itself, unless it joins others."""
        yield self

    @property
    def sources(self) -> tuple[AudioSource, ...]:
        """The files it reads."""
        return ()

    def handshake(self, net: Any) -> None:
        """Check that `net` can be trained with these items. The net checks how many conditions there are.

        Raises:
            HandshakeError: the receptive field, the number of knobs or the sample rate does not fit.
        """
        receptive_field = getattr(net, "receptive_field", None)
        if self.nx is not None and isinstance(receptive_field, int) and receptive_field != self.nx:
            raise HandshakeError(
                f"expected the data's `nx` to be the receptive field, {receptive_field}, but got {self.nx}"
            )
        knobs = getattr(net, "num_knobs", None)
        if self.condition_names and isinstance(knobs, int) and knobs != len(self.condition_names):
            raise HandshakeError(
                f"expected data with the net's `num_knobs` of {knobs}, but got {len(self.condition_names)}: "
                f"{', '.join(self.condition_names)}"
            )
        rate = getattr(net, "sample_rate", None)
        if self.sample_rate is not None and isinstance(rate, int | float) and rate != self.sample_rate:
            raise HandshakeError(
                f"expected data of the net's sample rate, {rate:g} Hz, but got {self.sample_rate:g} Hz"
            )

    def shared_with(self, validation: AbstractDataset) -> str | None:
        """Say what is judged by the very targets of this one, in words for a warning; None: nothing known.

        Args:
            validation: a dataset that the net is judged by.
        """
        return None

    def scale_output(self, gain: float) -> None:
        """Multiply all of ``y`` by `gain` and remember it in :attr:`output_gain`.

        Raises:
            NotImplementedError: this kind of dataset cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot scale its output")

    def teardown(self) -> None:
        """Called once at the end of the run."""


def tuple_of(batch: Any) -> Any:
    """A collated batch with tuples where :func:`default_collate` makes lists."""
    return tuple(batch) if isinstance(batch, list) else batch
