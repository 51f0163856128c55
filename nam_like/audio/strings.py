"""Plucked strings by the Karplus–Strong algorithm: a burst of noise circulating in a lossy delay line.

Source: K. Karplus and A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer Music
Journal 7(2), 1983; the pick position: D. Jaffe and J. Smith, same issue.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["midi_to_hz", "pluck", "strum"]

Float64Array: TypeAlias = npt.NDArray[np.float64]


def midi_to_hz(note: float) -> float:
    """Return the frequency in Hz of a MIDI note number (69 is A4, 440 Hz)."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))


def pluck(
    frequency: float,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    decay_seconds: float = 3.0,
    brightness: float = 0.5,
    position: float = 0.2,
) -> Float64Array:
    """Return one plucked note with a peak of 1, `(length,)`.

    The period is `N + 1/2` samples with a whole `N`, so a note is out of tune by up to half a sample, as
    strings are.

    Args:
        frequency: pitch in Hz.
        length: samples.
        sample_rate: Hz.
        rng: where the burst of noise comes from.
        decay_seconds: time in which the fundamental falls by 60 dB.
        brightness: from 0, a soft thumb, to 1, a hard pick.
        position: where the string is picked, as a part of its length.
    """
    period = max(round(sample_rate / frequency - 0.5), 4)
    burst = rng.uniform(-1.0, 1.0, period)
    softening = 1.0 - brightness
    burst = (1.0 - 0.5 * softening) * burst + 0.5 * softening * np.roll(burst, 1)
    burst = burst - np.roll(
        burst, max(round(position * period), 1)
    )  # harmonics with a node there are missing
    burst -= burst.mean()  # a constant would circulate for long
    loss = 10.0 ** (-3.0 * period / (decay_seconds * sample_rate))
    periods = math.ceil(length / period) + 1
    line = np.zeros((periods, period))
    line[0] = burst
    before = 0.0
    for index in range(1, periods):
        previous = line[index - 1]
        line[index, 1:] = 0.5 * loss * (previous[1:] + previous[:-1])
        line[index, 0] = 0.5 * loss * (previous[0] + before)
        before = previous[-1]
    note = line.reshape(-1)[:length]
    fade = min(round(0.002 * sample_rate), length)
    note[length - fade :] *= np.linspace(1.0, 0.0, fade)
    return note / max(float(np.max(np.abs(note))), 1e-12)


def strum(
    notes: tuple[int, ...],
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    spread_seconds: float = 0.015,
    decay_seconds: float = 3.0,
    brightness: float = 0.5,
) -> Float64Array:
    """Return a chord with a peak of 1, `(length,)`, its strings hit one after the other.

    Args:
        notes: MIDI note numbers in the order in which they are hit.
        length: samples.
        sample_rate: Hz.
        rng: where the bursts of noise come from.
        spread_seconds: time from one string to the next.
        decay_seconds: see :func:`pluck`.
        brightness: see :func:`pluck`.
    """
    chord = np.zeros(length)
    for index, note in enumerate(notes):
        start = min(round(index * spread_seconds * sample_rate), length - 1)
        string = pluck(
            midi_to_hz(note),
            length - start,
            sample_rate,
            rng,
            decay_seconds=decay_seconds,
            brightness=brightness,
            position=float(rng.uniform(0.08, 0.3)),
        )
        chord[start:] += string
    return chord / max(float(np.max(np.abs(chord))), 1e-12)
