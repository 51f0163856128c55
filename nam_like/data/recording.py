"""An aligned pair of recordings, and where in which files its samples stand."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from nam_like.audio import checks
from nam_like.data.base import DataError
from nam_like.data.samples import Samples, checkable
from nam_like.data.store import AudioSource, MappedAudio, StoredAudio

__all__ = ["Recording", "Region", "counted_from", "equally_long"]

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Region:
    """The part of a file whose samples a dataset uses as targets.

    Attributes:
        source: the file.
        sample_rate: Hz, of the sample numbers.
        start: first sample.
        stop: sample after the last.
    """

    source: AudioSource
    sample_rate: int
    start: int
    stop: int


@dataclass(frozen=True)
class Recording:
    """An aligned pair.

    Attributes:
        x: `(L,)` float32, the input; a view of the stored file where no gain is applied, or a signal that
            stays in its file.
        y: `(L,)` float32, the output, equally long.
        sample_rate: Hz.
        x_start: sample of the input file (at `sample_rate`) that became `x[0]`.
        y_start: sample of the output file that became `y[0]`.
        x_source: the input file.
        y_source: the output file.
    """

    x: Samples
    y: Samples
    sample_rate: int
    x_start: int
    y_start: int
    x_source: AudioSource
    y_source: AudioSource


def equally_long(
    x_stored: StoredAudio | MappedAudio,
    y_stored: StoredAudio | MappedAudio,
    preroll: int,
    allow_unequal: bool,
) -> tuple[Samples, Samples]:
    """Return the samples of two files, equally long.

    Args:
        x_stored: the input file.
        y_stored: the output file.
        preroll: samples dropped from the front of y before the lengths are compared.
        allow_unequal: cut the longer one instead of raising an error.

    Raises:
        DataError: nothing of y is left after the preroll.
        LengthMismatchError: they differ in length.
    """
    x: Samples = x_stored.samples
    y: Samples = y_stored.samples
    names = str(x_stored.source.path), str(y_stored.source.path)
    if preroll >= len(y):
        raise DataError(
            f"{names[1]}: expected `y_preroll` to be smaller than its {len(y)} samples, but got {preroll}"
        )
    y = y[preroll:]
    if len(x) != len(y) and allow_unequal:
        length = min(len(x), len(y))
        duration = checks.format_duration(length, x_stored.sample_rate)
        LOGGER.info("%s and %s: cut to the shorter one, %s (%d samples)", *names, duration, length)
        x, y = x[:length], y[:length]
    checks.check_same_length(checkable(x), checkable(y), x_stored.sample_rate, names)
    return x, y


def counted_from(source: AudioSource, start: int) -> str:
    """The name of a signal whose first sample is sample `start` of its file, for messages."""
    return f"{source.path} (samples counted from {start})" if start else str(source.path)
