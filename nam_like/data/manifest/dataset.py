"""The manifest dataset: examples of named signals, each a segment of the files that a line names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import Tensor

from nam_like.audio.errors import AudioError
from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.manifest.channels import Selector
from nam_like.data.manifest.lines import ManifestEntry
from nam_like.data.manifest.overlap import shared_entries
from nam_like.data.manifest.reading import Reader, read_embedding
from nam_like.data.manifest.segment import TOLERANCE, SegmentError, Span, choose, samples_in, whole_span
from nam_like.data.segments import mix_seed
from nam_like.data.speech_batch import Example, collate

__all__ = ["ManifestDataset", "Segmenting", "SignalName", "normalized"]

LOGGER = logging.getLogger(__name__)

SignalName: TypeAlias = Literal["input_signal", "target_signal", "reference_signal"]

CHECKED_AT_START = 64
"""Entries, spread over all, whose headers are looked at before training."""
NORMALIZATION_FLOOR = 1e-8
"""Added to the peak that signals are divided by, so that silence stays silence."""

UNEQUAL = 0.1
"""Files of one entry that differ by more may not be a pair (s)."""

_AUDIO = ("input", "target", "reference")
_REFERENCE_DRAW = 1  # tells the random place of a reference from that of its input


@dataclass(frozen=True)
class Segmenting:
    """How examples are cut out of what their entries mean.

    Attributes:
        audio_duration: how long an example is (s); None takes all of it.
        random_offset: begin anywhere, anew in each epoch, instead of at the entry's offset.
        reference_is_synchronized: the reference runs in time with the input and is cut with it; otherwise it
            is a recording of its own, cut by itself.
        reference_duration: how much of a reference of its own is taken (s); None takes all of it.
    """

    audio_duration: float | None = None
    random_offset: bool = False
    reference_is_synchronized: bool = True
    reference_duration: float | None = None


class ManifestDataset(AbstractDataset):
    """Examples that the lines of manifests name; see :class:`nam_like.data.speech_batch.Example`.

    Only the part of a file that an example needs is read, when it is asked for, and converted to the data's
    rate. Signals that run in time with each other come out equally long and aligned to the sample.

    Args:
        entries: with paths that can be opened; the roles ``"input"``, ``"target"``, ``"reference"`` and
            ``"embedding"``, the same in each.
        sample_rate: Hz.
        segmenting: how examples are cut out.
        selectors: role to the channels used of each of its files; all channels where it is not named.
        normalization_signal: which signal's peak all signals are divided by; None leaves them as they are.
        seed: of the random places.

    Attributes:
        entries: as above.
        names: what reports call each example: its input file as the manifest gives it, and where it begins if
            several examples share the file.
        epoch: which the random places are drawn for.

    Raises:
        DataError: there is no entry, or the headers of some entries tell that they cannot be used.
        AudioError: a file that was looked at cannot be used.
    """

    uniform_length = False
    padded = True

    def __init__(
        self,
        entries: Sequence[ManifestEntry],
        *,
        sample_rate: int,
        segmenting: Segmenting | None = None,
        selectors: Mapping[str, Selector] | None = None,
        normalization_signal: SignalName | None = None,
        seed: int = 0,
    ) -> None:
        if not entries:
            raise DataError("expected at least one entry, but got none")
        self.entries = list(entries)
        self.sample_rate: int = sample_rate
        self.segmenting = segmenting or Segmenting()
        self.selectors = dict(selectors or {})
        self.normalization_signal = normalization_signal
        self.seed = seed
        self.reader = Reader(sample_rate)
        self.names = _names(self.entries)
        self.lists = tuple(dict.fromkeys(Path(entry.manifest) for entry in self.entries))
        self.name = self.lists[0].stem
        self.epoch = 0
        self._warned = False
        self._compared = False
        self._input_samples = self._samples("audio_duration")
        self._reference_samples = self._samples("reference_duration")
        self._check_some()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Example:
        """Return one example.

        Raises:
            DataError: its files cannot be used; the message begins with its line of the manifest.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an item from 0 to {len(self) - 1}, but got {index}")
        index %= len(self)
        entry = self.entries[index]
        try:
            spans = self.spans(index)
            signals = {
                f"{role}_signal": self.reader.read(
                    entry.files[role], span, self.selectors.get(role), _selector_key(role)
                )
                for role, span in spans.items()
            }
            vectors = entry.files.get("embedding")
            embedding = None if vectors is None else read_embedding(vectors)
        except AudioError as error:
            raise DataError(f"{entry.place}: {error}") from error
        if self.normalization_signal is not None:
            signals = normalized(signals, self.normalization_signal)
        return Example(self.names[index], signals, embedding, _tags(entry.metadata))

    def collate(self, items: Sequence[Example]) -> dict[str, Tensor]:
        """Join examples to a batch; see :func:`nam_like.data.speech_batch.collate`."""
        return collate(items)

    def set_epoch(self, epoch: int) -> None:
        """Draw the random places of epoch `epoch`."""
        self.epoch = epoch

    def spans(self, index: int) -> dict[str, Span]:
        """Which samples of the files of entry `index` make its example in this epoch, by role.

        Raises:
            DataError: the files are too short for what the entry says.
            AudioError: a header cannot be read.
        """
        entry = self.entries[index]
        roles = [role for role in _AUDIO if role in entry.files]
        alone = [role for role in roles if role == "reference" and not self._in_time]
        together = [role for role in roles if role not in alone]
        paths = [path for role in together for path in entry.files[role]]
        whole = self._whole(entry, paths, entry.offset, entry.duration, len(entry.files["input"]))
        span = choose(whole, self._input_samples, self._draw(index))
        spans = dict.fromkeys(together, span)
        for role in alone:
            paths = list(entry.files[role])
            longest = max(self.reader.length(path) for path in paths) / self.sample_rate
            whole = self._whole(entry, paths, 0.0, longest, len(paths))
            spans[role] = choose(whole, self._reference_samples, self._draw(index, _REFERENCE_DRAW))
        return spans

    def check(self, indices: Sequence[int]) -> None:
        """Raise for what the headers of the files of entries tell, without reading samples.

        Raises:
            DataError: an entry cannot be used; the message begins with its line of the manifest.
        """
        for index in indices:
            entry = self.entries[index]
            try:
                spans = self.spans(index)
                self._compare_lengths(entry)
                for role in spans:
                    self.reader.check(entry.files[role], self.selectors.get(role), _selector_key(role))
            except AudioError as error:
                raise DataError(f"{entry.place}: {error}") from error

    def shared_with(self, validation: AbstractDataset) -> str | None:
        """Say how many validation examples have targets that are targets of this one too."""
        if not isinstance(validation, ManifestDataset):
            return None
        shared = shared_entries(self.entries, validation.entries)
        if not shared:
            return None
        return (
            f"{len(shared)} of {len(validation)} validation examples, first {shared[0].place}, have targets "
            "that training uses too"
        )

    @property
    def _in_time(self) -> bool:
        return self.segmenting.reference_is_synchronized

    def _samples(self, key: str) -> int | None:
        """A duration of the segmenting in samples."""
        seconds: float | None = getattr(self.segmenting, key)
        if seconds is None:
            return None
        samples = samples_in(seconds, self.sample_rate)
        if samples < 1:
            raise DataError(
                f"expected `{key}` to be at least one sample of {self.sample_rate} Hz, but got {seconds:g} s"
            )
        return samples

    def _draw(self, index: int, *purpose: int) -> int | None:
        """A random number that depends on the seed, the epoch and the index; None where none is wanted."""
        if not self.segmenting.random_offset:
            return None
        return mix_seed(self.seed, self.epoch, index, *purpose)

    def _whole(
        self, entry: ManifestEntry, paths: Sequence[str], offset: float, duration: float, leading: int
    ) -> Span:
        """All samples that an entry means of files that run in time with each other."""
        lengths = [self.reader.length(path) for path in paths]
        try:
            span, beyond = whole_span(offset, duration, lengths, self.sample_rate, leading)
        except SegmentError as error:
            file = "" if error.file is None else f"{paths[error.file]}: "
            raise DataError(f"{entry.place}: {file}{error}") from error
        if beyond and not self._warned:
            self._warned = True
            LOGGER.warning(
                "%s: the entry goes to %.6g s, but %s has only %.6g s, which are used (said once)",
                entry.place,
                offset + duration,
                paths[0],
                max(lengths[:leading]) / self.sample_rate,
            )
        return span

    def _compare_lengths(self, entry: ManifestEntry) -> None:
        """Log once where the files of an entry are not equally long, though it means all of the shortest."""
        paths = [path for role in ("input", "target") for path in entry.files.get(role, ())]
        lengths = [(self.reader.length(path) / self.sample_rate, path) for path in paths]
        (least, shortest), (most, longest) = min(lengths), max(lengths)
        if self._compared or entry.offset or most - least < UNEQUAL or entry.duration < least - TOLERANCE:
            return
        self._compared = True
        LOGGER.warning(
            "%s: %s has %.6g s, but %s has %.6g s: the first %.6g s are used; do they belong together? "
            "(said once)",
            entry.place,
            shortest,
            least,
            longest,
            most,
            min(least, entry.duration),
        )

    def _check_some(self) -> None:
        """Look at entries spread over all: what is wrong with one is often wrong with all."""
        count = min(len(self), CHECKED_AT_START)
        self.check([number * len(self) // count for number in range(count)])


def normalized(signals: Mapping[str, Tensor], by: str) -> dict[str, Tensor]:
    """Divide all signals by the peak of one of them, over all its channels.

    Args:
        signals: `(C, T)` each.
        by: the name of the one.
    """
    peak = signals[by].abs().max() + NORMALIZATION_FLOOR
    return {name: signal / peak for name, signal in signals.items()}


def _selector_key(role: str) -> str:
    return f"{role}_channel_selector"


def _names(entries: Sequence[ManifestEntry]) -> list[str]:
    """The input file of each entry; with its offset, and then its line, where that is not enough."""
    names = [entry.name for entry in entries]
    offsets = [f" at {entry.offset:g} s" for entry in entries]
    places = [f" ({entry.place})" for entry in entries]
    for more in (offsets, places):
        times = Counter(names)
        names = [
            name + addition if times[name] > 1 else name for name, addition in zip(names, more, strict=True)
        ]
    return names


def _tags(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The words among the other keys of a line."""
    return {key: value for key, value in metadata.items() if isinstance(value, str)}
