from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.data.align import (
    StartError,
    StartStopError,
    StopError,
    delay_bounds,
    seconds_to_samples,
    slice_bounds,
)
from nam_like.data.base import DataError


@given(st.integers(1, 50), st.none() | st.integers(-60, 60), st.none() | st.integers(-60, 60))
def test_bounds_are_those_of_a_python_slice_or_an_error(
    length: int, start: int | None, stop: int | None
) -> None:
    samples = np.arange(length)
    inside = (start is None or -length <= start < length) and (
        stop is None or (-length < stop <= length and stop != 0)
    )
    expected = samples[start:stop]
    if inside and len(expected):
        first, last = slice_bounds(length, start, stop)
        assert 0 <= first < last <= length
        np.testing.assert_array_equal(samples[first:last], expected)
    else:
        with pytest.raises((StartError, StopError, StartStopError)):
            slice_bounds(length, start, stop)


@given(st.integers(1, 60), st.integers(-70, 70))
def test_the_delay_is_taken_out(length: int, delay: int) -> None:
    if abs(delay) >= length:
        with pytest.raises(DataError, match=f"expected `delay` to be smaller than the {length} samples"):
            delay_bounds(length, delay)
        return
    x_start, y_start, left = delay_bounds(length, delay)
    assert y_start - x_start == delay
    assert min(x_start, y_start) == 0
    assert max(x_start, y_start) + left == length


def test_each_end_has_its_message() -> None:
    with pytest.raises(
        StartError, match=r"`start_samples` to be from -10 to 9 in a recording of 10 .*got 10"
    ):
        slice_bounds(10, 10, None)
    with pytest.raises(StopError, match=r"`stop_samples` to be from 1 to 10, or from -9 to -1, .*but got 11"):
        slice_bounds(10, None, 11)
    with pytest.raises(
        StartStopError,
        match=r"`start_samples` to be before `stop_samples`, but got 5 and -6: samples 5 and 4",
    ):
        slice_bounds(10, 5, -6)


@pytest.mark.parametrize(
    ("seconds", "rate", "samples"),
    [(0.29, 100, 29), (9.0, 48000, 432000), (-9.0, 48000, -432000), (0.99999, 100, 99), (-0.015, 100, -1)],
)
def test_seconds(seconds: float, rate: int, samples: int) -> None:
    assert seconds_to_samples(seconds, rate) == samples
