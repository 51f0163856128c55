"""Reverberation: room impulse responses applied to signals, and responses of rooms that were never built.

A synthetic response is the direct sound, and after a gap noise that decays exponentially, by 60 dB within the
reverberation time:

    h[0] = 1,    h[n] = g · w[n] · 10^(−3 n / (RT60 · fs))   from the first reflection on

`w` is Gaussian, and becomes denser: the first reflections are single ones, as in a room. `g` makes the ratio
of direct to reverberant energy what is asked for.

Source: Polack, "La transmission de l'énergie sonore dans les salles", 1988 (statistical model of late
reverberation); Moorer, "About this reverberation business", CMJ 3(2), 1979.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.mixing import mean_square
from nam_like.errors import UserError

__all__ = ["random_room", "reverberate", "synthetic_response"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]

RT60 = (0.2, 0.9)
"""Seconds: from a furnished living room to a lecture hall."""
DIRECT_TO_REVERBERANT = (-3.0, 10.0)
"""Decibels: from beyond the critical distance to an arm's length."""
FIRST_REFLECTION = (0.001, 0.010)
"""Seconds after the direct sound: surfaces 0.2 m to 1.7 m off."""
_DENSE = 0.05
"""Seconds until reflections have become noise."""


def reverberate(signal: FloatArray, response: FloatArray) -> FloatArray:
    """Let a signal sound in a room, without a delay and as loud as it is.

    The largest sample of the response, of either sign, is taken for the direct sound and stays where it is.

    Args:
        signal: `(C, T)`.
        response: `(K,)`, at the signal's rate; all channels get the same.

    Returns:
        `(C, T)`, with the power of `signal`.

    Raises:
        UserError: the response is empty or silent.
    """
    from scipy import fft

    direct = int(np.argmax(np.abs(response))) if response.size else 0
    if not response.size or response[direct] == 0:
        raise UserError("expected a room impulse response with a sample that is not 0, but got silence")
    length = signal.shape[-1]
    # What comes more than the signal's length after the direct sound is never heard.
    heard = response[: direct + length].astype(signal.dtype, copy=False)
    size = fft.next_fast_len(length + len(heard) - 1, real=True)
    spectrum = fft.rfft(signal, size) * fft.rfft(heard, size)
    wet: FloatArray = fft.irfft(spectrum, size)[..., direct : direct + length]
    power = mean_square(wet)
    louder = np.sqrt(mean_square(signal) / power) if power > 0.0 else 1.0
    loud: FloatArray = (wet * louder).astype(signal.dtype, copy=False)
    return loud


def synthetic_response(
    sample_rate: int,
    rng: np.random.Generator,
    *,
    rt60: float,
    direct_to_reverberant: float,
    first_reflection: float = 0.003,
) -> npt.NDArray[np.float32]:
    """Make the response of a room.

    Args:
        sample_rate: Hz.
        rng: draws the reflections.
        rt60: seconds in which they decay by 60 dB.
        direct_to_reverberant: ratio of energies, decibels.
        first_reflection: seconds after the direct sound.

    Returns:
        `(rt60 · sample_rate,)`; the direct sound, 1.0, is its first sample.

    Raises:
        UserError: `rt60` leaves no room for reflections.
    """
    samples = round(rt60 * sample_rate)
    gap = max(1, round(first_reflection * sample_rate))
    if samples <= gap:
        raise UserError(
            f"expected `rt60` to be more than the {first_reflection:g} s to the first reflection, but got "
            f"{rt60:g} s"
        )
    time = np.arange(samples, dtype=np.float32) / sample_rate
    tail = rng.standard_normal(samples, dtype=np.float32)
    tail *= np.exp(time * np.float32(-3.0 * math.log(10.0) / rt60))
    density = np.clip(time / _DENSE, 0.02, 1.0)
    tail *= rng.random(samples, dtype=np.float32) < density
    tail[:gap] = 0.0
    tail[gap] = 10.0 ** (-3.0 * gap / samples)
    energy = float(np.square(tail, dtype=np.float64).sum())
    tail *= math.sqrt(10.0 ** (-direct_to_reverberant / 10.0) / energy)
    tail[0] = 1.0
    return tail.astype(np.float32)


def random_room(sample_rate: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The response of a room drawn at random: see :data:`RT60` and its neighbours for the ranges.

    Args:
        sample_rate: Hz.
        rng: draws the room and its reflections.
    """
    return synthetic_response(
        sample_rate,
        rng,
        rt60=float(rng.uniform(*RT60)),
        direct_to_reverberant=float(rng.uniform(*DIRECT_TO_REVERBERANT)),
        first_reflection=float(rng.uniform(*FIRST_REFLECTION)),
    )
