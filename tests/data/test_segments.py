from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from nam_like.data.segments import SegmentMap, _splitmix64_tensor, gather, mix_seed, splitmix64
from nam_like.errors import UserError


@st.composite
def maps(draw: st.DrawFn) -> SegmentMap:
    nx = draw(st.integers(1, 40))
    samples = draw(st.integers(nx, 300))
    ny = draw(st.none() | st.integers(1, samples - nx + 1))
    return SegmentMap(samples, nx, ny)


@given(maps())
def test_grid_outputs_touch_and_the_remainder_is_shorter_than_an_item(segments: SegmentMap) -> None:
    starts = segments.grid_starts(torch.arange(segments.items)).tolist()
    outputs = [n for s in starts for n in range(s + segments.nx - 1, s + segments.input_length)]
    assert outputs == list(range(segments.nx - 1, segments.nx - 1 + len(outputs)))
    assert 0 <= segments.samples - (outputs[-1] + 1) < segments.output_length


@given(maps(), st.integers(0, 2**62), st.integers(0, 10**6))
def test_random_starts_fit(segments: SegmentMap, seed: int, epoch: int) -> None:
    starts = segments.random_starts(torch.arange(segments.items), seed, epoch)
    assert int(starts.min()) >= 0
    assert int(starts.max()) + segments.input_length <= segments.samples


def test_random_starts_are_uniform_over_every_position() -> None:
    segments = SegmentMap(60, 5, 9)
    drawn = torch.cat([segments.random_starts(torch.arange(6), 3, epoch) for epoch in range(4000)])
    counts = np.bincount(drawn.numpy(), minlength=segments.positions)
    assert len(counts) == 60 - 13 + 1
    expected = 24000 / len(counts)
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < chi2.ppf(0.999, len(counts) - 1)


def test_random_starts_depend_on_seed_epoch_and_index_only() -> None:
    segments = SegmentMap(10**6, 100, 1000)
    indices = torch.arange(50)
    one = segments.random_starts(indices, 1, 2)
    assert torch.equal(one, segments.random_starts(indices, 1, 2))
    assert torch.equal(one.flip(0), segments.random_starts(indices.flip(0), 1, 2))
    assert (one != segments.random_starts(indices, 1, 3)).sum() > 45
    assert (one != segments.random_starts(indices, 2, 2)).sum() > 45


def test_splitmix64_matches_its_published_sequence() -> None:
    # java.util.SplittableRandom and the reference C code give these for seed 1234567.
    state, found = 1234567, []
    for _ in range(5):
        found.append(splitmix64(state))
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_the_tensor_hash_is_the_scalar_one(states: list[int]) -> None:
    hashed = _splitmix64_tensor(torch.tensor(states, dtype=torch.int64)).tolist()
    assert [value % 2**64 for value in hashed] == [splitmix64(state % 2**64) for state in states]


def test_mix_seed_depends_on_the_order() -> None:
    assert len({mix_seed(1, 2), mix_seed(2, 1), mix_seed(1), mix_seed(1, 2, 0)}) == 4


@given(st.integers(1, 20), st.data())
def test_gather_is_slicing(length: int, data: st.DataObject) -> None:
    signal = torch.randn(3, 40)
    starts = data.draw(st.lists(st.integers(0, 40 - length), min_size=1, max_size=5))
    found = gather(signal, torch.tensor(starts), length)
    assert torch.equal(found, torch.stack([signal[:, s : s + length] for s in starts]))
    assert torch.equal(gather(signal[0], torch.tensor(starts), length), found[:, 0])


@pytest.mark.parametrize(
    ("samples", "nx", "ny", "message"),
    [
        (10, 11, None, r"expected at least 11 samples \(the net's receptive field\), but got 10"),
        (10, 3, 9, r"expected `ny` to be from 1 to 8 \(10 samples with a receptive field of 3\), but got 9"),
        (10, 3, 0, "expected `ny` to be from 1 to 8 .*, but got 0"),
        (10, 0, 1, "expected `nx` to be at least 1, but got 0"),
    ],
)
def test_impossible_maps(samples: int, nx: int, ny: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SegmentMap(samples, nx, ny)
