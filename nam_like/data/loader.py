"""The data loader: whole batches from one call of the dataset, in an order that can be resumed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from nam_like.config.base import describe
from nam_like.data.adapters import as_dataset
from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.curriculum import Stage, StagedBatchSampler, StagedDataset
from nam_like.data.sampler import SeededBatchSampler, world
from nam_like.registry import did_you_mean

__all__ = ["BatchLoader", "make_dataloader"]

LOGGER = logging.getLogger(__name__)

OURS = ("batch_size", "shuffle", "drop_last")
"""Options that the batch sampler takes care of."""
REPLACED = ("dataset", "sampler", "batch_sampler", "collate_fn", "generator")
"""Arguments of ``DataLoader`` that have no meaning beside the batch sampler."""


class BatchLoader(DataLoader[Any]):
    """A ``DataLoader`` that knows where it is: saved amid an epoch, it goes on with the next batch.

    Trainers that ask loaders for ``state_dict`` (Lightning does) resume and neither repeat nor skip an item.
    """

    _position: tuple[int, int] | None = None

    @property
    def batches(self) -> SeededBatchSampler:
        """Which items make up each batch."""
        sampler: Any = self.batch_sampler
        return cast(SeededBatchSampler, sampler)

    def set_epoch(self, epoch: int, start_batch: int | None = None) -> None:
        """Choose the epoch and the batch to begin with; see :meth:`SeededBatchSampler.set_epoch`."""
        self.batches.set_epoch(epoch, start_batch)
        self._position = (epoch, self.batches.start_batch)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches of the sampler's epoch; counts them for :meth:`state_dict`."""
        epoch, start = self.batches.epoch, self.batches.start_batch
        for number, batch in enumerate(self._batches(), start=start + 1):
            self._position = (epoch, number)
            yield batch

    def _batches(self) -> Iterator[Any]:
        """The batches; without worker processes straight from the dataset, which makes them whole."""
        if self.num_workers or self.pin_memory:
            yield from super().__iter__()
        else:
            dataset: Any = self.dataset
            for indices in self.batches:
                yield dataset.__getitems__(indices)

    def state_dict(self) -> dict[str, int]:
        """Where the next batch is: ``epoch`` and ``batch``, counted per process."""
        epoch, batch = self.__dict__.get("_position", (self.batches.epoch, self.batches.start_batch))
        if batch >= len(self):
            epoch, batch = epoch + 1, 0
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.set_epoch(state["epoch"], state["batch"])


def make_dataloader(
    dataset: Any,
    options: Mapping[str, Any] | None = None,
    *,
    train: bool,
    seed: int = 0,
    stages: Sequence[Stage] = (),
) -> BatchLoader:
    """Make the loader of one split.

    Args:
        dataset: an :class:`AbstractDataset`, or any object with ``__len__`` and ``__getitem__``.
        options: keyword arguments of ``torch.utils.data.DataLoader``, as in ``train_dataloader``.
        train: which split it is for: seeds the order, and names the options in messages.
        seed: of the order; with `shuffle`, the order is a function of it and the epoch only.
        stages: of a curriculum: other lengths of items and batches in the first epochs.

    Returns:
        A loader of finished batches ``(x (B, …), *conditions, y (B, …))``. Trainers must not replace its
        sampler (``use_distributed_sampler=False``): it splits the items among processes itself.

    Raises:
        DataError: an option is unknown or cannot be used, or `drop_last` leaves no batch.
    """
    given = dict(options or {})
    section = "train_dataloader" if train else "val_dataloader"
    _check_options(given, section)
    dataset = as_dataset(dataset)
    batch_size = _batch_size(given.pop("batch_size", 1), dataset, section)
    order: dict[str, Any] = {
        "shuffle": bool(given.pop("shuffle", False)),
        "drop_last": bool(given.pop("drop_last", False)),
        "seed": seed if train else seed + 1,
    }
    if stages:
        dataset = StagedDataset(dataset, stages)
        sampler: SeededBatchSampler = StagedBatchSampler(dataset, batch_size, **order)
    else:
        sampler = SeededBatchSampler(len(dataset), batch_size, **order)
    _check_some_batch(sampler, section)
    if given.get("pin_memory") and not getattr(torch, "accelerator", torch.cuda).is_available():
        LOGGER.debug("`%s.pin_memory` has no use without an accelerator", section)
        given["pin_memory"] = False
    # A generator of its own: each iteration draws a seed for worker processes, and must not draw it from the
    # global generator, whose state a resumed run could not reproduce then.
    generator = torch.Generator().manual_seed(sampler.seed)
    return BatchLoader(dataset, batch_sampler=sampler, collate_fn=_unchanged, generator=generator, **given)


def _check_some_batch(sampler: SeededBatchSampler, section: str) -> None:
    """Raise where `drop_last` leaves no batch, in any stage."""
    processes = world()[1]
    among = f" for each of {processes} processes" if processes > 1 else ""
    stages = sampler.sizes[:-1] if isinstance(sampler, StagedBatchSampler) else []
    last = (
        sampler.sizes[-1] if isinstance(sampler, StagedBatchSampler) else (sampler.items, sampler.batch_size)
    )
    for number, (items, batch_size) in enumerate([*stages, last]):
        if sampler.drop_last and items < processes * batch_size:
            place = f"curriculum[{number}]" if number < len(stages) else section
            raise DataError(
                f"expected `{place}.batch_size` to be at most the {items} items there are{among}, as "
                f"`drop_last` is true, but got {batch_size}: no batch would be left"
            )


def _unchanged(batch: Any) -> Any:
    """The dataset makes finished batches; there is nothing left to collate."""
    return batch


def _check_options(given: Mapping[str, Any], section: str) -> None:
    """Raise for options that ``DataLoader`` does not have or that would be without effect."""
    known = [name for name in inspect.signature(DataLoader).parameters if name not in REPLACED]
    for name in given:
        if name in REPLACED:
            raise DataError(f"expected `{section}` without `{name}`: the run makes its own")
        if name not in known:
            raise DataError(
                f"expected options of DataLoader in `{section}`, but got `{name}`{did_you_mean(name, known)}"
            )
    for name in ("shuffle", "drop_last", "pin_memory"):
        if not isinstance(given.get(name, False), bool):
            raise DataError(
                f"expected `{section}.{name}` to be true or false, but got {describe(given[name])}"
            )


def _batch_size(value: Any, dataset: AbstractDataset, section: str) -> int:
    """The batch size, which whole recordings of different lengths limit to 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(
            f"expected `{section}.batch_size` to be a positive integer, but got {describe(value)}"
        )
    if value > 1 and not dataset.uniform_length and not dataset.padded:
        LOGGER.warning(
            "`%s.batch_size` is %d, but the recordings differ in length: they are taken one by one",
            section,
            value,
        )
        return 1
    return value
