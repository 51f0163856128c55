"""Batches of an endless stream of examples, the same in every run, and never the same in two workers."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nam_like.data.base import DataError
from nam_like.data.sampler import world
from nam_like.data.speech_batch import Example, collate

__all__ = ["BatchLimits", "StreamLoader", "Streamed", "groups"]

LOGGER = logging.getLogger(__name__)


class Streamed(Protocol):
    """A dataset without indices.

    One that also has ``plans(slot, slots, epoch)``, which yields objects with ``seconds``, and
    ``load(plan)``, which makes an example of one, is resumed without reading the audio before that point.
    """

    sample_rate: float | None

    def stream(self, slot: int, slots: int, epoch: int) -> Iterator[Example]:
        """Yield the examples of one of `slots` disjoint parts, endlessly."""


@dataclass(frozen=True)
class BatchLimits:
    """How much a batch holds.

    Attributes:
        batch_size: most examples; None sets no limit.
        batch_duration: most seconds, as long as all examples are padded to the longest; None sets no limit.
        quadratic_duration: an example of `d` seconds counts as `d + d² / quadratic_duration`: nets with
            attention need more than twice as much for twice the length. None counts `d`.

    Raises:
        DataError: there is no limit, or one is not positive.
    """

    batch_size: int | None = None
    batch_duration: float | None = None
    quadratic_duration: float | None = None

    def __post_init__(self) -> None:
        if self.batch_size is None and self.batch_duration is None:
            raise DataError("Batch size is not configured: expected `batch_size` or `batch_duration`")
        for name in ("batch_size", "batch_duration", "quadratic_duration"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not value > 0):
                raise DataError(f"expected `{name}` to be positive, but got {value}")
        if self.quadratic_duration is not None and self.batch_duration is None:
            raise DataError("expected `quadratic_duration` beside `batch_duration`, but got it alone")

    def cost(self, seconds: float) -> float:
        """What an example counts."""
        return seconds if self.quadratic_duration is None else seconds + seconds**2 / self.quadratic_duration

    def allow(self, examples: int, longest: float) -> bool:
        """Whether a batch may have that many examples, of which the longest has that many seconds."""
        if self.batch_size is not None and examples > self.batch_size:
            return False
        return self.batch_duration is None or examples * self.cost(longest) <= self.batch_duration


def groups(items: Iterable[Any], limits: BatchLimits, seconds: Any) -> Iterator[list[Any]]:
    """Put items together until a batch is full; an item that is too long for any is one of its own.

    Args:
        items: in their order.
        limits: of a batch.
        seconds: how long an item is.
    """
    group: list[Any] = []
    longest = 0.0
    for item in items:
        length = seconds(item)
        if group and not limits.allow(len(group) + 1, max(longest, length)):
            yield group
            group, longest = [], 0.0
        group.append(item)
        longest = max(longest, length)
        if limits.batch_size is not None and len(group) == limits.batch_size:
            yield group
            group, longest = [], 0.0
    if group:
        yield group


class StreamLoader:
    """Yields the batches of a stream; it has no length, so a trainer must be told how long an epoch is.

    Each worker of each process reads its own part of the stream. Batch `b` of a process comes from worker
    `b mod workers`, whichever batch one begins with. An epoch that is begun anew is the same again.

    Args:
        dataset: what is streamed.
        batch_size: most examples of a batch.
        seed: of the workers' global generators; the examples depend on the dataset's.
        num_workers: processes that make batches; 0 makes them here.
        pin_memory: put batches where the accelerator copies from.
        batch_duration: most seconds of a batch, see :class:`BatchLimits`.
        quadratic_duration: see :class:`BatchLimits`.
        prefetch_factor: batches that each worker makes ahead.
        timeout: seconds that a batch may take in a worker; 0 waits for ever.
        multiprocessing_context: how workers start: ``"fork"``, ``"spawn"`` or ``"forkserver"``.

    Attributes:
        epoch: set by :meth:`set_epoch`.
        start_batch: the batch that the next iteration begins with; 0 again after it.

    Raises:
        DataError: a batch has no limit.
    """

    def __init__(
        self,
        dataset: Streamed,
        batch_size: int | None = None,
        *,
        seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool = False,
        batch_duration: float | None = None,
        quadratic_duration: float | None = None,
        prefetch_factor: int | None = None,
        timeout: float = 0,
        multiprocessing_context: str | None = None,
    ) -> None:
        self.dataset = dataset
        self.limits = BatchLimits(batch_size, batch_duration, quadratic_duration)
        self.num_workers = num_workers
        self.epoch = 0
        self.start_batch = 0
        self._position: tuple[int, int] | None = None
        self._batches = _Batches(dataset, self.limits)
        accelerator = getattr(torch, "accelerator", torch.cuda)
        self._loader: DataLoader[Any] | None = None
        if num_workers or (pin_memory and accelerator.is_available()):
            self._loader = DataLoader(
                self._batches,
                batch_size=None,
                num_workers=num_workers,
                pin_memory=pin_memory and accelerator.is_available(),
                persistent_workers=num_workers > 0,
                prefetch_factor=prefetch_factor if num_workers else None,
                timeout=timeout,
                multiprocessing_context=multiprocessing_context if num_workers else None,
                generator=torch.Generator().manual_seed(seed),
            )

    @property
    def sampler(self) -> StreamLoader:
        """Itself: the trainer looks for ``set_epoch`` on the sampler of a loader."""
        return self

    def set_epoch(self, epoch: int, start_batch: int | None = None) -> None:
        """Choose the epoch, and the batch in it to begin with.

        Args:
            epoch: counted from 0.
            start_batch: None begins at the first batch, but keeps a start that was set for this same epoch.
        """
        if start_batch is not None:
            self.start_batch = start_batch
        elif epoch != self.epoch:
            self.start_batch = 0
        self.epoch = epoch
        self._position = None

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield batches, endlessly; counts them for :meth:`state_dict`."""
        epoch, start = self.epoch, self.start_batch
        self.start_batch = 0
        self._batches.begin(epoch, start)
        source: Iterable[Any] = self._batches if self._loader is None else self._loader
        for number, batch in enumerate(source, start=start + 1):
            self._position = (epoch, number)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the next batch is: ``epoch`` and ``batch``, counted per process."""
        epoch, batch = self._position or (self.epoch, self.start_batch)
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.set_epoch(state["epoch"], state["batch"])


class _Batches(IterableDataset[Any]):
    """The batches of one worker; where they begin is in memory that workers share."""

    def __init__(self, dataset: Streamed, limits: BatchLimits) -> None:
        self.dataset: Any = dataset
        self.limits = limits
        # Workers outlive epochs, and they know nothing of the other processes.
        self.position = torch.zeros(4, dtype=torch.int64)
        self.position.share_memory_()  # type: ignore[no-untyped-call]

    def begin(self, epoch: int, start: int) -> None:
        """Tell all workers what comes next."""
        self.position.copy_(torch.tensor([epoch, start, *world()]))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        epoch, start, rank, processes = self.position.tolist()
        info = get_worker_info()
        workers, number = (1, 0) if info is None else (info.num_workers, info.id)
        # The loader asks its worker 0 first; that one plays the worker whose turn it is.
        worker = (number + start) % workers
        skipped = (start - worker + workers - 1) // workers
        slot, slots = rank * workers + worker, processes * workers
        for group in itertools.islice(self._groups(slot, slots, epoch), skipped, None):
            yield collate([self._load(item) for item in group])

    def _groups(self, slot: int, slots: int, epoch: int) -> Iterator[list[Any]]:
        if hasattr(self.dataset, "plans"):
            plans = self.dataset.plans(slot, slots, epoch)
            return groups(plans, self.limits, lambda plan: plan.seconds)
        examples = self.dataset.stream(slot, slots, epoch)
        return groups(examples, self.limits, self._seconds)

    def _seconds(self, example: Example) -> float:
        samples = max(signal.shape[-1] for signal in example.signals.values())
        return samples / float(self.dataset.sample_rate or 1.0)

    def _load(self, item: Any) -> Example:
        loaded: Example = self.dataset.load(item) if hasattr(self.dataset, "plans") else item
        return loaded
