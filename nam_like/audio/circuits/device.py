"""The simulated devices: a pedal, an amp, and the pedal before the amp.

    pedal:      input → gain stage of an op-amp → diode clipper → tone → level
    amp:        input → triode → tone stack → gain → triode → cabinet → volume
    pedal_amp:  pedal → amp

Everything runs at a multiple of the sample rate, in float64. The output is aligned with the input: what delay
there is belongs to the circuit. `docs/test-device.md` shows the circuits and what the knobs do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.circuits.cabinet import cabinet_sections
from nam_like.audio.circuits.diode_clipper import DiodeClipper
from nam_like.audio.circuits.linear import (
    LinearStage,
    discretize,
    one_pole_highpass,
    one_pole_lowpass,
)
from nam_like.audio.circuits.oversample import process_oversampled
from nam_like.audio.circuits.tone_stack import tone_stack_sections
from nam_like.audio.circuits.tube_stage import TubeStage, TubeStageValues
from nam_like.errors import UserError

__all__ = ["DEVICES", "Amp", "Pedal", "PedalAmp", "simulate"]

Float64Array: TypeAlias = npt.NDArray[np.float64]
Stage: TypeAlias = Callable[[Float64Array], Float64Array]

OVERSAMPLING = 8
INPUT_VOLTS = 1.0
"""The voltage of a full-scale sample: a hot guitar peaks at about 1 V."""
OPAMP_SWING = 4.2
"""V; an op-amp on a 9 V battery gets this far from its middle."""
LATE_GRID_STOPPER = 220e3
"""Ω in front of the second triode: it is driven hard, and this keeps its grid current small."""


@dataclass(frozen=True)
class Pedal:
    """An overdrive pedal. All knobs go from 0 to 1.

    Attributes:
        drive: gain of the op-amp above 720 Hz, from 12 to 118.
        tone: cut-off of the low-pass after the clipper, from 700 Hz to 7 kHz.
        level: output; at 0.5 the clipped signal reaches 0.6 of full scale, from 0.8 on it can exceed it.
    """

    drive: float = 0.5
    tone: float = 0.6
    level: float = 0.5

    def stages(self, sample_rate: float) -> list[Stage]:
        """Return the stages in order, for an oversampled rate in Hz: volts in, full scale ±1 out."""
        return [
            LinearStage(_opamp_sections(self.drive, sample_rate)),
            _limit_to_swing,
            DiodeClipper(sample_rate),
            LinearStage(one_pole_lowpass(700.0 * 10.0**self.tone, sample_rate)),
            LinearStage(one_pole_highpass(16.0, sample_rate)),
            _gain(1.6 * self.level),
        ]


@dataclass(frozen=True)
class Amp:
    """A tube preamp with a speaker. All knobs go from 0 to 1.

    Attributes:
        gain: between the triodes, with the taper of an audio pot.
        bass: tone stack.
        middle: tone stack.
        treble: tone stack.
        volume: output; at 0.5 a driven amp reaches 0.7 to 0.9 of full scale, above that it can exceed it.
    """

    gain: float = 0.6
    bass: float = 0.4
    middle: float = 0.6
    treble: float = 0.6
    volume: float = 0.5

    def stages(self, sample_rate: float) -> list[Stage]:
        """Return the stages in order, for an oversampled rate in Hz: volts in, full scale ±1 out."""
        return [
            TubeStage(sample_rate),
            LinearStage(tone_stack_sections(sample_rate, self.bass, self.middle, self.treble)),
            _gain(10.0 ** (2.0 * self.gain - 2.0) if self.gain > 0.0 else 0.0),
            TubeStage(sample_rate, TubeStageValues(grid_stopper=LATE_GRID_STOPPER)),
            LinearStage(one_pole_highpass(10.0, sample_rate)),
            LinearStage(cabinet_sections(sample_rate)),
            _gain(self.volume / 150.0),
        ]


@dataclass(frozen=True)
class PedalAmp:
    """The pedal before the amp; the knobs of both, from 0 to 1."""

    drive: float = 0.3
    tone: float = 0.6
    level: float = 0.5
    gain: float = 0.4
    bass: float = 0.4
    middle: float = 0.6
    treble: float = 0.6
    volume: float = 0.5

    def stages(self, sample_rate: float) -> list[Stage]:
        """Return the stages in order, for an oversampled rate in Hz: volts in, full scale ±1 out."""
        pedal = Pedal(self.drive, self.tone, self.level)
        amp = Amp(self.gain, self.bass, self.middle, self.treble, self.volume)
        return [*pedal.stages(sample_rate), *amp.stages(sample_rate)]


DEVICES: Final[dict[str, type[Pedal] | type[Amp] | type[PedalAmp]]] = {
    "pedal": Pedal,
    "amp": Amp,
    "pedal_amp": PedalAmp,
}


def simulate(
    samples: npt.NDArray[np.floating[Any]],
    sample_rate: int,
    device: str = "amp",
    *,
    oversampling: int = OVERSAMPLING,
    **knobs: float,
) -> Float64Array:
    """Play samples through a simulated device.

    Args:
        samples: `(L,)`; full scale ±1 is 1 V at the device's input.
        sample_rate: Hz, at least 16000.
        device: `pedal`, `amp` or `pedal_amp`.
        oversampling: the circuits run at this multiple of the sample rate, at least 2.
        **knobs: positions from 0 to 1; those of :class:`Pedal`, :class:`Amp` or :class:`PedalAmp`.

    Returns:
        `(L,)`, aligned with ``samples``. Silence gives (all but) silence.

    Raises:
        UserError: there is no such device or knob, or a value is out of range.
    """
    if device not in DEVICES:
        raise UserError(f"expected `device` to be one of {', '.join(DEVICES)}, but got {device!r}")
    names = [field.name for field in fields(DEVICES[device])]
    for name, value in knobs.items():
        if name not in names:
            raise UserError(f"expected a knob of the {device} ({', '.join(names)}), but got {name!r}")
        if not 0.0 <= value <= 1.0:
            raise UserError(f"expected the knob `{name}` to be from 0 to 1, but got {value}")
    if sample_rate < 16000:
        raise UserError(f"expected `sample_rate` to be at least 16000 Hz, but got {sample_rate}")
    if oversampling < 2:
        raise UserError(f"expected `oversampling` to be at least 2, but got {oversampling}")
    stages = DEVICES[device](**knobs).stages(float(sample_rate * oversampling))

    def process(block: Float64Array) -> Float64Array:
        for stage in stages:
            block = stage(block)
        return block

    return process_oversampled(INPUT_VOLTS * samples.astype(np.float64), oversampling, process)


def _gain(factor: float) -> Stage:
    """Return a stage that multiplies."""
    return lambda block: factor * block


def _limit_to_swing(block: Float64Array) -> Float64Array:
    """Return the output of an op-amp that runs smoothly, but soon, into its supply."""
    limited: Float64Array = block / (1.0 + (block / OPAMP_SWING) ** 8) ** 0.125
    return limited


def _opamp_sections(drive: float, sample_rate: float) -> Float64Array:
    """Return the non-inverting op-amp stage `1 + s·C·R_f / (1 + s·C·R)` as sections `(1, 6)`."""
    resistance, capacitance = 4.7e3, 47e-9
    feedback = 51e3 + 500e3 * drive
    pole = -1.0 / (resistance * capacitance)
    zero = -1.0 / ((resistance + feedback) * capacitance)
    return discretize([zero], [pole], 1.0 + feedback / resistance, sample_rate)
