import numpy as np
import pytest
import scipy.signal

from nam_like.audio.strings import midi_to_hz, pluck, strum

RATE = 48000


def test_midi():
    assert midi_to_hz(69) == 440.0
    assert midi_to_hz(40) == pytest.approx(82.4069, abs=1e-4)


@pytest.mark.parametrize("frequency", [82.41, 220.0, 659.26])
def test_pitch_and_decay(frequency):
    note = pluck(frequency, 2 * RATE, RATE, np.random.default_rng(0), decay_seconds=2.0)
    assert np.abs(note).max() == 1.0
    spectrum = np.abs(np.fft.rfft(note[:RATE] * np.hanning(RATE)))
    low = int(frequency * 0.9)
    peak = low + int(np.argmax(spectrum[low : int(frequency * 1.1)]))
    assert abs(peak - frequency) <= 0.5 * frequency**2 / RATE + 1
    tone = scipy.signal.sosfilt(
        scipy.signal.butter(2, [0.8 * frequency, 1.2 * frequency], "band", fs=RATE, output="sos"), note
    )
    frame = RATE // 5
    fall = 20 * np.log10(np.std(tone[frame : 2 * frame]) / np.std(tone[6 * frame : 7 * frame]))
    # One second of a decay of 60 dB in two, and the averaging filter once a period.
    averaging = -20 * np.log10(np.cos(np.pi * frequency / RATE)) * frequency
    assert fall == pytest.approx(30 + averaging, abs=0.5)


def test_recursion_is_that_of_the_paper():
    note = pluck(1000, 400, RATE, np.random.default_rng(1), decay_seconds=1.0)
    period = round(RATE / 1000 - 0.5)
    loss = 10 ** (-3 * period / RATE)
    expected = scipy.signal.lfilter(
        [1], np.r_[1, np.zeros(period - 1), -loss / 2, -loss / 2], np.r_[note[:period], np.zeros(250)]
    )
    np.testing.assert_allclose(note[: period + 250], expected, atol=1e-12)


def test_strum_hits_one_string_after_the_other():
    chord = strum((40, 47, 52), RATE, RATE, np.random.default_rng(2), spread_seconds=0.1)
    assert np.abs(chord).max() == 1.0
    first = pluck(midi_to_hz(40), RATE, RATE, np.random.default_rng(2), position=0.2)
    assert chord.shape == first.shape
    energy = [np.sum(np.diff(chord[start : start + 960]) ** 2) for start in (4800 - 960, 4800)]
    assert energy[1] > 1.2 * energy[0]
