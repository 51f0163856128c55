"""A guitar speaker in its cabinet with a microphone before it, as a chain of equalizer sections.

Not a measurement of one: the resonance and roll-off in the bass, the boxy dip, the presence peak and the
steep fall above 5 kHz that guitar speakers have in common.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.circuits.linear import biquad_peak

__all__ = ["cabinet_sections"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

HIGHPASS_HZ = 75.0
LOWPASS_HZ = 5200.0
PEAKS = ((115.0, 4.0, 1.4), (420.0, -4.0, 0.8), (1500.0, 2.0, 1.0), (2900.0, 6.0, 1.3), (4300.0, -3.0, 4.0))
"""Frequency in Hz, gain in dB, Q."""


def cabinet_sections(sample_rate: float) -> Float64Array:
    """Return the cabinet as second-order sections `(8, 6)`.

    Args:
        sample_rate: Hz, at least 16000.
    """
    from scipy.signal import butter

    return np.concatenate(
        [
            butter(2, HIGHPASS_HZ, "highpass", fs=sample_rate, output="sos"),
            *(biquad_peak(frequency, gain, q, sample_rate) for frequency, gain, q in PEAKS),
            butter(4, LOWPASS_HZ, "lowpass", fs=sample_rate, output="sos"),
        ]
    )
