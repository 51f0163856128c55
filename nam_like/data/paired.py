"""The paired dataset: a dry recording, the wet one that the gear made of it, and segments of both."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from nam_like.audio import checks
from nam_like.audio.errors import AudioError
from nam_like.config.paired import PairedKeys
from nam_like.data.align import delay_bounds, seconds_to_samples, slice_bounds
from nam_like.data.base import AbstractDataset, DataError, DatasetContext
from nam_like.data.recording import Recording, Region, counted_from, equally_long
from nam_like.data.samples import Samples, checkable, cut, gather, resident, scaled
from nam_like.data.segments import SegmentMap
from nam_like.data.store import AudioKey, AudioSource, MappedAudio, StoredAudio, find_file

__all__ = ["PairedDataset", "PairedDatasetConfig", "Recording", "Region"]

LOGGER = logging.getLogger(__name__)


class PairedDataset(AbstractDataset):
    """Segments of an aligned pair of recordings; an item is ``(x (nx + ny − 1,), y (ny,))``.

    Long recordings stay in their files: ``x`` and ``y`` are then signals, not tensors, and what an item needs
    of them is read when the item is asked for. The items are the same.

    Args:
        x: `(L,)`, the input: a tensor, or a signal that stays in its file.
        y: `(L,)`, the output, alike.
        nx: input samples per output sample (the net's receptive field).
        ny: output samples per item; None makes the whole recording one item.
        sample_rate: Hz.
        random_offset: start each item anywhere instead of on the grid; new in each epoch.
        seed: of the random starts.
        sources: the files, for the run's record.
        region: which part of the output file is used, for the check that no target is used twice.

    Raises:
        DataError: shapes differ or are not `(L,)`.
        UserError: no item fits.
    """

    num_conditions = 0

    def __init__(
        self,
        x: Samples,
        y: Samples,
        *,
        nx: int,
        ny: int | None = None,
        sample_rate: float | None = None,
        random_offset: bool = False,
        seed: int = 0,
        sources: tuple[AudioSource, ...] = (),
        region: Region | None = None,
    ) -> None:
        if x.ndim != 1 or y.ndim != 1:
            raise DataError(f"expected x and y of shape (L,), but got {tuple(x.shape)} and {tuple(y.shape)}")
        if x.shape != y.shape:
            raise DataError(f"expected x and y to be equally long, but got {len(x)} and {len(y)} samples")
        self.segments = SegmentMap(len(x), nx, ny)
        self.x: Samples = x
        self.y: Samples = y
        self.nx = nx
        self.ny = ny
        self.sample_rate = sample_rate
        self.random_offset = random_offset
        self.seed = seed
        self.epoch = 0
        self.output_gain = 1.0
        self.region = region
        self._sources = sources

    def __len__(self) -> int:
        return self.segments.items

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        """Return ``(x, *conditions, y)`` of one item: views where the recording is in memory."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an item from 0 to {len(self) - 1}, but got {index}")
        start = int(self.starts(torch.tensor([index % len(self)]))[0])
        return self.span(start, start + self.segments.input_length)

    def span(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Return ``(x, *conditions, y)`` of the input samples from `start` to `stop`, `nx` of them at least.

        With it a recording of any length is gone through in pieces: pieces whose inputs overlap by ``nx − 1``
        samples have outputs that touch.

        Returns:
            ``x (stop − start,)``, the conditions, and ``y (stop − start − nx + 1,)``, which ends with ``x``.
        """
        return (
            cut(self.x, start, stop),
            *self._conditions_at(start, stop),
            cut(self.y, start + self.segments.nx - 1, stop),
        )

    @property
    def is_mapped(self) -> bool:
        """Whether the recording, or a part of it, stays in its file."""
        return not (isinstance(self.x, Tensor) and isinstance(self.y, Tensor))

    def hold(self) -> None:
        """Read the recording into memory, if it is not there."""
        self.x, self.y = resident(self.x), resident(self.y)

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        """Return ``(x (B, nx + ny − 1), *conditions, y (B, ny))`` of the items `indices` `(B,)`.

        One indexing operation per tensor, on the tensors' device; segments of files are read one by one. A
        recording in memory that is one item is not copied.
        """
        if indices.device.type == "cpu" and indices.numel():
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= len(self):
                raise IndexError(
                    f"expected items from 0 to {len(self) - 1}, but got {low if low < 0 else high}"
                )
        if self.segments.positions == 1:
            return tuple(part.expand(len(indices), *part.shape) for part in self[0])
        starts = self.starts(indices)
        if isinstance(self.x, Tensor):
            starts = starts.to(self.x.device)
        length = self.segments.input_length
        return (
            gather(self.x, starts, length),
            *self._conditions_batch(starts, length),
            gather(self.y, starts + (self.segments.nx - 1), self.segments.output_length),
        )

    def starts(self, indices: Tensor) -> Tensor:
        """The first input sample of each item `(B,)`, in the current epoch."""
        if self.random_offset:
            return self.segments.random_starts(indices, self.seed, self.epoch)
        return self.segments.grid_starts(indices)

    def _conditions_at(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Conditions of the item whose input is `x[start:stop]`, each without a batch axis."""
        return ()

    def _conditions_batch(self, starts: Tensor, length: int) -> tuple[Tensor, ...]:
        """Conditions of the items that start at `starts` `(B,)`, each with a batch axis."""
        return ()

    def set_epoch(self, epoch: int) -> None:
        """Draw the random starts of epoch `epoch`."""
        self.epoch = epoch

    @property
    def sources(self) -> tuple[AudioSource, ...]:
        """The files it reads."""
        return self._sources

    @property
    def target_region(self) -> Region | None:
        """The part of the output file that serves as target: without the first ``nx − 1`` samples."""
        if self.region is None:
            return None
        region = self.region
        return Region(region.source, region.sample_rate, region.start + self.segments.nx - 1, region.stop)

    def scale_output(self, gain: float) -> None:
        """Multiply ``y`` by `gain`. The stored file, which other datasets share, is left alone."""
        self.y = scaled(self.y, gain)
        self.output_gain *= gain

    def to(self, device: torch.device | str) -> PairedDataset:
        """Move the recording to a device, so that batches are made there; one in files stays there."""
        if isinstance(self.x, Tensor) and isinstance(self.y, Tensor):
            self.x = self.x.to(device)
            self.y = self.y.to(device)
        return self


class PairedDatasetConfig(PairedKeys):
    """A dry and a wet recording."""

    def build(self, context: DatasetContext) -> PairedDataset:
        """Read the files and make the dataset.

        Raises:
            UserError: a file or a number that does not fit; see :meth:`load`.
        """
        recording = self.load(context)
        return PairedDataset(recording.x, recording.y, **self.dataset_arguments(recording, context))

    def audio_files(self, context: DatasetContext) -> list[AudioKey]:
        """The files that :meth:`build` reads, so that a run knows beforehand how long they are together.

        Raises:
            UserError: a file is not there.
        """
        files = []
        for end in ("x", "y"):
            path = find_file(getattr(self, f"{end}_path"), context.folders, f"{end}_path")
            own = getattr(self, f"{end}_channel")
            channel = self.channel if own is None else own
            files.append(AudioKey(path, channel, self.sample_rate, self.resample))
        return files

    def dataset_arguments(self, recording: Recording, context: DatasetContext) -> dict[str, Any]:
        """The keyword arguments of :class:`PairedDataset` beside the samples."""
        if self.nx is not None and self.nx != context.nx:
            LOGGER.warning(
                "`nx` is %d in the data config, but the net needs %d: the net's is used", self.nx, context.nx
            )
        length = len(recording.x)
        if context.nx > length:
            raise DataError(
                f"{recording.x_source.path}: expected at least {context.nx} samples (the receptive field), "
                f"but got {length}"
            )
        start = recording.y_start
        return {
            "nx": context.nx,
            "ny": self.ny,
            "sample_rate": recording.sample_rate,
            "random_offset": self.random_offset and context.split == "train",
            "seed": context.seed,
            "sources": (recording.x_source, recording.y_source),
            "region": Region(recording.y_source, recording.sample_rate, start, start + length),
        }

    def load(self, context: DatasetContext) -> Recording:
        """Read both files, align them and check them.

        In this order: ``y_preroll``, lengths, start and stop, silence before the start, ``delay``,
        ``input_gain``, ``y_scale``, clipping, silence.

        Raises:
            AudioError: a file cannot be used, is silent, clips, is not silent before the start, or they
                differ in rate or length.
            DataError: start, stop, delay or preroll lie outside the recording.
            UserError: a file is not there.
        """
        x_stored, y_stored = self._read(context)
        context.store.check_finite(x_stored)
        rate = x_stored.sample_rate
        preroll = self.y_preroll or 0
        x, y = equally_long(x_stored, y_stored, preroll, self.allow_unequal_lengths)
        start, stop, start_given = self._bounds(len(x), rate)
        if start_given:
            checks.check_pre_silence(
                checkable(x), start, rate, self.require_input_pre_silence, str(x_stored.source.path)
            )
        x_skip, y_skip, length = delay_bounds(stop - start, self.delay or 0)
        x_start, y_start = start + x_skip, start + y_skip
        x, y = x[x_start : x_start + length], y[y_start : y_start + length]
        if self.input_gain:
            x = scaled(x, 10.0 ** (self.input_gain / 20.0))
        if self.y_scale != 1.0:
            y = scaled(y, self.y_scale)
        y_start += preroll
        checks.check_not_clipped(checkable(y), counted_from(y_stored.source, y_start))
        checks.check_not_silent(checkable(x), counted_from(x_stored.source, x_start))
        self.check_target(y, counted_from(y_stored.source, y_start))
        return Recording(x, y, rate, x_start, y_start, x_stored.source, y_stored.source)

    def check_target(self, y: Samples, name: str) -> None:
        """Raise :class:`nam_like.audio.checks.SilentError` where there is nothing to learn."""
        checks.check_not_silent(checkable(y), name)

    def _read(self, context: DatasetContext) -> tuple[StoredAudio | MappedAudio, StoredAudio | MappedAudio]:
        """Read both files at one rate, or open them where they are not held in memory."""
        x = context.store.open(
            find_file(self.x_path, context.folders, "x_path"),
            channel=self.channel if self.x_channel is None else self.x_channel,
            sample_rate=self.sample_rate,
            resample=self.resample,
        )
        y_path = find_file(self.y_path, context.folders, "y_path")
        y_channel = self.channel if self.y_channel is None else self.y_channel
        if self.sample_rate is None and not self.resample:
            y = context.store.open(y_path, channel=y_channel)
            if y.sample_rate != x.sample_rate:
                raise AudioError(
                    f"{y_path}: expected the sample rate of x, {x.sample_rate} Hz ({x.source.path}), "
                    f"but got {y.sample_rate} Hz (`resample: true` converts it)"
                )
            return x, y
        rate = self.sample_rate or x.sample_rate
        return x, context.store.open(y_path, channel=y_channel, sample_rate=rate, resample=self.resample)

    def _bounds(self, length: int, sample_rate: int) -> tuple[int, int, bool]:
        """First sample, the one after the last, and whether a start was given."""
        ends: list[int | None] = []
        names = []
        for end in ("start", "stop"):
            samples, seconds, old = (getattr(self, key) for key in (f"{end}_samples", f"{end}_seconds", end))
            if old is not None:
                LOGGER.warning("`%s` is deprecated: write `%s_samples: %d`", end, end, old)
            if seconds is not None:
                ends.append(seconds_to_samples(seconds, sample_rate))
                names.append(f"{end}_seconds · {sample_rate} Hz")
            else:
                ends.append(samples if samples is not None else old)
                names.append(end if old is not None else f"{end}_samples")
        start, stop = slice_bounds(length, ends[0], ends[1], (names[0], names[1]))
        return start, stop, ends[0] is not None
