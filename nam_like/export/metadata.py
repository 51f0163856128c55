"""What an exported model says about itself: date, loudness, gain, the user's words, and how it was trained.

Loudness and gain are measured by playing :func:`pluck_signal`, one second of a strummed chord.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["build_metadata", "finite", "measure_levels", "pluck_signal"]

Audio = NDArray[np.float32]

#: RMS of the measuring signal, full scale = 1.
SIGNAL_RMS = 0.1785
#: An E major chord over six strings (Hz), low to high.
STRINGS = (82.41, 123.47, 164.81, 207.65, 246.94, 329.63)
#: From one string to the next (seconds).
STRUM = 0.03
#: Where the strings are plucked, as a fraction of their length.
PLUCK = 0.18
PARTIALS = 24


def pluck_signal(sample_rate: float, seconds: float = 1.0) -> Audio:
    """A strummed chord: the same samples for the same rate on every machine, RMS 0.1785.

    String n begins n·30 ms into the signal. Each has up to 24 partials below 0.45·rate, the k-th of amplitude
    sin(π·k·0.18)/k² (an ideal string plucked at 18 % of its length) and decaying with exp(−(1 + 0.03·k²)·t).

    Args:
        sample_rate: Hz.
        seconds: length.

    Returns:
        ``(round(seconds · sample_rate),)`` float32.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    signal = np.zeros_like(time)
    for number, frequency in enumerate(STRINGS):
        since = time - number * STRUM
        sounding = since >= 0.0
        t = since[sounding]
        for k in range(1, PARTIALS + 1):
            if k * frequency >= 0.45 * sample_rate:
                break
            amplitude = math.sin(math.pi * k * PLUCK) / k**2
            decay = np.exp(-(1.0 + 0.03 * k**2) * t)
            signal[sounding] += amplitude * decay * np.sin(2.0 * math.pi * k * frequency * t)
    return (signal * (SIGNAL_RMS / _rms(signal))).astype(np.float32)


def measure_levels(play: Callable[[Audio], NDArray[Any]], sample_rate: float) -> dict[str, float]:
    """Loudness and gain of a model.

    With r_i the RMS of the output for the measuring signal scaled by i/10: loudness = 20·log10(r_10) in dB re
    full scale; gain = clip((Σ r_i − 5.5·r_10) / (5.5·r_10), 0, 1), which is 0 for a linear model and grows
    with compression.

    Args:
        play: the model, ``(L,) → (L,)``.
        sample_rate: Hz.

    Returns:
        ``loudness`` and ``gain``; without the loudness of a model that is silent.
    """
    signal = pluck_signal(sample_rate)
    levels = [_rms(np.asarray(play(signal * np.float32(i / 10)), np.float64)) for i in range(11)]
    full = levels[10]
    if not math.isfinite(full) or full <= 0.0:
        return {"gain": 0.0}
    gain = (sum(levels) - 5.5 * full) / (5.5 * full)
    return {"loudness": 20.0 * math.log10(full), "gain": min(max(gain, 0.0), 1.0)}


def build_metadata(
    user: Mapping[str, Any],
    levels: Mapping[str, float],
    training: Mapping[str, Any],
    now: datetime.datetime | None = None,
) -> dict[str, Any]:
    """The ``metadata`` object of an export; every number in it is finite.

    Args:
        user: name, maker, gear, … as the data JSON gives them.
        levels: see :func:`measure_levels`.
        training: how the model was trained.
        now: the time of the export, local; None takes the clock's.
    """
    moment = now or datetime.datetime.now()
    date = {key: getattr(moment, key) for key in ("year", "month", "day", "hour", "minute", "second")}
    metadata = {"date": date, **levels, **user, "training": training}
    kept: dict[str, Any] = finite(metadata)
    return kept


def finite(value: Any) -> Any:
    """A copy of a JSON value without entries that are None, NaN or infinite."""
    if isinstance(value, Mapping):
        cleaned = {str(key): finite(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item is not None}
    if isinstance(value, list | tuple):
        return [item for item in map(finite, value) if item is not None]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _rms(signal: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) if signal.size else 0.0
