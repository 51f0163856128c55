"""A resistor, a capacitor and two diodes in opposite directions: the clipper of overdrive pedals.

    u ──R──┬──────┬── v          C·dv/dt = (u − v)/R − 2·I_s·sinh(v / (n·V_t))
           C     ⇅ diodes
           ⏚      ⏚

Source: D. Yeh, J. Abel and J. Smith, "Simulation of the diode limiter in guitar distortion circuits by
numerical solution of ordinary differential equations", DAFx 2007. The diodes are 1N914 by their SPICE
parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.circuits.trapezoidal import integrate

__all__ = ["DiodeClipper", "DiodeClipperValues", "diode_derivative", "static_voltage"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

EXPONENT_LIMIT = 80.0
"""Beyond any voltage of a solution; keeps a poor first guess from overflowing."""


@dataclass(frozen=True)
class DiodeClipperValues:
    """Component values.

    Attributes:
        resistance: R in Ω.
        capacitance: C in F.
        saturation_current: I_s of one diode in A.
        thermal_voltage: n·V_t in V: the emission coefficient 1.752 times 25.85 mV.
    """

    resistance: float = 2200.0
    capacitance: float = 10e-9
    saturation_current: float = 2.52e-9
    thermal_voltage: float = 1.752 * 25.85e-3


def diode_derivative(
    voltage: Float64Array, drive: Float64Array, values: DiodeClipperValues
) -> tuple[Float64Array, Float64Array]:
    """Return `dv/dt` in V/s and its derivative by `v` in 1/s, each `(L,)`."""
    rate = 1.0 / (values.resistance * values.capacitance)
    diode_rate = values.saturation_current / values.capacitance
    growing = np.exp(np.clip(voltage / values.thermal_voltage, -EXPONENT_LIMIT, EXPONENT_LIMIT))
    falling = 1.0 / growing
    slope = rate * (drive - voltage) - diode_rate * (growing - falling)
    gradient = -rate - diode_rate / values.thermal_voltage * (growing + falling)
    return slope, gradient


def static_voltage(drive: Float64Array, values: DiodeClipperValues) -> Float64Array:
    """Return about the voltage `(L,)` at which a constant drive settles: the lower of its two asymptotes.

    A small drive passes unchanged; for a large one all of its current flows through one diode.
    """
    size = np.abs(drive)
    through_diode = np.arcsinh(size / (2.0 * values.saturation_current * values.resistance))
    return np.copysign(np.minimum(size, values.thermal_voltage * through_diode), drive)


class DiodeClipper:
    """The clipper as a stage that remembers its capacitor from block to block.

    Args:
        sample_rate: Hz, of the oversampled signal.
        values: component values.
    """

    def __init__(self, sample_rate: float, values: DiodeClipperValues | None = None) -> None:
        self.sample_rate = sample_rate
        self.values = values or DiodeClipperValues()
        self.state = (0.0, 0.0)

    def __call__(self, drive: Float64Array) -> Float64Array:
        """Return the voltage over the diodes in V, `(L,)`, for a drive in V, `(L,)`."""
        voltage = integrate(
            lambda v, u: diode_derivative(v, u, self.values),
            drive,
            1.0 / self.sample_rate,
            guess=static_voltage(drive, self.values),
            state=self.state,
            scale=self.values.thermal_voltage,
        )
        self.state = (float(voltage[-1]), float(drive[-1]))
        return voltage
