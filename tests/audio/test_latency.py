import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.audio import latency
from nam_like.audio.errors import AudioError
from nam_like.audio.latency import delay_from_blips, delay_from_correlation


def shift(samples, delay):
    out = np.zeros_like(samples)
    if delay >= 0:
        out[delay:] = samples[: samples.size - delay]
    else:
        out[:delay] = samples[-delay:]
    return out


@settings(max_examples=40, deadline=None)
@given(
    delay=st.integers(-900, 900),
    gain=st.floats(1e-3, 100),
    polarity=st.sampled_from([-1, 1]),
    noise_db=st.floats(-60, -6),
    seed=st.integers(0, 2**32 - 1),
    coloured=st.booleans(),
)
def test_correlation_finds_any_delay(delay, gain, polarity, noise_db, seed, coloured):
    rng = np.random.default_rng(seed)
    dry = rng.standard_normal(8000)
    if coloured:
        dry = scipy.signal.lfilter(*scipy.signal.butter(1, 0.2), dry)
    noise = rng.standard_normal(dry.size) * dry.std() * 10 ** (noise_db / 20)
    found = delay_from_correlation(dry, polarity * gain * (shift(dry, delay) + noise), max_delay=1000)
    assert (found.delay, found.polarity) == (delay, polarity)
    assert delay - 20 <= found.onset <= delay
    assert found.confidence > 0.3


@pytest.mark.parametrize("whitening", [0.0, 0.7, 1.0])
def test_correlation_over_several_blocks(whitening):
    rng = np.random.default_rng(1)
    dry = rng.standard_normal(200_000)
    dry[:70_000] = 0
    found = delay_from_correlation(dry, shift(dry, 321)[:190_000], max_delay=500, whitening=whitening)
    assert found.delay == 321
    assert found.confidence > 0.5


def test_plain_correlation_is_that_of_scipy():
    rng = np.random.default_rng(2)
    dry, wet = rng.standard_normal(150_000), rng.standard_normal(140_000)
    ours = latency._correlation(*latency._cross_spectrum(dry, wet, 200), 200, whitening=0.0)
    full = scipy.signal.correlate(wet, dry, method="fft")
    zero_lag = dry.size - 1
    np.testing.assert_allclose(ours, full[zero_lag - 200 : zero_lag + 201], atol=1e-8)


def test_distortion_and_a_highpass_keep_the_delay():
    rng = np.random.default_rng(3)
    dry = rng.standard_normal(50_000) * np.linspace(0, 1, 50_000)
    wet = np.tanh(8 * shift(dry, 57)) + 0.2
    wet = scipy.signal.lfilter(*scipy.signal.butter(1, 0.005, "high"), wet)
    assert delay_from_correlation(dry, wet, max_delay=2000).delay == 57


def test_onset_comes_before_the_middle_of_a_speaker_response():
    dry = np.random.default_rng(5).standard_normal(50_000)
    speaker = scipy.signal.butter(4, 0.15)
    wet = shift(scipy.signal.lfilter(*speaker, dry), 40)
    response = scipy.signal.lfilter(*speaker, np.eye(1, 64)[0])
    found = delay_from_correlation(dry, wet, max_delay=4800)
    assert abs(found.delay - 40 - int(np.argmax(response))) <= 2
    assert 36 <= found.onset <= 43 < found.delay


def test_unrelated_signals_and_tones_give_no_confidence():
    rng = np.random.default_rng(4)
    dry, wet = rng.standard_normal((2, 20_000))
    assert delay_from_correlation(dry, wet, max_delay=2000).confidence < 0.3
    tone = np.sin(2 * np.pi * np.arange(20_000) / 100)
    assert delay_from_correlation(tone, shift(tone, 30), max_delay=2000).confidence < 0.3


def test_silence_is_an_error():
    with pytest.raises(AudioError, match="wet signal to hold sound"):
        delay_from_correlation(np.ones(10), np.zeros(10))
    with pytest.raises(AudioError, match="dry signal to hold sound"):
        delay_from_correlation(np.zeros(0), np.ones(10))


BLIPS = (24_000, 48_000)


def blip_recording(delays, noise=1e-4, seed=0):
    wet = np.random.default_rng(seed).uniform(-noise, noise, 72_000)
    response = 0.5 * np.exp(-np.arange(400) / 60) * np.cos(np.arange(400) / 5)
    for blip, delay in zip(BLIPS, delays, strict=True):
        wet[blip + delay : blip + delay + 400] += response
    return wet


@settings(max_examples=30, deadline=None)
@given(delay=st.integers(-999, 9000), seed=st.integers(0, 1000))
def test_blips(delay, seed):
    found = delay_from_blips(blip_recording((delay, delay), seed=seed), BLIPS, (12_000, 18_000))
    assert (found.delay, found.recommended, found.delays) == (delay, delay - 1, (delay, delay))
    assert found.warnings == ()
    assert found.background <= 1e-4


def test_blips_doubts():
    found = delay_from_blips(blip_recording((10, 40)), BLIPS, (12_000, 18_000))
    assert found.delays == (10, 40)
    assert "delays from 10 to 40" in found.warnings[0]
    hum = np.sin(np.arange(72_000) * 0.01)
    hum[:20_000] = 0
    found = delay_from_blips(hum, BLIPS, (12_000, 18_000))
    assert found.delay == -1000
    assert "from the very start" in found.warnings[0]


def test_blips_errors():
    quiet = np.zeros(72_000)
    with pytest.raises(AudioError, match="no response to the blips"):
        delay_from_blips(quiet, BLIPS, (12_000, 18_000))
    with pytest.raises(AudioError, match="blip at sample 70000"):
        delay_from_blips(quiet, (70_000,), (12_000, 18_000))
    with pytest.raises(AudioError, match="noise window"):
        delay_from_blips(quiet, BLIPS, (71_000, 73_000))
    with pytest.raises(AudioError, match="at least one blip"):
        delay_from_blips(quiet, (), (0, 10))
