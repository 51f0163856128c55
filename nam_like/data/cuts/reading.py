"""The samples of a cut: every signal of it in the same window, at one rate, and none of them made up.

Lhotse fills what is missing at the end of a recording, up to half a second, with its mirror image. Here a
recording that is too short is an error. PCM and FLAC are read straight from their file or bytes; everything
else is read by Lhotse, with a tolerance of a millisecond.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import soundfile

from nam_like.audio.resample import resample
from nam_like.data.base import DataError
from nam_like.data.cuts.optional import require

__all__ = ["ROUNDING", "FloatArray", "mismatch_tolerance", "read_cut_audio", "read_recording"]

FloatArray: TypeAlias = npt.NDArray[np.float32]

ROUNDING = 0.001
"""Seconds by which manifests may round the end of a recording."""
_CONTEXT = 256
"""Samples read before and behind a window that is resampled, so that its edges sound as if it were whole."""
_DIRECT = frozenset({"WAV", "WAVEX", "FLAC", "RF64", "W64", "AIFF", "CAF"})
"""Formats in which libsndfile seeks to the sample."""


@contextmanager
def mismatch_tolerance() -> Iterator[None]:
    """Let Lhotse invent a millisecond at most, for as long as the block runs."""
    utils = require("lhotse.audio.utils", "Lhotse cuts")
    name = "_LHOTSE_AUDIO_DURATION_MISMATCH_TOLERANCE"
    before = getattr(utils, name)
    # Lhotse's own function to set it logs a line each time.
    setattr(utils, name, ROUNDING)
    try:
        yield
    finally:
        setattr(utils, name, before)


def read_recording(
    recording: Any,
    channels: Sequence[int] | None,
    start: float,
    duration: float,
    *,
    sample_rate: int,
    where: str,
) -> FloatArray:
    """Read a window of a recording.

    Args:
        recording: a Lhotse recording.
        channels: which ones; None takes all.
        start: of the window, seconds.
        duration: of the window, seconds.
        sample_rate: Hz, of the result; the recording is resampled where its own differs.
        where: what messages call it: ``"cut x: recording"``.

    Returns:
        `(C, T)`, at most a millisecond shorter than asked for.

    Raises:
        DataError: the recording ends before the window does, has no such channel, or cannot be read.
    """
    rate = int(recording.sampling_rate)
    wanted = round(duration * sample_rate)
    first = round(start * rate)
    count = math.ceil(wanted * rate / sample_rate) if rate != sample_rate else wanted
    missing = first + count - recording.num_samples
    if missing > math.ceil(ROUNDING * rate):
        raise DataError(
            f"{where}: expected audio up to {start + duration:.4f} s, but got a recording of "
            f"{recording.num_samples / rate:.4f} s"
        )
    count -= max(missing, 0)
    _check_channels(recording, channels, where)
    if rate == sample_rate:
        return _read(recording, channels, first, count, where)
    step = rate // math.gcd(rate, sample_rate)
    before = min(-(-_CONTEXT // step), first // step)
    behind = min(_CONTEXT, recording.num_samples - first - count)
    whole = _read(recording, channels, first - before * step, before * step + count + behind, where)
    skip = before * sample_rate // math.gcd(rate, sample_rate)
    length = min(wanted, count * sample_rate // rate)
    made = [resample(channel, rate, sample_rate)[skip : skip + length] for channel in whole]
    return np.stack(made).astype(np.float32, copy=False)


def read_cut_audio(cut: Any, offset: float, duration: float, sample_rate: int, where: str) -> FloatArray:
    """Read a window of a cut that is a mixture of others, as Lhotse mixes it.

    Args:
        cut: a Lhotse ``MixedCut``.
        offset: of the window in the cut, seconds.
        duration: of the window, seconds.
        sample_rate: Hz, of the result.
        where: what messages call it.

    Returns:
        `(C, T)`.

    Raises:
        DataError: it cannot be read.
    """
    window = cut.truncate(offset=offset, duration=duration, preserve_id=True)
    with _told(where), mismatch_tolerance():
        audio = np.atleast_2d(window.load_audio())
    rate = int(cut.sampling_rate)
    return np.stack([resample(channel, rate, sample_rate) for channel in audio.astype(np.float32)])


def _check_channels(recording: Any, channels: Sequence[int] | None, where: str) -> None:
    present = list(recording.channel_ids)
    for channel in channels or ():
        if channel not in present:
            raise DataError(
                f"{where}: Channel index {channel} is larger than the actual number of channels "
                f"{len(present)}"
                if channel >= len(present)
                else f"{where}: expected one of the channels {present}, but got {channel}"
            )


def _read(recording: Any, channels: Sequence[int] | None, first: int, count: int, where: str) -> FloatArray:
    """Read `count` samples `(C, count)` from sample `first` on, at the recording's own rate."""
    audio = None if recording.transforms else _read_sources(recording, channels, first, count, where)
    if audio is None:
        rate = recording.sampling_rate
        with _told(where), mismatch_tolerance():
            audio = recording.load_audio(
                channels=None if channels is None else list(channels),
                offset=first / rate,
                duration=count / rate,
            )
    audio = np.atleast_2d(audio).astype(np.float32, copy=False)
    if channels is not None and len(channels) > 1:
        audio = audio[_rows(recording, channels)]
    if audio.shape[-1] != count:
        raise DataError(
            f"{where}: expected {count} samples from sample {first} on, but got {audio.shape[-1]}: the file "
            "is shorter than its manifest says"
        )
    if not np.isfinite(audio).all():
        raise DataError(f"{where}: expected finite samples, but got NaN or infinity")
    return audio


def _rows(recording: Any, channels: Sequence[int]) -> list[int]:
    """Rows of what was read, which come in the order of the file, in the order asked for."""
    read = [channel for source in recording.sources for channel in source.channels if channel in channels]
    return [read.index(channel) for channel in channels]


def _read_sources(
    recording: Any, channels: Sequence[int] | None, first: int, count: int, where: str
) -> FloatArray | None:
    """Read without Lhotse; None where that is not exact or not possible."""
    parts = []
    for source in recording.sources:
        rows = [row for row, channel in enumerate(source.channels) if channels is None or channel in channels]
        if not rows:
            continue
        if source.type not in ("file", "memory"):
            return None
        content = io.BytesIO(source.source) if source.type == "memory" else str(source.source)
        try:
            with soundfile.SoundFile(content) as file:
                if file.format not in _DIRECT or file.samplerate != recording.sampling_rate:
                    return None
                if len(source.channels) != file.channels:
                    return None
                file.seek(min(first, file.frames))
                audio = file.read(count, dtype="float32", always_2d=True).T
        except (soundfile.LibsndfileError, OSError) as error:
            name = source.source if source.type == "file" else "its bytes"
            raise DataError(f"{where}: expected audio in {name}, but got {error}") from error
        parts.append(audio if len(rows) == len(audio) else audio[rows])
    lengths = {part.shape[1] for part in parts}
    if not parts or len(lengths) > 1:
        return None
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn what Lhotse raises, and warns of before, into our own error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:
            raise DataError(f"{where}: expected audio, but got {type(error).__name__}: {error}") from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
