import numpy as np
import pytest
import scipy.signal

from nam_like.audio.capture_signal import capture_signal
from nam_like.audio.circuits import oversample
from nam_like.audio.circuits.device import DEVICES, OVERSAMPLING, Amp, simulate
from nam_like.audio.circuits.oversample import process_oversampled
from nam_like.audio.circuits.tube_stage import TubeStage
from nam_like.audio.latency import delay_from_blips
from nam_like.errors import UserError

RATE = 48000


def tone(frequency, length=9600, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(length) / RATE)


def db(value):
    return 20 * np.log10(np.maximum(np.abs(value), 1e-30))


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("frequency", [50, 1000, 19000])
def test_oversampling_alone_changes_nothing(factor, frequency):
    samples = tone(frequency)
    got = process_oversampled(samples, factor, lambda block: block)
    assert got.shape == samples.shape
    assert db(np.abs(got - samples)[200:-200].max()) < -90


def test_oversampling_keeps_a_blip_where_it_was():
    samples = np.zeros(1000)
    samples[500] = 1
    got = process_oversampled(samples, 4, lambda block: block)
    assert int(np.argmax(got)) == 500
    np.testing.assert_allclose(got[500:600], got[500:400:-1], atol=1e-12)


def test_overtones_do_not_fold_back():
    got = process_oversampled(tone(15000), 4, lambda block: block**3)  # 45 kHz would fold to 3 kHz
    spectrum = np.abs(np.fft.rfft(got[480:-480] * np.blackman(8640))) / 8640 / 0.42 * 2
    assert spectrum[round(15000 * 8640 / RATE)] == pytest.approx(0.75, rel=1e-3)
    assert db(spectrum[round(3000 * 8640 / RATE)]) < -95


def test_chunks_do_not_show(monkeypatch):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 1000)
    whole = {device: simulate(samples, RATE, device) for device in DEVICES}
    monkeypatch.setattr(oversample, "CHUNK", 333)
    for device, expected in whole.items():
        np.testing.assert_allclose(simulate(samples, RATE, device), expected, atol=1e-8)


@pytest.mark.parametrize("frequency", [100, 1000, 5000])
def test_small_signals_have_the_gain_and_the_phase_of_the_linear_circuit(frequency):
    """No delay but that of the circuit itself, computed here from its impedances."""
    samples = tone(frequency, amplitude=1e-3, length=24000)
    got = simulate(samples, RATE, "pedal", drive=0.4, tone=0.5, level=0.5)
    s = 2j * np.pi * frequency
    expected = 1 + (51e3 + 500e3 * 0.4) / (4.7e3 + 1 / (s * 47e-9))
    expected /= 1 + 2200 * (s * 10e-9 + 2 * 2.52e-9 / (1.752 * 25.85e-3))
    cutoff = 2 * np.pi * 700 * 10**0.5
    expected *= cutoff / (s + cutoff) * s / (s + 2 * np.pi * 16) * 1.6 * 0.5
    steady = slice(9600, 19200)
    carrier = np.exp(-2j * np.pi * frequency * np.arange(24000) / RATE)[steady]
    measured = np.mean(got[steady] * carrier) / np.mean(samples[steady] * carrier)
    assert measured == pytest.approx(expected, rel=0.02)


def test_quiet_amp_is_linear_with_the_expected_response():
    samples = tone(700, amplitude=1e-5, length=24000)
    knobs = {"gain": 0.5, "bass": 0.4, "middle": 0.6, "treble": 0.6, "volume": 0.5}
    got = simulate(samples, RATE, "amp", **knobs)
    carrier = np.exp(-2j * np.pi * 700 * np.arange(24000) / RATE)[9600:19200]
    measured = np.mean(got[9600:19200] * carrier) / np.mean(samples[9600:19200] * carrier)
    response = 1.0
    for stage in Amp(**knobs).stages(OVERSAMPLING * RATE):
        if isinstance(stage, TubeStage):
            slope = np.interp(
                1e-3, stage.curves.grid[1:], np.gradient(stage.curves.plate[1:], stage.curves.grid[1:])
            )
            values = stage.values
            s = 2j * np.pi * 700
            whole = values.grid_leak + values.grid_stopper + 1 / (s * values.coupling_capacitance)
            response *= slope * values.grid_leak / whole
        elif hasattr(stage, "sections"):
            response *= scipy.signal.freqz_sos(stage.sections, [700], fs=OVERSAMPLING * RATE)[1][0]
        else:
            response *= stage(np.ones(1))[0]
    assert measured == pytest.approx(response, rel=0.02)


@pytest.mark.parametrize("device", DEVICES)
def test_blips_find_no_delay_to_speak_of(device):
    signal = capture_signal(RATE, length="short")
    wet = simulate(signal.samples[: 3 * RATE], RATE, device)
    found = delay_from_blips(wet, signal.blips, signal.noise_window)
    # The pedal's edges ring in the filter on the way down; a speaker answers a sample or two late.
    assert -10 <= found.delay <= 3
    assert found.delays[0] == found.delays[1]


@pytest.mark.parametrize("device", DEVICES)
def test_silence_in_silence_out(device):
    assert np.abs(simulate(np.zeros(4800), RATE, device)).max() < 1e-9


@pytest.mark.parametrize("device", DEVICES)
def test_the_capture_signal_does_not_clip(device):
    signal = capture_signal(RATE, length="short")
    section = signal.section("validation 1")
    samples = signal.samples[section.start - 4800 : section.start + RATE]
    got = simulate(samples, RATE, device)
    assert got.shape == samples.shape
    assert 0.05 < np.abs(got).max() < 0.95
    # Before the first sound there is nothing but the ringing of the filters.
    assert np.abs(got[: 4800 - 100]).max() < 1e-6


def harmonics(device, **knobs):
    got = simulate(tone(480, 24000, 0.2), RATE, device, **knobs)[9600:19200]
    spectrum = np.abs(np.fft.rfft(got))
    return np.sqrt(np.sum(spectrum[192::96] ** 2)) / spectrum[96]


def test_drive_and_gain_distort():
    assert harmonics("pedal", drive=0.9) > harmonics("pedal", drive=0.0)
    assert harmonics("amp", gain=0.9) > 2 * harmonics("amp", gain=0.2)


def test_only_the_amp_is_lopsided():
    def even(device):
        spectrum = np.abs(np.fft.rfft(simulate(tone(480, 24000, 0.2), RATE, device)[9600:19200]))
        return spectrum[192] / spectrum[96]

    assert even("pedal") < 1e-4
    assert even("amp") > 0.01


def test_volume_knobs_only_scale():
    samples = tone(300, 2400, 0.3)
    for device, knob in (("pedal", "level"), ("amp", "volume")):
        loud, quiet = (simulate(samples, RATE, device, **{knob: value}) for value in (1.0, 0.25))
        np.testing.assert_allclose(loud, 4 * quiet, atol=1e-12)
    assert not np.any(simulate(samples, RATE, "pedal", level=0.0))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"device": "synth"}, "one of pedal, amp, pedal_amp, but got 'synth'"),
        ({"device": "pedal", "gain": 0.5}, r"knob of the pedal \(drive, tone, level\), but got 'gain'"),
        ({"device": "amp", "gain": 1.5}, "`gain` to be from 0 to 1, but got 1.5"),
        ({"oversampling": 1}, "at least 2, but got 1"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(UserError, match=message):
        simulate(np.zeros(10), RATE, **kwargs)
    with pytest.raises(UserError, match="16000 Hz"):
        simulate(np.zeros(10), 8000)
