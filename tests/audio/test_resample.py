import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.audio.resample import resample, resampled_length
from nam_like.errors import UserError

RATES = [16000, 22050, 44100, 48000, 88200, 96000]


def tone(frequency, rate, seconds=1.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("from_rate", "to_rate"), [(48000, 44100), (44100, 48000), (96000, 48000), (48000, 16000)]
)
def test_a_tone_survives_where_it_was(from_rate, to_rate):
    frequency = 1000
    got = resample(tone(frequency, from_rate), from_rate, to_rate)
    expected = tone(frequency, to_rate)
    middle = slice(to_rate // 10, -to_rate // 10)
    error = got[middle] - expected[middle]
    assert 20 * np.log10(np.abs(error).max()) < -90


def test_aliases_are_below_100_db():
    for frequency in (8500, 12000, 20000):
        got = resample(tone(frequency, 48000), 48000, 16000)
        middle = got[1600:-1600]
        assert 20 * np.log10(np.abs(middle).max()) < -100


@given(
    length=st.integers(1, 3000),
    from_rate=st.sampled_from(RATES),
    to_rate=st.sampled_from(RATES),
    single=st.booleans(),
)
def test_length_and_type(length, from_rate, to_rate, single):
    samples = np.ones(length, dtype=np.float32 if single else np.float64)
    got = resample(samples, from_rate, to_rate)
    assert got.dtype == samples.dtype
    assert got.shape == (resampled_length(length, from_rate, to_rate),)
    assert abs(got.shape[0] - length * to_rate / from_rate) <= 0.5


def test_same_rate_is_untouched():
    samples = tone(100, 48000)
    assert resample(samples, 48000, 48000) is samples


@pytest.mark.parametrize("rates", [(0, 48000), (48000, -1)])
def test_bad_rate(rates):
    with pytest.raises(UserError, match="to be positive"):
        resample(np.ones(10), *rates)
