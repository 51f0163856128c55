"""Checks on recordings, each with its own message and exception.

What cannot give a useful capture raises; what is merely suspicious is returned as text by the functions
named `…_warning` and, all together, by :func:`pair_warnings`. ``name`` says in every message which signal is
meant: a path, or "x" and "y".
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio import level
from nam_like.audio.errors import AudioError
from nam_like.audio.latency import delay_from_correlation

__all__ = [
    "ClippedError",
    "LengthMismatchError",
    "NotFiniteError",
    "PreSilenceError",
    "SilentError",
    "check_finite",
    "check_not_clipped",
    "check_not_silent",
    "check_pre_silence",
    "check_same_length",
    "dc_offset_warning",
    "format_duration",
    "identical_warning",
    "pair_warnings",
    "polarity_warning",
]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]

SILENCE_DBFS = -90.0
CLIPPED_RUN = 4
FULL_SCALE = 1.0 - 2.0**-15
"""The largest positive 16-bit sample; what a clipping converter writes is this or above."""


class ClippedError(AudioError):
    """A recording reaches full scale."""


class SilentError(AudioError):
    """A recording holds no sound."""


class NotFiniteError(AudioError):
    """A signal holds NaN or infinity."""


class LengthMismatchError(AudioError):
    """Two recordings that belong together differ in length."""


class PreSilenceError(AudioError):
    """The input is not silent before the region that is used."""


def format_duration(samples: int, sample_rate: float) -> str:
    """Return a duration as `h:mm:ss.mmm`."""
    milliseconds = round(1000 * samples / sample_rate)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}"


def check_finite(samples: FloatArray, name: str) -> None:
    """Raise :class:`NotFiniteError` where a sample is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(samples))
    if bad.size:
        raise NotFiniteError(
            f"{name}: expected finite samples, but got {bad.size} NaN or infinite ones, "
            f"the first at sample {bad[0]}"
        )


def check_not_silent(samples: FloatArray, name: str, threshold_dbfs: float = SILENCE_DBFS) -> None:
    """Raise :class:`SilentError` where all samples are zero or their RMS is below the threshold.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        threshold_dbfs: lowest RMS that counts as sound.
    """
    if not np.any(samples):
        raise SilentError(f"{name}: the signal is silent: all {samples.size} samples are zero")
    loudness = level.rms_dbfs(samples)
    if loudness < threshold_dbfs:
        raise SilentError(
            f"{name}: the signal is silent: expected an RMS of at least {threshold_dbfs:g} dBFS, "
            f"but got {loudness:.1f} dBFS"
        )


def check_not_clipped(samples: FloatArray, name: str, min_run: int = CLIPPED_RUN) -> None:
    """Raise :class:`ClippedError` where the signal reaches full scale.

    One sample of magnitude 1.0 or more is enough; an integer recording never gets there on its positive
    side, so ``min_run`` equal samples in a row at (almost) full scale count too.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        min_run: length of a flat top, in samples.
    """
    beyond = np.flatnonzero(np.abs(samples) >= 1.0)
    if beyond.size:
        first = int(beyond[0])
        raise ClippedError(
            f"{name}: the signal clips: expected magnitudes below 1.0, but got {level.peak(samples):.6g} "
            f"({beyond.size} samples at or beyond full scale, the first at sample {first}); "
            "record it again at a lower level"
        )
    starts, lengths = _flat_tops(samples)
    long = np.flatnonzero(lengths >= min_run)
    if long.size:
        raise ClippedError(
            f"{name}: the signal clips: {long.size} flat top(s) of {min_run} samples or more at full scale, "
            f"the first at sample {starts[long[0]]}, the longest {lengths.max()} samples; "
            "record it again at a lower level"
        )


def _flat_tops(samples: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return starts and lengths of the runs of equal samples at (almost) full scale."""
    top = np.abs(samples) >= FULL_SCALE
    continues = np.zeros(samples.size + 1, dtype=bool)
    continues[1:-1] = top[1:] & (samples[1:] == samples[:-1])
    starts = np.flatnonzero(top & ~continues[:-1])
    ends = np.flatnonzero(top & ~continues[1:])
    return starts, ends - starts + 1


def check_same_length(
    x: FloatArray, y: FloatArray, sample_rate: float, names: tuple[str, str] = ("x", "y")
) -> None:
    """Raise :class:`LengthMismatchError` where two signals differ in length.

    Args:
        x: `(L,)`.
        y: `(M,)`.
        sample_rate: Hz, of both.
        names: which signals, for the message.
    """
    if x.shape[0] == y.shape[0]:
        return
    x_text, y_text = (f"{format_duration(s.shape[0], sample_rate)} ({s.shape[0]} samples)" for s in (x, y))
    difference = abs(x.shape[0] - y.shape[0])
    raise LengthMismatchError(
        f"expected {names[0]} and {names[1]} to be equally long, but got {x_text} and {y_text}: "
        f"{difference} samples apart (`allow_unequal_lengths: true` cuts the longer one)"
    )


def check_pre_silence(
    x: FloatArray, start: int, sample_rate: float, seconds: float | None, name: str = "x"
) -> None:
    """Raise :class:`PreSilenceError` where the input is not exactly zero before ``start``.

    Sound before the start would still ring in the gear after it, and no network could know where it came
    from. Where there are fewer samples before ``start``, those that are there are checked.

    Args:
        x: `(L,)`, the whole input.
        start: first sample that is used; negative counts from the end.
        sample_rate: Hz.
        seconds: how long the silence must be; None checks nothing.
        name: which signal, for the message.
    """
    if seconds is None:
        return
    if start < 0:
        start += x.shape[0]
    count = int(seconds * sample_rate)
    first = max(start - count, 0)
    before = np.abs(x[first : max(start, 0)])
    if not np.any(before):
        return
    loudest = int(np.argmax(before))
    amplitude = float(before[loudest])
    raise PreSilenceError(
        f"{name}: expected digital silence for {seconds:g} s ({count} samples) before the start "
        f"at sample {start}, but got {amplitude:.3g} ({level.gain_to_db(amplitude):.1f} dBFS) "
        f"at sample {first + loudest}; "
        "choose a start that follows silence, or turn the check off with `require_input_pre_silence: null`"
    )


def dc_offset_warning(
    samples: FloatArray, name: str, ratio: float = 0.1, minimum: float = 1e-3
) -> str | None:
    """Return a warning where the mean is a notable part of the signal.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        ratio: the mean relative to the RMS from which it is notable.
        minimum: the mean from which it matters at all.
    """
    mean = float(np.mean(samples, dtype=np.float64)) if samples.size else 0.0
    if abs(mean) < minimum or abs(mean) < ratio * level.rms(samples):
        return None
    return (
        f"{name}: the signal has a DC offset of {mean:.4f} ({level.gain_to_db(abs(mean)):.1f} dBFS); "
        "the network will learn it"
    )


def identical_warning(x: FloatArray, y: FloatArray, names: tuple[str, str] = ("x", "y")) -> str | None:
    """Return a warning where input and output are the same samples."""
    if x.shape != y.shape or x.size == 0 or not np.array_equal(x, y):
        return None
    return f"{names[0]} and {names[1]} are identical: was the gear bypassed, or the same file given twice?"


def polarity_warning(
    x: FloatArray, y: FloatArray, names: tuple[str, str] = ("x", "y"), min_confidence: float = 0.5
) -> str | None:
    """Return a warning where the output is clearly the input upside down.

    Args:
        x: `(L,)`.
        y: `(L,)`.
        names: which signals, for the message.
        min_confidence: how clearly the correlation must peak.
    """
    if not np.any(x) or not np.any(y):
        return None
    found = delay_from_correlation(x, y, max_delay=4800)
    if found.polarity > 0 or found.confidence < min_confidence:
        return None
    return (
        f"{names[1]}: the polarity is inverted against {names[0]}. The capture will sound the same alone, "
        "but not mixed with other tracks of the gear"
    )


def pair_warnings(x: FloatArray, y: FloatArray, names: tuple[str, str] = ("x", "y")) -> list[str]:
    """Return everything suspicious about a pair of recordings that is no error.

    Args:
        x: `(L,)`, the input.
        y: `(L,)`, the output.
        names: which signals, for the messages.
    """
    found = [
        dc_offset_warning(x, names[0]),
        dc_offset_warning(y, names[1]),
        identical_warning(x, y, names),
        polarity_warning(x, y, names),
    ]
    return [text for text in found if text is not None]
