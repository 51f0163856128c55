import numpy as np
import pytest
import scipy.signal

from nam_like.audio.circuits import cabinet, linear, tone_stack

RATE = 192000
FREQUENCIES = np.geomspace(20, 10000, 200)
KNOBS = [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.1, 0.9, 0.3), (1.0, 0.0, 0.7)]


def paper(bass, middle, treble):
    """The transfer function as the paper states it."""
    low, m, t = bass, middle, treble
    r1, r2, r3, r4, c1, c2, c3 = 250e3, 1e6, 25e3, 56e3, 250e-12, 20e-9, 20e-9
    b1 = t * c1 * r1 + m * c3 * r3 + low * (c1 * r2 + c2 * r2) + (c1 * r3 + c2 * r3)
    b2 = (
        t * (c1 * c2 * r1 * r4 + c1 * c3 * r1 * r4)
        - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + m * (c1 * c3 * r1 * r3 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + low * (c1 * c2 * r1 * r2 + c1 * c2 * r2 * r4 + c1 * c3 * r2 * r4)
        + low * m * (c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3)
        + (c1 * c2 * r1 * r3 + c1 * c2 * r3 * r4 + c1 * c3 * r3 * r4)
    )
    c = c1 * c2 * c3
    b3 = (
        low * m * c * (r1 * r2 * r3 + r2 * r3 * r4)
        - m**2 * c * (r1 * r3**2 + r3**2 * r4)
        + m * c * (r1 * r3**2 + r3**2 * r4)
        + t * c * r1 * r3 * r4
        - t * m * c * r1 * r3 * r4
        + t * low * c * r1 * r2 * r4
    )
    a1 = (c1 * r1 + c1 * r3 + c2 * r3 + c2 * r4 + c3 * r4) + m * c3 * r3 + low * (c1 * r2 + c2 * r2)
    a2 = (
        m * (c1 * c3 * r1 * r3 - c2 * c3 * r3 * r4 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + low * m * (c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3)
        - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + low * (c1 * c2 * r2 * r4 + c1 * c2 * r1 * r2 + c1 * c3 * r2 * r4 + c2 * c3 * r2 * r4)
        + (c1 * c2 * r1 * r4 + c1 * c3 * r1 * r4 + c1 * c2 * r3 * r4)
        + (c1 * c2 * r1 * r3 + c1 * c3 * r3 * r4 + c2 * c3 * r3 * r4)
    )
    a3 = (
        low * m * c * (r1 * r2 * r3 + r2 * r3 * r4)
        - m**2 * c * (r1 * r3**2 + r3**2 * r4)
        + m * c * (r3**2 * r4 + r1 * r3**2 - r1 * r3 * r4)
        + low * c * r1 * r2 * r4
        + c * r1 * r3 * r4
    )
    return [b3, b2, b1, 0], [a3, a2, a1, 1]


@pytest.mark.parametrize("knobs", KNOBS)
def test_tone_stack_is_that_of_the_paper(knobs):
    expected = scipy.signal.freqs(*paper(*knobs), 2 * np.pi * FREQUENCIES)[1]
    a, b, c, d = tone_stack.state_space(*knobs)
    s = 2j * np.pi * FREQUENCIES
    got = np.array([c @ np.linalg.solve(value * np.eye(3) - a, b) + d for value in s])
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("knobs", KNOBS)
def test_tone_stack_sections_follow_the_analog_circuit(knobs):
    a, b, c, d = tone_stack.state_space(*knobs)
    warped = 2 * RATE * np.tan(np.pi * FREQUENCIES / RATE)  # what the bilinear transform maps there
    expected = np.array([c @ np.linalg.solve(1j * value * np.eye(3) - a, b) + d for value in warped])
    got = scipy.signal.freqz_sos(tone_stack.tone_stack_sections(RATE, *knobs), FREQUENCIES, fs=RATE)[1]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def gain_db(sections, frequency):
    return 20 * np.log10(np.abs(scipy.signal.freqz_sos(sections, [frequency], fs=RATE)[1][0]))


def test_knobs_do_what_they_say():
    for name, frequency, position in (("bass", 80, 0), ("middle", 500, 1), ("treble", 6000, 2)):
        knobs = [0.5, 0.5, 0.5]
        gains = []
        for value in (0.1, 0.9):
            knobs[position] = value
            gains.append(gain_db(tone_stack.tone_stack_sections(RATE, *knobs), frequency))
        assert gains[1] > gains[0] + 3, name


def test_poles_at_their_frequency():
    assert gain_db(linear.one_pole_lowpass(1000, RATE), 1000) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(linear.one_pole_highpass(1000, RATE), 1000) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(linear.one_pole_lowpass(1000, RATE), 1) == pytest.approx(0, abs=1e-4)
    assert gain_db(linear.one_pole_highpass(1000, RATE), 1) == pytest.approx(-60, abs=0.1)


@pytest.mark.parametrize("gain", [-6.0, 4.0])
def test_peak(gain):
    sections = linear.biquad_peak(1000, gain, 2.0, RATE)
    assert gain_db(sections, 1000) == pytest.approx(gain, abs=1e-9)
    assert gain_db(sections, 10) == pytest.approx(0, abs=0.01)
    assert gain_db(sections, 50000) == pytest.approx(0, abs=0.05)
    # The bandwidth between the half-gain points in octaves, as the cookbook defines Q.
    _, response = scipy.signal.freqz_sos(sections, np.linspace(100, 4000, 40000), fs=RATE)
    inside = np.linspace(100, 4000, 40000)[np.abs(20 * np.log10(np.abs(response))) >= abs(gain) / 2]
    assert 1000 / (inside[-1] - inside[0]) == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("rate", [64000, 192000, 384000])
def test_cabinet(rate):
    frequencies = np.array([20, 110, 420, 2900, 8000, 15000])
    response = 20 * np.log10(
        np.abs(scipy.signal.freqz_sos(cabinet.cabinet_sections(rate), frequencies, fs=rate)[1])
    )
    at = dict(zip(frequencies.tolist(), response, strict=True))
    assert at[20] < -18
    assert at[110] > 1
    assert at[420] < at[110] - 3
    assert at[2900] > 3
    assert at[8000] < at[2900] - 18
    assert at[15000] < -35


def test_linear_stage_remembers():
    samples = np.random.default_rng(0).standard_normal(1000)
    sections = cabinet.cabinet_sections(RATE)
    stage = linear.LinearStage(sections)
    got = np.concatenate([stage(samples[:333]), stage(samples[333:])])
    np.testing.assert_allclose(got, scipy.signal.sosfilt(sections, samples), atol=1e-12)
