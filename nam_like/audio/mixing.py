"""Signals added to others at a given signal-to-noise ratio.

SNR = 10 · log10(P_speech / P_noise)      P: mean square over all channels and samples
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["gain_for_snr", "mean_square"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]


def mean_square(signal: FloatArray) -> float:
    """Power of a signal `(C, T)`: the mean of its squares, added up in float64."""
    # Not a dot product: BLAS would start threads for it, in each of many workers.
    return float(np.square(signal, dtype=np.float64).sum()) / max(signal.size, 1)


def gain_for_snr(speech: FloatArray, noise: FloatArray, snr_db: float) -> float:
    """Factor for the noise that makes the ratio of powers `snr_db`.

    Where one of them is silent there is no such factor: the noise stays as it is.

    Args:
        speech: `(C, T)`.
        noise: `(C, T)` or `(1, T)`.
        snr_db: decibels.
    """
    signal_power, noise_power = mean_square(speech), mean_square(noise)
    if signal_power <= 0.0 or noise_power <= 0.0:
        return 1.0
    return float(np.sqrt(signal_power / (noise_power * 10.0 ** (snr_db / 10.0))))
