"""By how much a wet recording lags the dry one, measured from the two files, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nam_like.audio.capture_signal import SignalLayout, repeatability
from nam_like.audio.errors import AudioError
from nam_like.audio.io import audio_info, read_audio
from nam_like.audio.latency import delay_from_blips, delay_from_correlation

__all__ = ["Alignment", "measure_alignment"]

CONFIDENT = 0.5
"""Of a correlation: see :class:`nam_like.audio.latency.CorrelationDelay`."""
UNCERTAIN = 32
"""Samples by which the onset of a correlation may be wrong; so small a lag is none."""
SAFETY = 8
"""Samples by which a delay from a correlation is made smaller: a net can learn a lag, but not foresee."""
REPEATABLE = 0.01
"""ESR of the two takes of the validation passage above which a recording wants another try."""


@dataclass(frozen=True)
class Alignment:
    """How two recordings lie to each other.

    Attributes:
        delay: the `delay` of data.json, in samples.
        notes: how it was found, and what is doubtful, a line each.
    """

    delay: int
    notes: tuple[str, ...]


def measure_alignment(
    x_path: str | Path, y_path: str | Path, layout: SignalLayout | None
) -> Alignment | None:
    """Measure the delay: from the clicks of our own signal, else by correlation.

    Args:
        x_path: the dry recording.
        y_path: the wet recording.
        layout: the contents of x, if that is our own signal.

    Returns:
        None where the files have not one channel each and the same rate.

    Raises:
        AudioError: a file cannot be read.
    """
    x, y = audio_info(x_path), audio_info(y_path)
    if x.sample_rate != y.sample_rate or x.channels != 1 or y.channels != 1:
        return None
    try:
        if layout is not None:
            return _from_clicks(y_path, layout)
        return _from_correlation(x_path, y_path)
    except AudioError as error:
        return Alignment(0, (f"the delay of {y_path} could not be measured: {error}",))


def _from_clicks(y_path: str | Path, layout: SignalLayout) -> Alignment:
    wet = read_audio(y_path).samples
    found = delay_from_blips(wet, layout.blips, layout.noise_window)
    notes = [f"{y_path} answers to the clicks after {found.delay} samples", *found.warnings]
    delay = max(found.recommended, 0)
    if found.delay < 0:
        notes.append("that is before they were played: the delay is left at 0, look at the recording")
    try:
        difference = repeatability(wet, layout, delay)
    except AudioError as error:
        return Alignment(delay, (*notes, f"{y_path}: {error}"))
    if difference > REPEATABLE:
        notes.append(
            f"its two takes of the same passage differ by an ESR of {difference:.2g}, and no model can be "
            "better than half of that: does the gear drift, hum, or modulate?"
        )
    return Alignment(delay, tuple(notes))


def _from_correlation(x_path: str | Path, y_path: str | Path) -> Alignment:
    found = delay_from_correlation(read_audio(x_path).samples, read_audio(y_path).samples)
    if found.confidence < CONFIDENT:
        return Alignment(0, (f"whether {y_path} lags cannot be told: set `delay` if it does",))
    if abs(found.onset) <= UNCERTAIN or abs(found.delay) <= UNCERTAIN:
        return Alignment(0, (f"{y_path} does not seem to lag",))
    delay = found.onset - SAFETY
    how = "lag by" if found.onset > 0 else "be early by"
    return Alignment(delay, (f"{y_path} seems to {how} about {abs(found.onset)} samples; please check it",))
