"""Which samples make an example: the algorithm, by vectors and by properties."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nam_like.audio.resample import resampled_length
from nam_like.data.manifest.segment import (
    SegmentError,
    Span,
    choose,
    file_window,
    samples_in,
    whole_span,
)

RATES = st.sampled_from([8000, 11025, 16000, 22050, 24000, 44100, 48000, 96000])
RATE = 16000


@pytest.mark.parametrize(
    ("seconds", "rate", "samples"),
    [(2.0, 16000, 32000), (2.04, 16000, 32640), (0.29, 100, 29), (0.0001, 8000, 0), (1.9999, 10, 19)],
)
def test_complete_samples(seconds: float, rate: int, samples: int) -> None:
    assert samples_in(seconds, rate) == samples


@given(st.integers(0, 10**9), RATES)
def test_samples_survive_seconds(samples: int, rate: int) -> None:
    assert samples_in(samples / rate, rate) == samples


@pytest.mark.parametrize(
    ("offset", "duration", "lengths", "expected"),
    [
        (0.0, 2.0, [32000], (0, 32000)),
        (0.5, 1.0, [32000], (8000, 24000)),
        (0.0, 1.5, [32000], (0, 24000)),  # the line means less than the file
        (0.0, 1.99, [32000], (0, 32000)),  # 10 ms: rounded
        (0.5, 1.495, [32000], (8000, 32000)),
        (0.0, 1.9899, [32000], (0, 31838)),  # more than 10 ms: meant
        (0.0, 2.01, [32000], (0, 32000)),
        (0.0, 2.0, [32000, 32100], (0, 32000)),  # a longer target
        (0.0, 2.0, [32000, 31840], (0, 31840)),  # a target shorter by rounding: both end there
        (0.0, 1.5, [32000, 24000], (0, 24000)),  # the target holds what the line means
        (0.0, 1.5, [32000, 23900], (0, 23900)),
    ],
)
def test_what_a_line_means(
    offset: float, duration: float, lengths: list[int], expected: tuple[int, int]
) -> None:
    span, beyond = whole_span(offset, duration, lengths, RATE)
    assert (span.start, span.stop) == expected
    assert not beyond


def test_a_line_that_goes_beyond_its_file() -> None:
    assert whole_span(0.5, 2.0, [32000, 32000], RATE) == (Span(8000, 32000), True)
    assert whole_span(0.0, 2.011, [32000], RATE)[1]


@pytest.mark.parametrize(
    ("offset", "duration", "lengths", "leading", "message", "file"),
    [
        (2.0, 1.0, [32000], 1, "`offset` to be less than the 2 s of its input, but got 2 s", None),
        (
            0.0,
            2.0,
            [32000, 30400],
            1,
            "at least 2 s, which is how far its example goes, but got only 1.9 s",
            1,
        ),
        (0.0, 2.0, [32000, 32000, 31839], 1, "but got only 1.98994 s", 2),
        (0.0, 2.0, [24000, 32000], 2, "at least 2 s, .* but got only 1.5 s", 0),  # a channel of the input
        (0.0, 1.0, [32000, 15000], 1, "at least 1 s, .* but got only 0.9375 s", 1),
        (0.5, 1e-6, [32000], 1, "at least one sample of 16000 Hz, but got 1e-06 s from 0.5 s on", None),
        (1.995, 1.0, [32000, 31900], 1, "at least one sample", None),
    ],
)
def test_files_that_do_not_hold_it(
    offset: float, duration: float, lengths: list[int], leading: int, message: str, file: int | None
) -> None:
    with pytest.raises(SegmentError, match=message) as error:
        whole_span(offset, duration, lengths, RATE, leading)
    assert error.value.file == file


@given(
    st.integers(0, 40000),
    st.integers(1, 40000),
    st.lists(st.integers(1, 40000), min_size=1, max_size=4),
    st.integers(1, 4),
)
def test_no_sample_is_made_up(offset: int, duration: int, lengths: list[int], leading: int) -> None:
    leading = min(leading, len(lengths))
    longest = max(lengths[:leading])
    wanted = offset + duration if offset + duration < longest - 160 else longest
    try:
        span, beyond = whole_span(offset / RATE, duration / RATE, lengths, RATE, leading)
    except SegmentError as error:
        short = error.file is not None and lengths[error.file] < wanted - 160
        assert short or offset >= min(*lengths, wanted, longest)
        return
    assert span.start == offset
    assert span.start < span.stop <= min(lengths)
    assert span.stop == min([wanted, *lengths])
    assert wanted - span.stop <= 160
    assert beyond == (offset + duration > longest + 160)


@given(
    st.integers(0, 1000), st.integers(1, 1000), st.none() | st.integers(1, 1200), st.integers(0, 2**63 - 1)
)
def test_segments_stay_in_their_span(start: int, length: int, wanted: int | None, draw: int) -> None:
    span = Span(start, start + length)
    for chosen in (choose(span, wanted), choose(span, wanted, draw)):
        assert span.start <= chosen.start < chosen.stop <= span.stop
        assert chosen.length == min(length, wanted or length)
    assert choose(span, wanted).start == start


def test_every_place_is_drawn_alike() -> None:
    starts = [choose(Span(3, 10), 5, draw).start for draw in range(300)]
    assert {start: starts.count(start) for start in set(starts)} == {3: 100, 4: 100, 5: 100}


@given(RATES, RATES, st.integers(1, 200_000), st.data())
def test_windows_hold_their_segment(rate: int, file_rate: int, frames: int, data: st.DataObject) -> None:
    length = resampled_length(frames, file_rate, rate)
    assume(length > 0)
    start = data.draw(st.integers(0, length - 1))
    span = Span(start, data.draw(st.integers(start + 1, length)))
    window = file_window(span, rate, file_rate, frames)
    assert window.first >= 0
    assert window.count > 0
    assert window.first + window.count <= frames
    # The first frame that is read coincides with a sample of ours, exactly.
    assert Fraction(window.first, file_rate) == Fraction(span.start - window.skip, rate)
    assert resampled_length(window.count, file_rate, rate) >= window.skip + span.length
    # Nothing is missing that converting the whole file would use nearby.
    if rate != file_rate:
        context = floor(256 * max(Fraction(1), Fraction(file_rate, rate)))
        first, last = Fraction(span.start * file_rate, rate), Fraction(span.stop * file_rate, rate)
        assert window.first <= max(0, ceil(first) - context) + file_rate
        assert window.first == 0 or first - window.first >= context
        assert window.first + window.count >= min(frames, floor(last) + context)
        # … and not much more than that.
        assert window.count <= ceil(last - first) + 2 * context + 2 * file_rate // 25 + 2


def test_a_file_of_the_right_rate_is_read_as_it_is() -> None:
    window = file_window(Span(7, 19), RATE, RATE, 100)
    assert (window.first, window.count, window.skip) == (7, 12, 0)
