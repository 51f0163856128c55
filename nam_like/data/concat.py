"""Several datasets, one after the other, as one."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.store import AudioSource

__all__ = ["ConcatDataset", "ConcatDatasetError"]


class ConcatDatasetError(DataError):
    """Datasets that cannot be joined."""


class ConcatDataset(AbstractDataset):
    """The items of several datasets in order; each of them takes part in handshake, hooks and teardown.

    Items of whole recordings may differ in length; :attr:`uniform_length` says whether they do.

    Args:
        datasets: at least one.

    Raises:
        ConcatDatasetError: there is none, or they differ in `nx`, `ny`, sample rate, or number or names of
            conditions.
    """

    def __init__(self, datasets: Sequence[AbstractDataset]) -> None:
        if not datasets:
            raise ConcatDatasetError("expected at least one dataset, but got an empty list")
        self.datasets = list(datasets)
        self.nx = self._common("nx")
        self.ny = self._common_ny()
        self.sample_rate = self._common("sample_rate")
        self.num_conditions = self._common("num_conditions")
        self.condition_names = self._common("condition_names") or ()
        self._align_conditions()
        self.ends = list(itertools.accumulate(len(dataset) for dataset in self.datasets))
        self.uniform_length = self._is_uniform()
        self.padded = all(dataset.padded for dataset in self.datasets)

    def __len__(self) -> int:
        return self.ends[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """Return which dataset item `index` is in, and which item of it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an item from 0 to {len(self) - 1}, but got {index}")
        index %= len(self)
        which = bisect.bisect_right(self.ends, index)
        return which, index - (self.ends[which - 1] if which else 0)

    def __getitem__(self, index: int) -> Any:
        """Return one item, ``(x, *conditions, y)``."""
        which, item = self.locate(index)
        return self.datasets[which][item]

    def batch(self, indices: Tensor) -> Any:
        """Return the items `indices` `(B,)` stacked: one gather per dataset that takes part.

        Raises:
            DataError: the items differ in size.
        """
        if len(self.datasets) == 1:
            return self.datasets[0].batch(indices)
        if self.padded:
            return self.collate([self[index] for index in indices.tolist()])
        indices = indices.cpu()
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            raise IndexError(f"expected items from 0 to {len(self) - 1}, but got {indices.tolist()}")
        ends = torch.tensor(self.ends)
        which = torch.bucketize(indices, ends, right=True)
        begins = torch.cat([ends.new_zeros(1), ends[:-1]])
        items = indices - begins[which]
        present = sorted(set(which.tolist()))
        if len(present) == 1:
            return self.datasets[present[0]].batch(items)
        places = [(which == number).nonzero()[:, 0] for number in present]
        parts = [
            self.datasets[number].batch(items[place]) for number, place in zip(present, places, strict=True)
        ]
        if not all(isinstance(part, tuple) and all(isinstance(t, Tensor) for t in part) for part in parts):
            return super().batch(indices)
        back = torch.cat(places).argsort()
        return tuple(_joined(tensors, back) for tensors in zip(*parts, strict=True))

    def collate(self, items: Sequence[Any]) -> Any:
        """Join items of any of the datasets as the first one does."""
        return self.datasets[0].collate(items)

    @property
    def names(self) -> list[str]:
        """What each item is called, where the datasets say so."""
        return [name for dataset in self.datasets for name in getattr(dataset, "names", ())]

    def set_epoch(self, epoch: int) -> None:
        """Start epoch `epoch` in each dataset."""
        for dataset in self.datasets:
            dataset.set_epoch(epoch)

    def base_datasets(self) -> Iterator[AbstractDataset]:
        """The datasets that hold samples, nested lists flattened."""
        for dataset in self.datasets:
            yield from dataset.base_datasets()

    @property
    def sources(self) -> tuple[AudioSource, ...]:
        """The files they read, each once."""
        return tuple(dict.fromkeys(source for dataset in self.datasets for source in dataset.sources))

    def handshake(self, net: Any) -> None:
        """Let each dataset check the net."""
        for dataset in self.datasets:
            dataset.handshake(net)

    def scale_output(self, gain: float) -> None:
        """Scale each dataset's output."""
        for dataset in self.datasets:
            dataset.scale_output(gain)
        self.output_gain *= gain

    def teardown(self) -> None:
        """Tear each dataset down."""
        for dataset in self.datasets:
            dataset.teardown()

    def to(self, device: torch.device | str) -> ConcatDataset:
        """Move each dataset that can to a device."""
        for dataset in self.datasets:
            move = getattr(dataset, "to", None)
            if move is not None:
                move(device)
        return self

    def _common(self, attribute: str) -> Any:
        """The value that all datasets which know it have."""
        known = [
            (number, value)
            for number, dataset in enumerate(self.datasets)
            if (value := getattr(dataset, attribute)) is not None
        ]
        for number, value in known:
            if value != known[0][1]:
                raise ConcatDatasetError(
                    f"expected datasets of a list to have the same `{attribute}`, but got {known[0][1]} in "
                    f"entry {known[0][0]} and {value} in entry {number}"
                )
        return known[0][1] if known else None

    def _common_ny(self) -> int | None:
        """`ny` of all datasets; where they are whole recordings (null), their lengths may differ."""
        whole = [number for number, d in enumerate(self.datasets) if d.nx is not None and d.ny is None]
        cut = [number for number, d in enumerate(self.datasets) if d.ny is not None]
        if whole and cut:
            raise ConcatDatasetError(
                f"expected datasets of a list to have the same `ny`, but got {self.datasets[cut[0]].ny} in "
                f"entry {cut[0]} and null in entry {whole[0]}"
            )
        common: int | None = self._common("ny")
        return common

    def _align_conditions(self) -> None:
        """Let constant conditions run along with time where other entries' do, so that they stack."""
        varying = [getattr(d, "time_aligned", False) for d in self.datasets]
        if any(varying) and not all(varying):
            for dataset in self.datasets:
                align = getattr(dataset, "align_conditions", None)
                if align is not None:
                    align()

    def _is_uniform(self) -> bool:
        if not all(dataset.uniform_length for dataset in self.datasets):
            return False
        lengths = {d.segments.input_length for d in self.base_datasets() if hasattr(d, "segments")}
        return len(lengths) <= 1

    @property
    def time_aligned(self) -> bool:
        """Whether a condition runs along with time."""
        return any(getattr(dataset, "time_aligned", False) for dataset in self.datasets)

    def align_conditions(self) -> None:
        """Let constant conditions run along with time in each dataset."""
        for dataset in self.datasets:
            align = getattr(dataset, "align_conditions", None)
            if align is not None:
                align()


def _joined(tensors: Sequence[Tensor], order: Tensor) -> Tensor:
    """Stack parts of a batch and put the rows into the order of the indices."""
    sizes = {tuple(tensor.shape[1:]) for tensor in tensors}
    if len(sizes) > 1:
        raise DataError(
            f"expected items of the same size in a batch, but got {sorted(sizes)}; use a batch_size of 1"
        )
    joined = torch.cat(list(tensors))
    return joined[order.to(joined.device)]
