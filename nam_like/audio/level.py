"""Levels: peak and RMS, decibels relative to full scale, and the dBu of analog gear.

0 dBFS is an RMS (or, for peaks, an amplitude) of 1.0: a full-scale sine has −3.01 dBFS RMS. 0 dBu is the
voltage that dissipates 1 mW in 600 Ω: √0.6 V ≈ 0.7746 V RMS.

Samples may be an array `(L,)` or a :class:`nam_like.audio.signal.Signal`; both are gone through in blocks, so
that memory does not grow with the length, and both give the same result to the last bit.
"""

from __future__ import annotations

import math

import numpy as np

from nam_like.audio.signal import Samples, blocks

__all__ = [
    "crest_factor_db",
    "db_to_gain",
    "dbu_to_volts",
    "energy",
    "gain_to_db",
    "peak",
    "peak_dbfs",
    "return_level_dbu",
    "rms",
    "rms_dbfs",
    "volts_to_dbu",
]

ZERO_DBU_VOLTS = math.sqrt(0.6)


def gain_to_db(gain: float) -> float:
    """Return 20·log10 of an amplitude ratio; −inf for 0."""
    return 20.0 * math.log10(gain) if gain > 0.0 else -math.inf


def db_to_gain(db: float) -> float:
    """Return the amplitude ratio of a level in dB: 10^(db / 20)."""
    return float(10.0 ** (db / 20.0))


def energy(samples: Samples) -> float:
    """Return the sum of the squares of `(L,)` samples, in float64."""
    return math.fsum(float(np.sum(np.square(block, dtype=np.float64))) for _, block in blocks(samples))


def rms(samples: Samples) -> float:
    """Return the root mean square of `(L,)` samples, summed in float64; 0 where there are none."""
    return math.sqrt(energy(samples) / len(samples)) if len(samples) else 0.0


def peak(samples: Samples) -> float:
    """Return the largest magnitude of `(L,)` samples; 0 where there are none."""
    return max((float(np.max(np.abs(block))) for _, block in blocks(samples)), default=0.0)


def rms_dbfs(samples: Samples) -> float:
    """Return the RMS of `(L,)` samples in dBFS; −inf for digital silence."""
    return gain_to_db(rms(samples))


def peak_dbfs(samples: Samples) -> float:
    """Return the peak of `(L,)` samples in dBFS; −inf for digital silence."""
    return gain_to_db(peak(samples))


def crest_factor_db(samples: Samples) -> float:
    """Return peak over RMS of `(L,)` samples in dB: 0 for a square wave, 3.01 for a sine; NaN for silence."""
    return peak_dbfs(samples) - rms_dbfs(samples) if peak(samples) > 0.0 else math.nan


def volts_to_dbu(volts: float) -> float:
    """Return the level in dBu of a voltage (V RMS)."""
    return gain_to_db(volts / ZERO_DBU_VOLTS)


def dbu_to_volts(dbu: float) -> float:
    """Return the voltage (V RMS) of a level in dBu."""
    return ZERO_DBU_VOLTS * db_to_gain(dbu)


def return_level_dbu(send_level_dbu: float, played_dbfs: float, recorded_dbfs: float) -> float:
    """Return the analog level that an interface input records at 0 dBFS, from a loop-back of its output.

    A tone played at ``played_dbfs`` leaves the output at `send + played` dBu; the input shows it as
    ``recorded_dbfs``, so full scale of the input is that much above it.

    Args:
        send_level_dbu: level of the output when a 0 dBFS tone is played, in dBu.
        played_dbfs: level of the tone in the played file, in dBFS.
        recorded_dbfs: level of the tone in the recorded file, in dBFS, measured the same way.
    """
    return send_level_dbu + played_dbfs - recorded_dbfs
