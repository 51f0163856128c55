"""What to look at in a long recording: the window where a model's error is both large and audible.

Shared by the plots and by the audio excerpts of the report. NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Audio", "Prediction", "level_db", "telling_window"]

Audio = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Prediction:
    """One validation file and what the model makes of it.

    Attributes:
        name: what the file is called in titles.
        x: dry signal (N,).
        y: target (N,).
        y_hat: the model's output (N,).
        sample_rate: in Hz.
        esr: error-to-signal ratio of the whole file.
    """

    name: str
    x: Audio
    y: Audio
    y_hat: Audio
    sample_rate: float
    esr: float

    def __post_init__(self) -> None:
        if not (self.x.shape == self.y.shape == self.y_hat.shape and self.y.ndim == 1 and self.y.size):
            raise ValueError(
                "expected x, y and y_hat to be non-empty (N,) arrays of one length, "
                f"but got {self.x.shape}, {self.y.shape} and {self.y_hat.shape}"
            )

    @property
    def residual(self) -> Audio:
        """Prediction minus target (N,)."""
        return self.y_hat - self.y


def level_db(power: Audio | float, floor_db: float = -140.0) -> npt.NDArray[np.float64]:
    """Power to dB, never below `floor_db` (any shape; same shape out)."""
    floor = 10.0 ** (floor_db / 10.0)
    decibels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(np.asarray(power, np.float64), floor))
    return decibels


def telling_window(y: Audio, residual: Audio, length: int) -> slice:
    """The window of `length` samples with the largest product of signal energy and error energy.

    The error alone would choose noise in a pause, the signal alone a loud passage that is modelled well.

    Args:
        y: target (N,).
        residual: prediction minus target (N,).
        length: of the window, in samples; a shorter signal gives the whole of it.

    Returns:
        A slice of at most `length` samples; candidates start at multiples of a quarter of the length.
    """
    total = y.size
    if length >= total:
        return slice(0, total)
    starts = np.arange(0, total - length + 1, max(1, length // 4))

    def energy(signal: Audio) -> npt.NDArray[np.float64]:
        running = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64))])
        windowed: npt.NDArray[np.float64] = running[starts + length] - running[starts]
        return windowed

    start = int(starts[np.argmax(energy(y) * energy(residual))])
    return slice(start, start + length)
