"""Signal-to-noise ratios."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.audio.mixing import gain_for_snr, mean_square


@given(st.floats(-30, 60), st.floats(1e-3, 10), st.integers(0, 99))
def test_the_gain_makes_the_ratio(snr: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech, noise = rng.standard_normal((2, 500)), level * rng.standard_normal((1, 500))
    noise = noise * gain_for_snr(speech, noise, snr)
    assert 10 * np.log10((speech**2).mean() / (noise**2).mean()) == pytest.approx(snr, abs=1e-9)


def test_silence_has_no_ratio() -> None:
    assert gain_for_snr(np.zeros((1, 9)), np.ones((1, 9)), 10) == 1.0
    assert gain_for_snr(np.ones((1, 9)), np.zeros((1, 9)), 10) == 1.0


def test_power_does_not_overflow_half_precision() -> None:
    assert mean_square(np.full((1, 10**6), 200.0, dtype=np.float16)) == pytest.approx(40000.0)
    assert mean_square(np.zeros((1, 0))) == 0.0
