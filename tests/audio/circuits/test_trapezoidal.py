import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.signal

from nam_like.audio.circuits import trapezoidal
from nam_like.audio.circuits.diode_clipper import (
    DiodeClipper,
    DiodeClipperValues,
    diode_derivative,
    static_voltage,
)

VALUES = DiodeClipperValues()
RATE = 192000


def scalar_slope(v, u):
    return float(diode_derivative(np.array([v]), np.array([u]), VALUES)[0][0])


def test_same_as_a_loop_over_samples():
    rng = np.random.default_rng(0)
    drive = 5.0 * scipy.signal.lfilter([0.1], [1, -0.9], rng.standard_normal(400))
    expected, v, u = [], 0.0, 0.0
    for new in drive:
        known = v + 0.5 / RATE * scalar_slope(v, u)
        v = scipy.optimize.brentq(lambda w: w - 0.5 / RATE * scalar_slope(w, new) - known, -5, 5, xtol=1e-14)  # noqa: B023
        u = new
        expected.append(v)
    np.testing.assert_allclose(DiodeClipper(RATE)(drive), expected, atol=1e-9)


def test_diode_clipper_against_a_stiff_solver_of_scipy():
    time = np.arange(200) / RATE

    def source(t):
        return 4.0 * np.sin(2 * np.pi * 700 * t) + 2.0 * np.sin(2 * np.pi * 1900 * t)

    exact = scipy.integrate.solve_ivp(
        lambda t, v: [scalar_slope(v[0], source(t))],
        (0, time[-1]),
        [0.0],
        "Radau",
        time,
        rtol=1e-9,
        atol=1e-11,
    ).y[0]
    errors = []
    for factor in (1, 4, 16):
        fine = np.arange(200 * factor) / (RATE * factor)
        errors.append(np.abs(DiodeClipper(RATE * factor)(source(fine))[::factor] - exact).max())
    # Second order: a quarter of the step gives about a sixteenth of the error.
    assert errors[0] < 1e-2
    assert errors[1] < errors[0] / 8
    assert errors[2] < errors[1] / 12


def test_small_signals_see_the_linear_circuit():
    drive = 1e-4 * np.random.default_rng(1).standard_normal(5000)
    got = DiodeClipper(RATE)(drive)
    conductance = 1 / VALUES.resistance + 2 * VALUES.saturation_current / VALUES.thermal_voltage
    b, a = scipy.signal.bilinear([1 / VALUES.resistance], [VALUES.capacitance, conductance], RATE)
    np.testing.assert_allclose(got, scipy.signal.lfilter(b, a, drive), atol=1e-10)


@pytest.mark.parametrize("drive", [0.3, 4.0, -9.0])
def test_constant_drive_settles_at_the_diode_equation(drive):
    settled = DiodeClipper(RATE)(np.full(20000, drive))[-1]
    through_resistor = (drive - settled) / VALUES.resistance
    through_diodes = 2 * VALUES.saturation_current * np.sinh(settled / VALUES.thermal_voltage)
    assert through_resistor == pytest.approx(through_diodes, rel=1e-6)
    assert abs(static_voltage(np.array([drive]), VALUES)[0] - settled) < VALUES.thermal_voltage


def test_blocks_and_stretches_do_not_show(monkeypatch):
    drive = 10 * np.random.default_rng(2).standard_normal(3000)
    whole = DiodeClipper(RATE)(drive)
    monkeypatch.setattr(trapezoidal, "STRETCH", 100)
    clipper = DiodeClipper(RATE)
    pieces = [clipper(drive[start : start + 700]) for start in range(0, 3000, 700)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-9)


@pytest.mark.parametrize("amplitude", [1e-6, 1.0, 1e2, 1e3])
def test_converges_for_any_drive(amplitude):
    drive = amplitude * np.random.default_rng(3).standard_normal(5000)
    voltage = DiodeClipper(RATE)(drive)
    assert np.isfinite(voltage).all()
    assert np.abs(voltage).max() <= np.abs(drive).max()


def test_no_solution_is_an_error():
    def broken(v, u):
        return np.full_like(v, np.sign(u[-1]) * 1e6) * np.cos(v * 1e6), np.zeros_like(v)

    with pytest.raises(trapezoidal.ConvergenceError, match="after 200 iterations"):
        trapezoidal.integrate(broken, np.ones(10), 1.0, guess=np.zeros(10), state=(0.0, 0.0), scale=1.0)
