"""How many samples a wet recording lags behind the dry one.

Two methods: the onset of known blips above the background noise, as capture signals are built for, and
generalised cross-correlation, which needs no blips and works on any common material.

A positive delay means that the wet signal is late: `wet[n] ≈ f(dry[n − delay])`. This is the `delay` of
data.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.level import peak
from nam_like.audio.signal import Samples, blocks, read

__all__ = ["BlipDelay", "CorrelationDelay", "delay_from_blips", "delay_from_correlation"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]

DISAGREEMENT = 20
"""Blips whose delays differ by this many samples or more point at a recording that drifts or drops out."""
ONSET_FRACTION = 0.1
"""The response begins where the correlation rises above this part of its peak for the last time before it."""


@dataclass(frozen=True)
class BlipDelay:
    """The delay measured from blips.

    Attributes:
        delay: samples from a blip to the first response to it, from the average over all blips.
        recommended: ``delay`` minus the safety margin, so that the response never begins before its cause.
        delays: the same for every blip alone, None where the blip was not found.
        background: largest magnitude in the noise window.
        warnings: what makes the measurement doubtful; empty when nothing does.
    """

    delay: int
    recommended: int
    delays: tuple[int | None, ...]
    background: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CorrelationDelay:
    """The delay measured by cross-correlation.

    Attributes:
        delay: samples by which most of the wet signal is late; negative if it is early.
        onset: where the response to the dry signal begins, at most ``delay``. A speaker or a tone control
            spreads its response over 10 or 20 samples; a causal network needs the onset, not the middle.
        polarity: 1, or −1 where the wet signal is upside down.
        confidence: from 0 to 1: one minus the ratio of the highest peak outside the neighbourhood of the
            best one to the best one. Above 0.5 the delay stands alone; near 0 others fit as well, as they
            do for a steady tone or for unrelated signals.
    """

    delay: int
    onset: int
    polarity: int
    confidence: float


def delay_from_blips(
    wet: Samples,
    blips: Sequence[int],
    noise_window: tuple[int, int],
    *,
    look_ahead: int = 1000,
    look_back: int = 10000,
    absolute_margin: float = 0.0003,
    relative_margin: float = 0.001,
    safety: int = 1,
) -> BlipDelay:
    """Find when the response to blips first rises above the background noise.

    The windows around the blips are averaged, which lowers uncorrelated noise, and the delay is where the
    magnitude of the average first exceeds the larger of `background + absolute_margin` and
    `background · (1 + relative_margin)`.

    Args:
        wet: `(L,)`.
        blips: where the dry signal has its blips, in samples.
        noise_window: start and stop in samples of a part of ``wet`` in which the dry signal is silent.
        look_ahead: samples before a blip in which to search (for negative delays).
        look_back: samples after a blip in which to search.
        absolute_margin: amplitude by which the response must exceed the background.
        relative_margin: fraction by which the response must exceed the background.
        safety: samples subtracted for the recommendation.

    Raises:
        AudioError: no blips, a window reaches beyond ``wet``, or no response is found.
    """
    start, stop = noise_window
    if not 0 <= start < stop <= wet.size:
        raise AudioError(f"expected the noise window to lie in 0…{wet.size}, but got {start}…{stop}")
    if not blips:
        raise AudioError("expected at least one blip, but got none")
    for blip in blips:
        if blip - look_ahead < 0 or blip + look_back > wet.size:
            raise AudioError(
                f"expected the window of the blip at sample {blip} "
                f"({blip - look_ahead}…{blip + look_back}) to lie in 0…{wet.size}"
            )
    background = peak(wet[start:stop])
    trigger = max(background + absolute_margin, background * (1.0 + relative_margin))
    windows = np.stack([read(wet, blip - look_ahead, blip + look_back) for blip in blips])
    average_onset = _first_above(windows.mean(axis=0), trigger)
    if average_onset is None:
        raise AudioError(
            f"no response to the blips: nothing from {look_ahead} samples before to {look_back} samples "
            f"after them exceeds {trigger:.3g} (the background noise is {background:.3g}); is it the right "
            "file, and loud enough?"
        )
    delay = average_onset - look_ahead
    onsets = [_first_above(window, trigger) for window in windows]
    delays = tuple(None if onset is None else onset - look_ahead for onset in onsets)
    warnings = _doubts(delay, delays, look_ahead)
    return BlipDelay(delay, delay - safety, delays, background, warnings)


def _first_above(window: FloatArray, trigger: float) -> int | None:
    """Return the first index whose magnitude exceeds the trigger."""
    above = np.flatnonzero(np.abs(window) > trigger)
    return int(above[0]) if above.size else None


def _doubts(delay: int, delays: Sequence[int | None], look_ahead: int) -> tuple[str, ...]:
    """Return what makes a measurement from blips doubtful."""
    warnings: list[str] = []
    if delay == -look_ahead:
        warnings.append(
            f"the response is above the noise from the very start of the search, {look_ahead} samples before "
            "the blip: noise, hum or another sound is taken for it"
        )
    found = [value for value in delays if value is not None]
    if found and max(found) - min(found) >= DISAGREEMENT:
        warnings.append(
            f"the blips disagree: delays from {min(found)} to {max(found)} samples; does the recording drift?"
        )
    if len(found) < len(delays):
        warnings.append(f"{len(delays) - len(found)} of {len(delays)} blips were not found alone")
    return tuple(warnings)


def delay_from_correlation(
    dry: Samples, wet: Samples, *, max_delay: int = 48000, whitening: float = 0.7
) -> CorrelationDelay:
    """Find the delay at which the wet signal resembles the dry one most, whatever its polarity.

    The cross-power spectrum is divided by its magnitude to the power ``whitening`` before the correlation
    is taken, which sharpens its peak for coloured signals.

    Args:
        dry: `(L,)`.
        wet: `(M,)`.
        max_delay: search from `−max_delay` to `max_delay` samples.
        whitening: from 0, plain cross-correlation, to 1, the phase transform.

    Raises:
        AudioError: a signal is empty or silent.

    Source: C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay", IEEE
        TASSP 24(4), 1976; the exponent: D. Salvati et al., "Weighted MVDR beamformer…", IEEE SPL 2016.
    """
    for name, signal in (("dry", dry), ("wet", wet)):
        if not any(np.any(block) for _, block in blocks(signal)):
            raise AudioError(f"expected the {name} signal to hold sound, but it is silent")
    reach = min(max_delay, max(dry.size, wet.size) - 1)
    cross, size = _cross_spectrum(dry, wet, reach)
    correlation = _correlation(cross, size, reach, whitening)
    magnitude = np.abs(correlation)
    best = int(np.argmax(magnitude))
    # The peak of a filtered signal is some samples wide; what lies further away is a rival.
    neighbourhood = max(32, reach // 200)
    rivals = np.concatenate(
        [magnitude[: max(best - neighbourhood, 0)], magnitude[best + neighbourhood + 1 :]]
    )
    rival = float(rivals.max()) if rivals.size else 0.0
    confidence = 1.0 - rival / float(magnitude[best])
    onset = _onset(np.abs(_correlation(cross, size, reach, 1.0)), best)
    return CorrelationDelay(best - reach, onset - reach, 1 if correlation[best] > 0 else -1, confidence)


def _onset(magnitude: npt.NDArray[np.float64], best: int) -> int:
    """Return where the rise to the index ``best`` begins.

    The phase transform has the narrowest peak, so what precedes it is response and not autocorrelation.
    """
    quiet = np.flatnonzero(magnitude[:best] < ONSET_FRACTION * magnitude[best])
    return int(quiet[-1]) + 1 if quiet.size else 0


def _cross_spectrum(dry: Samples, wet: Samples, reach: int) -> tuple[npt.NDArray[np.complex128], int]:
    """Return the cross-power spectrum `(size // 2 + 1,)` and its FFT size.

    Blocks of the dry signal meet the wet block and its surroundings: exact for the lags from −reach to
    reach, in memory that does not grow with the length of the recording.
    """
    block = max(1 << 16, reach)
    size = 1 << (block + 2 * reach - 1).bit_length()
    cross = np.zeros(size // 2 + 1, dtype=np.complex128)
    for start, piece in blocks(dry, block):
        low, high = start - reach, start + block + reach
        surroundings = read(wet, low, high).astype(np.float64)
        if not np.any(piece) or surroundings.size == 0:
            continue
        padded = np.zeros(size)
        offset = max(-low, 0)
        padded[offset : offset + surroundings.size] = surroundings
        cross += np.conj(np.fft.rfft(piece.astype(np.float64), size)) * np.fft.rfft(padded)
    return cross, size


def _correlation(
    cross: npt.NDArray[np.complex128], size: int, reach: int, whitening: float
) -> npt.NDArray[np.float64]:
    """Return the correlation for the lags from −reach to reach, `(2·reach + 1,)`."""
    magnitude = np.abs(cross)
    # Bins in which there is next to nothing have a random phase; they must not count as much as the others.
    floor = max(1e-6 * float(magnitude.max()), float(np.finfo(np.float64).tiny))
    weighted = cross / np.maximum(magnitude, floor) ** whitening
    correlation: npt.NDArray[np.float64] = np.fft.irfft(weighted, size)[: 2 * reach + 1]
    return correlation
