import functools

import numpy as np
import pytest
import scipy.integrate

from nam_like.audio.circuits import tube_stage
from nam_like.audio.circuits.tube_stage import Triode, TubeStage, TubeStageValues

RATE = 192000
TUBE, VALUES = Triode(), TubeStageValues()


@pytest.fixture
def stage():
    return TubeStage(RATE)


def sine(amplitude, frequency=1000, length=9600):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(length) / RATE)


def test_bias_and_load_line(stage):
    plate = stage.curves.resting_plate
    current = tube_stage.plate_current(
        np.array([-stage.curves.bias]), np.array([plate - stage.curves.bias]), TUBE
    )[0]
    assert current == pytest.approx((VALUES.supply - plate) / VALUES.plate_resistance, rel=1e-5)
    assert current * VALUES.cathode_resistance == pytest.approx(stage.curves.bias, rel=1e-4)
    assert 0.8 < stage.curves.bias < 2.0  # what a 12AX7 has with these resistors
    assert 130 < plate < 200


def test_tables_are_fine_enough(stage):
    grid = np.random.default_rng(0).uniform(-12, 6, 2000)
    exact = tube_stage.plate_voltage(grid - stage.curves.bias, stage.curves.bias, VALUES, TUBE)
    assert np.abs(stage.plate(grid) - exact).max() < 1e-4
    source = tube_stage.source_voltage(grid, stage.curves.bias, VALUES, TUBE)
    assert np.abs(stage.grid(source) - grid).max() < 1e-5


def test_small_signal_gain_is_that_of_the_data_sheet_formula(stage):
    step = 1e-4
    grid, plate = np.array([-stage.curves.bias]), np.array([stage.curves.resting_plate - stage.curves.bias])
    current = functools.partial(tube_stage.plate_current, tube=TUBE)
    transconductance = (current(grid + step, plate) - current(grid - step, plate))[0] / (2 * step)
    conductance = (current(grid, plate + step) - current(grid, plate - step))[0] / (2 * step)
    load = 1 / VALUES.plate_resistance
    expected = (
        transconductance / (conductance + load) * VALUES.grid_leak / (VALUES.grid_leak + VALUES.grid_stopper)
    )
    drive = sine(1e-3)
    got = stage(drive)
    gain = -np.dot(got[4800:], drive[4800:]) / np.dot(drive[4800:], drive[4800:])
    assert gain == pytest.approx(expected, rel=2e-3)
    assert 50 < gain < 80


def test_silence_stays_silent(stage):
    assert np.abs(stage(np.zeros(1000))).max() < 1e-9


def test_clipping_is_lopsided(stage):
    got = stage(sine(4.0))[-1920:]
    assert got.min() < -60
    assert 60 < got.max() < VALUES.supply - stage.curves.resting_plate + 1e-6
    spectrum = np.abs(np.fft.rfft(got))
    assert spectrum[20] > 0.02 * spectrum[10]  # even overtones: the halves of the wave differ


def test_loud_notes_shift_the_bias_and_it_recovers(stage):
    quiet = sine(0.1, length=RATE // 10)
    before = np.ptp(stage(quiet)[-1920:])
    stage(sine(60.0, length=RATE // 10))
    assert stage.state[0] > 10.0
    blocked = np.ptp(stage(quiet)[:1920])
    for _ in range(20):
        after = np.ptp(stage(quiet)[-1920:])
    assert blocked < 0.2 * before
    assert after == pytest.approx(before, rel=0.02)


def test_capacitor_against_a_solver_of_scipy(stage):
    def source(t):
        return 20 * np.sin(2 * np.pi * 300 * t)

    time = np.arange(1500) / RATE
    start = stage.state[0]

    def slope(t, v):
        return stage.derivative(np.asarray(v), np.array([source(t)]))[0]

    exact = scipy.integrate.solve_ivp(slope, (0, time[-1]), [start], "LSODA", time, rtol=1e-9, atol=1e-10).y[
        0
    ]
    got = stage(source(time))
    expected = stage.plate(stage.grid(source(time) - exact)) - stage.curves.resting_plate
    assert np.abs(got - expected).max() < 0.01
    assert np.ptp(exact) > 0.1
