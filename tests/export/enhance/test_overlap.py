"""Overlapping blocks: what goes through unchanged, what a net is asked about, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.audio.multichannel import Block
from nam_like.export.enhance.overlap import fade_in, overlapped


def pieces(audio: Block, size: int) -> Iterator[Block]:
    for first in range(0, audio.shape[1], size):
        yield audio[:, first : first + size]


def noise(samples: int, channels: int = 2) -> Block:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


@given(length=st.integers(1, 300))
def test_fades_add_up_to_one(length: int) -> None:
    rising = fade_in(length)
    np.testing.assert_allclose(rising + rising[::-1], 1.0, atol=1e-6)
    assert (np.diff(rising) > 0).all()


@settings(max_examples=200, deadline=None)
@given(
    total=st.integers(1, 500),
    block=st.integers(2, 120),
    part=st.floats(0.0, 0.5),
    size=st.integers(1, 130),
)
def test_a_net_that_changes_nothing_is_played_exactly(total: int, block: int, part: float, size: int) -> None:
    audio = noise(total)
    heard: list[int] = []

    def play(x: Block) -> Block:
        heard.append(x.shape[1])
        return x.copy()

    made = list(overlapped(pieces(audio, size), total, block, int(part * block), play))
    np.testing.assert_array_equal(np.concatenate(made, axis=1), audio)
    assert set(heard) == {min(total, block)}  # never a snippet
    assert max(piece.shape[1] for piece in made) <= block


def test_answers_are_faded_into_each_other() -> None:
    """Block k answers with the number k: the answer climbs along Hann slopes and is flat in between."""
    number = iter(range(10))
    audio = noise(60, 1)

    def play(x: Block) -> Block:
        return np.full_like(x, next(number))

    made = np.concatenate(list(overlapped(pieces(audio, 60), 60, 24, 8, play)), axis=1)[0]
    slope = np.sin(np.pi / 2 * (np.arange(8) + 0.5) / 8) ** 2
    expected = np.concatenate(
        (np.zeros(16), slope, np.ones(8), 1 + slope, np.full(8, 2.0), 2 + slope, np.full(4, 3.0))
    )
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_every_block_hears_what_it_should() -> None:
    audio = np.arange(100, dtype=np.float32)[None]
    heard: list[tuple[float, float]] = []

    def play(x: Block) -> Block:
        heard.append((float(x[0, 0]), float(x[0, -1])))
        return x.copy()

    list(overlapped(pieces(audio, 7), 100, 40, 10, play))
    assert heard == [(0, 39), (30, 69), (60, 99)]
    heard.clear()
    list(overlapped(pieces(audio[:, :75], 7), 75, 40, 10, play))
    assert heard == [(0, 39), (30, 69), (35, 74)]


def test_the_number_of_channels_may_change() -> None:
    audio = noise(50)
    made = np.concatenate(
        list(overlapped(pieces(audio, 9), 50, 20, 5, lambda x: x.sum(axis=0, keepdims=True))), axis=1
    )
    np.testing.assert_allclose(made, audio.sum(axis=0, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("overlap", [-1, 11])
def test_impossible_overlaps(overlap: int) -> None:
    with pytest.raises(ValueError, match=rf"0 to half a block \(10\), but got {overlap}"):
        list(overlapped(pieces(noise(50), 9), 50, 20, overlap, lambda x: x))
