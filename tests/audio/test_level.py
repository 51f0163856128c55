import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.audio import level


def test_sine_and_square():
    sine = np.sin(2 * np.pi * np.arange(4800) / 48)
    assert level.rms(sine) == pytest.approx(math.sqrt(0.5), rel=1e-12)
    assert level.rms_dbfs(sine) == pytest.approx(-3.0103, abs=1e-4)
    assert level.peak_dbfs(0.5 * sine) == pytest.approx(-6.0206, abs=1e-4)
    assert level.crest_factor_db(sine) == pytest.approx(3.0103, abs=1e-4)
    assert level.crest_factor_db(np.sign(sine + 0.01)) == pytest.approx(0, abs=1e-12)


def test_silence_and_nothing():
    for samples in (np.zeros(10), np.zeros(0)):
        assert level.rms_dbfs(samples) == -math.inf
        assert level.peak(samples) == 0.0
        assert math.isnan(level.crest_factor_db(samples))


def test_float32_is_summed_in_float64():
    samples = np.full(2_000_000, 1e-3, dtype=np.float32)
    assert level.rms(samples) == pytest.approx(float(np.float32(1e-3)), rel=1e-12)


@given(st.floats(-200, 200))
def test_decibels_round_trip(db):
    assert level.gain_to_db(level.db_to_gain(db)) == pytest.approx(db, abs=1e-9)
    assert level.volts_to_dbu(level.dbu_to_volts(db)) == pytest.approx(db, abs=1e-9)


def test_dbu():
    # Pro line level is +4 dBu = 1.228 V; consumer level −10 dBV = 0.3162 V = −7.78 dBu.
    assert level.dbu_to_volts(4) == pytest.approx(1.2277, abs=1e-4)
    assert level.volts_to_dbu(10 ** (-10 / 20)) == pytest.approx(-7.7815, abs=1e-4)


def test_loop_back_of_equal_levels_is_transparent():
    assert level.return_level_dbu(12.0, -18.0, -18.0) == 12.0
    # The input shows less than was played: it takes more volts to reach full scale.
    assert level.return_level_dbu(12.0, -18.0, -21.0) == 15.0
