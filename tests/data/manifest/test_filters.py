"""Which entries of a manifest are used."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.data.base import DataError
from nam_like.data.manifest.filters import select_entries
from nam_like.data.manifest.lines import ManifestEntry


def entries(*durations: float) -> list[ManifestEntry]:
    return [
        ManifestEntry(Path("m.json"), number, 0.0, duration, f"{number}", {})
        for number, duration in enumerate(durations, start=1)
    ]


def test_both_limits_are_inclusive() -> None:
    kept = select_entries(entries(1.0, 2.0, 2.5, 3.0, 3.5), min_duration=2.0, max_duration=3.0)
    assert [entry.duration for entry in kept] == [2.0, 2.5, 3.0]


def test_max_utts_counts_what_is_kept() -> None:
    kept = select_entries(entries(1, 5, 1, 6, 7, 8), min_duration=2, max_utts=3)
    assert [entry.number for entry in kept] == [2, 4, 5]
    assert len(select_entries(entries(1, 2), max_utts=0)) == 2


def test_how_much_there_is_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        select_entries(entries(3600, 1800, 900), max_duration=2000)
    assert caplog.messages == [
        "used of the manifests: 2 lines (2700.0 s)",
        "left out by min_duration or max_duration: 1 line (1.00 h)",
    ]


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"within `min_duration` 2 s and `max_duration` 3 s, but got 2 of 1 s to 9 s"
    ):
        select_entries(entries(1, 9), min_duration=2, max_duration=3)
    with pytest.raises(DataError, match=r"within `max_duration` 0\.5 s, but got 1 of 1 s to 1 s"):
        select_entries(entries(1), max_duration=0.5)
    with pytest.raises(DataError, match="at least one entry in the manifests, but got only blank lines"):
        select_entries([])


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=20),
    st.none() | st.floats(0, 10),
    st.none() | st.floats(0, 10),
    st.integers(0, 5),
)
def test_the_definition(
    durations: list[float], shortest: float | None, longest: float | None, most: int
) -> None:
    low, high = shortest or 0.0, float("inf") if longest is None else longest
    expected = [number for number, length in enumerate(durations, start=1) if low <= length <= high]
    limits = {"min_duration": shortest, "max_duration": longest, "max_utts": most}
    if not expected:
        with pytest.raises(DataError):
            select_entries(entries(*durations), **limits)  # type: ignore[arg-type]
    else:
        kept = select_entries(entries(*durations), **limits)  # type: ignore[arg-type]
        assert [entry.number for entry in kept] == expected[: most or None]
