import datetime
import json

import numpy as np
import pytest

from nam_like.export.metadata import build_metadata, finite, measure_levels, pluck_signal


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
def test_the_signal_is_one_second_of_the_stated_level(rate):
    signal = pluck_signal(rate)
    assert signal.dtype == np.float32
    assert signal.shape == (rate,)
    assert np.sqrt(np.mean(signal.astype(np.float64) ** 2)) == pytest.approx(0.1785, rel=1e-6)
    assert 0.3 < np.abs(signal).max() < 1.0
    assert np.array_equal(signal, pluck_signal(rate))


def test_a_linear_model_has_its_gain_as_loudness_and_does_not_compress():
    levels = measure_levels(lambda x: 0.5 * x, 48000)
    assert levels["loudness"] == pytest.approx(20 * np.log10(0.5 * 0.1785), abs=1e-4)
    assert levels["gain"] == pytest.approx(0.0, abs=1e-6)


def test_a_hard_limiter_compresses_fully_and_a_soft_one_partly():
    # For sign(x) every r_i but r_0 is alike: (10 − 5.5) / 5.5 = 0.818.
    assert measure_levels(np.sign, 48000)["gain"] == pytest.approx(4.5 / 5.5, abs=1e-3)
    soft = measure_levels(lambda x: np.tanh(5 * x), 48000)["gain"]
    assert 0.05 < soft < 0.8
    # An expander would be below 0, which is clipped.
    assert measure_levels(lambda x: x**3, 48000)["gain"] == 0.0


@pytest.mark.parametrize("play", [lambda x: 0 * x, lambda x: x * np.nan, lambda x: x * np.inf])
def test_silent_and_broken_models_give_finite_metadata(play):
    with np.errstate(invalid="ignore"):
        levels = measure_levels(play, 8000)
    text = json.dumps(build_metadata({}, levels, {"validation_esr": float("nan")}), allow_nan=False)
    assert "loudness" not in text
    assert "validation_esr" not in text


def test_what_is_in_it():
    now = datetime.datetime(2026, 3, 4, 5, 6, 7)
    metadata = build_metadata({"name": "A", "gear_make": None}, {"gain": 0.5}, {"epochs": 3}, now)
    assert metadata == {
        "date": {"year": 2026, "month": 3, "day": 4, "hour": 5, "minute": 6, "second": 7},
        "gain": 0.5,
        "name": "A",
        "training": {"epochs": 3},
    }


def test_finite_goes_all_the_way_down():
    assert finite({"a": [1.0, float("inf"), {"b": float("nan"), "c": 0}]}) == {"a": [1.0, {"c": 0}]}
