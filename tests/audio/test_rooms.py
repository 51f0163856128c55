"""Room impulse responses against their definition: decay, energies, convolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from nam_like.audio.rooms import random_room, reverberate, synthetic_response
from nam_like.errors import UserError

RATE = 16000


@pytest.mark.parametrize("rt60", [0.2, 0.5, 0.9])
def test_the_decay_is_that_of_the_reverberation_time(rt60: float) -> None:
    """Schroeder's backward integration, fitted from -5 to -25 dB."""
    slopes = []
    for seed in range(20):
        response = synthetic_response(
            RATE, np.random.default_rng(seed), rt60=rt60, direct_to_reverberant=-10.0
        ).astype(np.float64)
        curve = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1])
        curve -= curve[0]
        part = np.flatnonzero((curve < -5) & (curve > -25))
        slopes.append(np.polyfit(part / RATE, curve[part], 1)[0])
    assert -60 / np.mean(slopes) == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("ratio", [-3.0, 0.0, 10.0])
def test_direct_to_reverberant_ratio(ratio: float) -> None:
    response = synthetic_response(RATE, np.random.default_rng(0), rt60=0.4, direct_to_reverberant=ratio)
    direct, rest = float(response[0]) ** 2, float(np.sum(response[1:].astype(np.float64) ** 2))
    assert 10 * np.log10(direct / rest) == pytest.approx(ratio, abs=1e-3)
    assert response.dtype == np.float32
    assert not response[1:48].any()


def test_rooms_differ_and_can_be_repeated() -> None:
    one, two, again = (random_room(RATE, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert np.array_equal(one, again)
    assert len(one) != len(two)
    assert int(np.abs(one).argmax()) == 0


def test_reverberate_is_a_convolution_without_delay_and_gain() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1000))
    response = rng.standard_normal(300) * 0.1
    response[40] = -1.0
    wet = reverberate(x, response)
    expected = np.stack([signal.convolve(row, response, method="direct")[40:1040] for row in x])
    expected *= np.sqrt((x**2).mean() / (expected**2).mean())
    assert np.allclose(wet, expected, atol=1e-10)


def test_a_response_longer_than_the_signal() -> None:
    x = np.zeros((1, 50), dtype=np.float32)
    x[0, 10] = 1.0
    response = np.zeros(1000, dtype=np.float32)
    response[5], response[15], response[900] = 1.0, 0.5, 0.5
    wet = reverberate(x, response)
    assert wet.shape == (1, 50)
    assert wet.dtype == np.float32
    assert np.flatnonzero(np.abs(wet[0]) > 1e-4).tolist() == [10, 20]


def test_silence_stays_silent() -> None:
    assert not reverberate(np.zeros((1, 100)), np.array([1.0, 0.5])).any()


@pytest.mark.parametrize("response", [np.zeros(10), np.zeros(0)])
def test_a_response_must_sound(response: np.ndarray) -> None:
    with pytest.raises(UserError, match="a sample that is not 0"):
        reverberate(np.ones((1, 10)), response)


def test_a_room_without_time_for_reflections() -> None:
    with pytest.raises(UserError, match=r"expected `rt60` to be more than the 0\.003 s"):
        synthetic_response(RATE, np.random.default_rng(0), rt60=0.002, direct_to_reverberant=0.0)
