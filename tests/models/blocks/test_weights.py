"""Weights in and out of flat lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nam_like.errors import NamFileError
from nam_like.models.blocks.film import FiLM
from nam_like.models.blocks.weights import WeightSource, flat, shortest


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_shortest_reads_back_as_the_same_float32(value: float) -> None:
    short = shortest(value)
    assert np.float32(short) == np.float32(value)
    assert len(repr(short)) <= len(repr(float(np.float32(value))))


def test_shortest() -> None:
    assert repr(shortest(np.float32(0.1))) == "0.1"
    assert repr(shortest(torch.tensor(0.02))) == "0.02"


def test_flat_and_back() -> None:
    tensors = [torch.arange(6.0).reshape(2, 3), torch.tensor(7.0)]
    weights = flat(tensors)
    assert weights.tolist() == [0, 1, 2, 3, 4, 5, 7]
    made = [torch.zeros(2, 3), torch.zeros(())]
    source = WeightSource(weights)
    source.fill(*made)
    assert source.finish() == 7
    assert all(torch.equal(a, b) for a, b in zip(made, tensors, strict=True))
    assert flat([]).shape == (0,)


def test_wrong_counts() -> None:
    with pytest.raises(NamFileError, match="expected at least 3 weights, but got 2"):
        WeightSource([1.0, 2.0]).fill(torch.zeros(3))
    source = WeightSource([1.0, 2.0])
    source.fill(torch.zeros(1))
    with pytest.raises(NamFileError, match="expected 1 weights, but got 2"):
        source.finish()


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_film(shift: bool, groups: int) -> None:
    """Against the formula, one sample at a time."""
    torch.manual_seed(0)
    film = FiLM(2, 4, shift=shift, groups=groups).double()
    x, c = torch.randn(1, 4, 5, dtype=torch.float64), torch.randn(1, 2, 5, dtype=torch.float64)
    y = film(x, c)
    made = film.conv(c)
    for t in range(5):
        wanted = x[0, :, t] * made[0, :4, t] + (made[0, 4:, t] if shift else 0.0)
        torch.testing.assert_close(y[0, :, t], wanted)
    film.neutralise()
    assert film.neutral
    assert torch.equal(film(x, c), x)
