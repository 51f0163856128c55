"""A triode gain stage: coupling capacitor, grid stopper, common-cathode 12AX7 with a resistor as its load.

    u ──C_c──R_s──┬── grid                 plate ──R_p── supply
                  R_g     (cathode at its bias, kept there by a large capacitor)
                  ⏚

A loud note drives the grid above its cathode; grid current then charges the coupling capacitor, and the bias
stays shifted until the charge has leaked away: the stage goes lopsided, then "blocks". Seen from the
capacitor the grid is a memoryless resistor, so one state remains, its voltage `v`:

    C_c·dv/dt = (w − g(w)) / R_s,   w = u − v,   g(w) the grid's voltage

The plate's voltage follows from that of the grid without memory, along the load line.

Source of the tube's currents: K. Dempwolf and U. Zölzer, "A physically-motivated triode model for circuit
simulations", DAFx 2011, tube RSD-1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.circuits.trapezoidal import integrate

__all__ = [
    "Triode",
    "TubeStage",
    "TubeStageValues",
    "curves",
    "grid_current",
    "plate_current",
    "plate_voltage",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Triode:
    """Parameters of the 12AX7 model; conductances in A/V^exponent, voltages in V.

    Attributes:
        perveance: G of the cathode current.
        amplification: μ.
        exponent: γ.
        sharpness: C, how suddenly the current begins.
        grid_perveance: G_g of the grid current.
        grid_exponent: ξ.
        grid_sharpness: C_g.
    """

    perveance: float = 2.242e-3
    amplification: float = 103.2
    exponent: float = 1.26
    sharpness: float = 3.40
    grid_perveance: float = 6.177e-4
    grid_exponent: float = 1.314
    grid_sharpness: float = 9.901


@dataclass(frozen=True)
class TubeStageValues:
    """Component values.

    Attributes:
        coupling_capacitance: C_c in F.
        grid_stopper: R_s in Ω, with the resistance of whatever drives the stage.
        grid_leak: R_g in Ω.
        plate_resistance: R_p in Ω.
        cathode_resistance: in Ω; sets the bias.
        supply: V.
    """

    coupling_capacitance: float = 22e-9
    grid_stopper: float = 68e3
    grid_leak: float = 1e6
    plate_resistance: float = 100e3
    cathode_resistance: float = 1500.0
    supply: float = 250.0


def grid_current(grid: Float64Array, tube: Triode) -> Float64Array:
    """Return the grid current in A for grid-to-cathode voltages in V, elementwise."""
    open_voltage = np.logaddexp(0.0, tube.grid_sharpness * grid) / tube.grid_sharpness
    current: Float64Array = tube.grid_perveance * open_voltage**tube.grid_exponent
    return current


def plate_current(grid: Float64Array, plate: Float64Array, tube: Triode) -> Float64Array:
    """Return the plate current in A for voltages in V against the cathode: cathode minus grid current."""
    drive = tube.sharpness * (plate / tube.amplification + grid)
    cathode = tube.perveance * (np.logaddexp(0.0, drive) / tube.sharpness) ** tube.exponent
    current: Float64Array = np.maximum(cathode - grid_current(grid, tube), 0.0)
    return current


def plate_voltage(grid: Float64Array, bias: float, values: TubeStageValues, tube: Triode) -> Float64Array:
    """Return the plate voltage in V against ground, where tube and load agree on the current.

    Solved by bisection: the tube's current rises with the plate voltage and the load's falls.

    Args:
        grid: grid-to-cathode voltages in V, `(L,)`.
        bias: voltage of the cathode in V.
        values: component values.
        tube: parameters of the tube.
    """
    low = np.full(grid.shape, bias)
    high = np.full(grid.shape, values.supply)
    for _ in range(48):
        middle = 0.5 * (low + high)
        load = (values.supply - middle) / values.plate_resistance
        too_low = plate_current(grid, middle - bias, tube) < load
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    solution: Float64Array = 0.5 * (low + high)
    return solution


def cathode_bias(values: TubeStageValues, tube: Triode) -> float:
    """Return the voltage of the cathode in V at rest, where the grid is at ground."""
    from scipy.optimize import brentq

    def excess(bias: float) -> float:
        grid = np.array([-bias])
        plate = plate_voltage(grid, bias, values, tube)
        current = (values.supply - plate[0]) / values.plate_resistance + grid_current(grid, tube)[0]
        return float(current * values.cathode_resistance - bias)

    return float(brentq(excess, 0.0, 0.2 * values.supply, xtol=1e-13))


def source_voltage(grid: Float64Array, bias: float, values: TubeStageValues, tube: Triode) -> Float64Array:
    """Return the voltage before the grid stopper for one of the grid, both in V against ground, `(L,)`."""
    current = grid / values.grid_leak + grid_current(grid - bias, tube)
    voltage: Float64Array = grid + values.grid_stopper * current
    return voltage


@dataclass(frozen=True, eq=False)
class Curves:
    """The two memoryless curves of a stage as tables, and where it rests.

    Attributes:
        bias: voltage of the cathode in V.
        grid: grid voltages in V against ground, `(T,)`, ascending.
        source: the voltage before the grid stopper for each, `(T,)`, ascending.
        slope: the derivative of ``grid`` by ``source``, `(T,)`.
        plate: the plate's voltage in V against ground for each, `(T,)`.
        resting_grid: the grid's voltage in V with nothing played.
        resting_plate: the plate's voltage in V with nothing played.
    """

    bias: float
    grid: Float64Array
    source: Float64Array
    slope: Float64Array
    plate: Float64Array
    resting_grid: float
    resting_plate: float


@functools.lru_cache(maxsize=8)
def curves(values: TubeStageValues, tube: Triode) -> Curves:
    """Return the tables of a stage, so fine that linear interpolation is right to 0.1 mV at the plate."""
    from scipy.optimize import brentq

    bias = cathode_bias(values, tube)
    # Far below cut-off the grid draws nothing and the curve is a straight line, so two points do there.
    grid = np.concatenate([[-1000.0], np.linspace(-12.0, 12.0, 24001)])
    source = source_voltage(grid, bias, values, tube)
    plate = plate_voltage(grid - bias, bias, values, tube)
    resting = float(
        brentq(
            lambda v: float(source_voltage(np.array([v]), bias, values, tube)[0]) - v, -1.0, 1.0, xtol=1e-15
        )
    )
    return Curves(
        bias=bias,
        grid=grid,
        source=source,
        slope=np.gradient(grid, source),
        plate=plate,
        resting_grid=resting,
        resting_plate=float(np.interp(resting, grid, plate)),
    )


class TubeStage:
    """The stage, with the memory of its coupling capacitor.

    Args:
        sample_rate: Hz, of the oversampled signal.
        values: component values.
        tube: parameters of the tube.
    """

    def __init__(
        self, sample_rate: float, values: TubeStageValues | None = None, tube: Triode | None = None
    ) -> None:
        self.sample_rate = sample_rate
        self.values = values or TubeStageValues()
        self.curves = curves(self.values, tube or Triode())
        self.state = (-self.curves.resting_grid, 0.0)

    def __call__(self, drive: Float64Array) -> Float64Array:
        """Return the plate's voltage in V against its voltage at rest, `(L,)`, for a drive in V, `(L,)`."""
        # A capacitor this large hardly moves within a stretch of samples.
        charge = integrate(
            self.derivative,
            drive,
            1.0 / self.sample_rate,
            guess=np.full(drive.shape, self.state[0]),
            state=self.state,
            scale=100.0,
        )
        self.state = (float(charge[-1]), float(drive[-1]))
        return self.plate(self.grid(drive - charge)) - self.curves.resting_plate

    def derivative(self, charge: Float64Array, drive: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return `dv/dt` of the coupling capacitor in V/s and its derivative by `v` in 1/s, each `(L,)`."""
        rate = 1.0 / (self.values.grid_stopper * self.values.coupling_capacitance)
        source = drive - charge
        slope = rate * (source - self.grid(source))
        gradient = rate * (np.interp(source, self.curves.source, self.curves.slope) - 1.0)
        return slope, gradient

    def grid(self, source: Float64Array) -> Float64Array:
        """Return the grid's voltage for the one before the grid stopper, both in V against ground, `(L,)`."""
        voltage: Float64Array = np.interp(source, self.curves.source, self.curves.grid)
        return voltage

    def plate(self, grid: Float64Array) -> Float64Array:
        """Return the plate's voltage for that of the grid, both in V against ground, `(L,)`."""
        voltage: Float64Array = np.interp(grid, self.curves.grid, self.curves.plate)
        return voltage
