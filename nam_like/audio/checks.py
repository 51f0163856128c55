"""Checks on recordings, each with its own message and exception.

What cannot give a useful capture raises; what is merely suspicious is returned as text by the functions
named `…_warning` and, all together, by :func:`pair_warnings`. ``name`` says in every message which signal is
meant: a path, or "x" and "y". Signals may be arrays `(L,)` or stay in their files
(:class:`nam_like.audio.signal.Signal`): they are gone through in blocks, once at most.
"""

from __future__ import annotations

import math

import numpy as np

from nam_like.audio import level
from nam_like.audio.errors import AudioError
from nam_like.audio.flat_tops import FlatTops
from nam_like.audio.latency import delay_from_correlation
from nam_like.audio.peaks import block_peak, loud_blocks
from nam_like.audio.signal import Samples, blocks

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
    "delay_warning",
    "format_duration",
    "identical_warning",
    "pair_warnings",
    "polarity_warning",
]

SILENCE_DBFS = -90.0
EARLY = 2
"""Samples by which the bulk of an output may come before its input: correlations have wide peaks."""
LATE = 40
"""Samples by which an output may lag its input: speakers and tone controls spread it over 10 or 20."""
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


def check_finite(samples: Samples, name: str) -> None:
    """Raise :class:`NotFiniteError` where a sample is NaN or infinite."""
    count, first = 0, 0
    for start, block in loud_blocks(samples, math.inf):
        bad = np.flatnonzero(~np.isfinite(block))
        first = first if count else start + int(bad[0])
        count += bad.size
    if count:
        raise NotFiniteError(
            f"{name}: expected finite samples, but got {count} NaN or infinite ones, "
            f"the first at sample {first}"
        )


def check_not_silent(samples: Samples, name: str, threshold_dbfs: float = SILENCE_DBFS) -> None:
    """Raise :class:`SilentError` where all samples are zero or their RMS is below the threshold.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        threshold_dbfs: lowest RMS that counts as sound.
    """
    enough = len(samples) * 10.0 ** (threshold_dbfs / 10.0) * (1.0 + 1e-9)
    energy = 0.0
    for _, block in blocks(samples):
        energy += level.energy(block)
        if energy > enough:  # what follows can only add to it
            return
    if energy == 0.0:
        raise SilentError(f"{name}: the signal is silent: all {len(samples)} samples are zero")
    loudness = level.rms_dbfs(samples)
    if loudness < threshold_dbfs:
        raise SilentError(
            f"{name}: the signal is silent: expected an RMS of at least {threshold_dbfs:g} dBFS, "
            f"but got {loudness:.1f} dBFS"
        )


def check_not_clipped(samples: Samples, name: str, min_run: int = CLIPPED_RUN) -> None:
    """Raise :class:`ClippedError` where the signal reaches full scale.

    One sample of magnitude 1.0 or more is enough; an integer recording never gets there on its positive
    side, so ``min_run`` equal samples in a row at (almost) full scale count too.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        min_run: length of a flat top, in samples.

    Raises:
        NotFiniteError: a sample is NaN.
    """
    beyond, first, highest = 0, 0, 0.0
    tops = FlatTops(FULL_SCALE, min_run)
    for start, block in loud_blocks(samples, FULL_SCALE):
        peak = block_peak(block)
        if math.isnan(peak):
            check_finite(samples, name)
        highest = max(highest, peak)
        if peak >= 1.0:
            found = np.flatnonzero(np.abs(block) >= 1.0)
            first = first if beyond else start + int(found[0])
            beyond += found.size
        tops.add(start, block)
    if beyond:
        raise ClippedError(
            f"{name}: the signal clips: expected magnitudes below 1.0, but got {highest:.6g} "
            f"({beyond} samples at or beyond full scale, the first at sample {first}); "
            "record it again at a lower level"
        )
    tops.close()
    if tops.count:
        raise ClippedError(
            f"{name}: the signal clips: {tops.count} flat top(s) of {min_run} samples or more at full scale, "
            f"the first at sample {tops.first}, the longest {tops.longest} samples; "
            "record it again at a lower level"
        )


def check_same_length(
    x: Samples, y: Samples, sample_rate: float, names: tuple[str, str] = ("x", "y")
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
    x: Samples, start: int, sample_rate: float, seconds: float | None, name: str = "x"
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
    amplitude, loudest = 0.0, 0
    for begin, block in blocks(x[first : max(start, 0)]):
        magnitude = np.abs(block)
        at = int(np.argmax(magnitude))
        if magnitude[at] > amplitude:
            amplitude, loudest = float(magnitude[at]), begin + at
    if amplitude == 0.0:
        return
    raise PreSilenceError(
        f"{name}: expected digital silence for {seconds:g} s ({count} samples) before the start "
        f"at sample {start}, but got {amplitude:.3g} ({level.gain_to_db(amplitude):.1f} dBFS) "
        f"at sample {first + loudest}; "
        "choose a start that follows silence, or turn the check off with `require_input_pre_silence: null`"
    )


def dc_offset_warning(samples: Samples, name: str, ratio: float = 0.1, minimum: float = 1e-3) -> str | None:
    """Return a warning where the mean is a notable part of the signal.

    Args:
        samples: `(L,)`.
        name: which signal, for the message.
        ratio: the mean relative to the RMS from which it is notable.
        minimum: the mean from which it matters at all.
    """
    total = math.fsum(float(np.sum(block, dtype=np.float64)) for _, block in blocks(samples))
    mean = total / max(len(samples), 1)
    if abs(mean) < minimum or abs(mean) < ratio * level.rms(samples):
        return None
    return (
        f"{name}: the signal has a DC offset of {mean:.4f} ({level.gain_to_db(abs(mean)):.1f} dBFS); "
        "the network will learn it"
    )


def identical_warning(x: Samples, y: Samples, names: tuple[str, str] = ("x", "y")) -> str | None:
    """Return a warning where input and output are the same samples."""
    if len(x) != len(y) or len(x) == 0:
        return None
    if not all(np.array_equal(a, b) for (_, a), (_, b) in zip(blocks(x), blocks(y), strict=True)):
        return None
    return f"{names[0]} and {names[1]} are identical: was the gear bypassed, or the same file given twice?"


def polarity_warning(
    x: Samples, y: Samples, names: tuple[str, str] = ("x", "y"), min_confidence: float = 0.5
) -> str | None:
    """Return a warning where the output is clearly the input upside down.

    Args:
        x: `(L,)`.
        y: `(L,)`.
        names: which signals, for the message.
        min_confidence: how clearly the correlation must peak.
    """
    if not all(any(np.any(block) for _, block in blocks(signal)) for signal in (x, y)):
        return None
    found = delay_from_correlation(x, y, max_delay=4800)
    if found.polarity > 0 or found.confidence < min_confidence:
        return None
    return (
        f"{names[1]}: the polarity is inverted against {names[0]}. The capture will sound the same alone, "
        "but not mixed with other tracks of the gear"
    )


def delay_warning(
    x: Samples, y: Samples, names: tuple[str, str] = ("x", "y"), min_confidence: float = 0.5
) -> str | None:
    """Return a warning where the output is clearly not aligned with the input.

    Args:
        x: `(L,)`.
        y: `(L,)`, pulled forward by the `delay` that the data JSON gives.
        names: which signals, for the message.
        min_confidence: how clearly the correlation must peak.
    """
    if not all(any(np.any(block) for _, block in blocks(signal)) for signal in (x, y)):
        return None
    found = delay_from_correlation(x, y)
    if found.confidence < min_confidence:
        return None
    if found.delay < -EARLY:
        return (
            f"{names[1]}: it seems to come about {-found.delay} samples before {names[0]}, and no net can "
            "know what was not played yet: make `delay` smaller by so many, or more"
        )
    if found.onset > LATE:
        return (
            f"{names[1]}: it seems to lag {names[0]} by about {found.onset} samples more than `delay` says, "
            "which the net would have to learn, and the model would have as latency: add them to `delay`"
        )
    return None


def pair_warnings(x: Samples, y: Samples, names: tuple[str, str] = ("x", "y")) -> list[str]:
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
        delay_warning(x, y, names),
        polarity_warning(x, y, names),
    ]
    return [text for text in found if text is not None]
