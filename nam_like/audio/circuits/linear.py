"""Linear parts of circuits: first- and second-order sections by the bilinear transform, with memory.

Source of the second-order sections: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter
coefficients".
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["LinearStage", "biquad_peak", "discretize", "one_pole_highpass", "one_pole_lowpass"]

Float64Array: TypeAlias = npt.NDArray[np.float64]


class LinearStage:
    """A chain of second-order sections that remembers its state from block to block.

    Args:
        sections: `(S, 6)`, SciPy's `sos` format.
    """

    def __init__(self, sections: Float64Array) -> None:
        self.sections = sections
        self.state = np.zeros((sections.shape[0], 2))

    def __call__(self, samples: Float64Array) -> Float64Array:
        """Return the filtered samples, `(L,)`."""
        from scipy.signal import sosfilt

        filtered, self.state = sosfilt(self.sections, samples, zi=self.state)
        result: Float64Array = filtered
        return result


def discretize(zeros: npt.ArrayLike, poles: npt.ArrayLike, gain: float, sample_rate: float) -> Float64Array:
    """Return the sections `(S, 6)` of an analog transfer function by the bilinear transform.

    Args:
        zeros: in rad/s.
        poles: in rad/s.
        gain: factor before the products.
        sample_rate: Hz.
    """
    from scipy.signal import bilinear_zpk, zpk2sos

    sections: Float64Array = zpk2sos(*bilinear_zpk(zeros, poles, gain, sample_rate))
    return sections


def one_pole_lowpass(frequency: float, sample_rate: float) -> Float64Array:
    """Return an RC low-pass with its −3 dB point at ``frequency`` Hz as sections `(1, 6)`."""
    pole = 2.0 * math.pi * frequency
    return discretize([], [-pole], pole, sample_rate)


def one_pole_highpass(frequency: float, sample_rate: float) -> Float64Array:
    """Return a CR high-pass with its −3 dB point at ``frequency`` Hz as sections `(1, 6)`."""
    return discretize([0.0], [-2.0 * math.pi * frequency], 1.0, sample_rate)


def biquad_peak(frequency: float, gain_db: float, q: float, sample_rate: float) -> Float64Array:
    """Return a peaking equalizer as sections `(1, 6)`: ``gain_db`` at ``frequency`` Hz, 0 dB far from it."""
    amplitude = 10.0 ** (gain_db / 40.0)
    omega = 2.0 * math.pi * frequency / sample_rate
    alpha = math.sin(omega) / (2.0 * q)
    b = np.array([1.0 + alpha * amplitude, -2.0 * math.cos(omega), 1.0 - alpha * amplitude])
    a = np.array([1.0 + alpha / amplitude, -2.0 * math.cos(omega), 1.0 - alpha / amplitude])
    return np.concatenate([b / a[0], a / a[0]])[None, :]
