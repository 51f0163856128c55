"""Recurrent layers in one direction or both: output and gradients against PyTorch in float64, packed."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nam_like.models.enhancement.lengths import frame_mask
from nam_like.native import library, lstm_layer

LOADED = library.load()
pytestmark = pytest.mark.skipif(LOADED is None, reason="no native kernels here")
SETS = [] if LOADED is None else library.available(LOADED)


def packed(rnn: nn.LSTM, x: Tensor, lengths: Tensor) -> Tensor:
    sequence = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    heard, _ = pad_packed_sequence(rnn(sequence)[0], batch_first=True, total_length=x.shape[1])
    return heard


@pytest.mark.parametrize("isa", SETS)
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(*(st.integers(1, top) for top in (5, 40, 20, 20, 3))),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    padded=st.booleans(),
    seed=st.integers(0, 99),
)
def test_output_and_gradients(
    isa: str, sizes: tuple[int, int, int, int, int], bidirectional: bool, bias: bool, padded: bool, seed: int
) -> None:
    batch, steps, inputs, hidden, layers = sizes
    torch.manual_seed(seed)
    exact = nn.LSTM(inputs, hidden, layers, bias=bias, batch_first=True, bidirectional=bidirectional).double()
    single = copy.deepcopy(exact).float()
    x = torch.randn(batch, steps, inputs, dtype=torch.float64, requires_grad=True)
    y = x.detach().float().requires_grad_()
    lengths = torch.randint(1, steps + 1, (batch,)) if padded else torch.full((batch,), steps)
    expected = packed(exact, x, lengths)
    weight = torch.randn_like(expected) * frame_mask(lengths, steps)[:, :, None]
    (expected * weight).sum().backward()
    with library.using(isa):
        assert lstm_layer.obstacle(single, y) == ""
        found = lstm_layer.play(single, y, lengths if padded else None)
        (found * weight.float()).sum().backward()
    assert (
        float(
            ((found.detach().double() - expected.detach()) * frame_mask(lengths, steps)[:, :, None])
            .abs()
            .max()
        )
        < 1e-5
    )
    pairs = [
        (y.grad, x.grad),
        *((a.grad, b.grad) for a, b in zip(single.parameters(), exact.parameters(), strict=True)),
    ]
    for mine, theirs in pairs:
        assert mine is not None
        assert theirs is not None
        largest = max(float(theirs.abs().max()), 1.0)
        assert float((mine.double() - theirs).abs().max()) < 1e-5 * largest


def test_any_number_of_threads_gives_the_same_bits() -> None:
    torch.manual_seed(0)
    rnn, x, before = (
        nn.LSTM(9, 12, 2, batch_first=True, bidirectional=True),
        torch.randn(5, 33, 9),
        torch.get_num_threads(),
    )
    results = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            rnn.zero_grad()
            made = lstm_layer.play(rnn, x, torch.tensor([33, 5, 1, 20, 33]))
            made[:, :1].square().sum().backward()
            results.append(
                [
                    made.detach(),
                    *(weight.grad.clone() for weight in rnn.parameters() if weight.grad is not None),
                ]
            )
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_obstacles() -> None:
    x, rnn = torch.zeros(1, 2, 3), nn.LSTM(3, 4, 2, batch_first=True)
    assert lstm_layer.obstacle(rnn, x) == ""
    assert "wider" in lstm_layer.obstacle(nn.LSTM(3, 1000, batch_first=True), x)
    assert "projected" in lstm_layer.obstacle(nn.LSTM(3, 4, batch_first=True, proj_size=2), x)
    assert "projected" in lstm_layer.obstacle(nn.LSTM(3, 4), x)
    assert "dropout" in lstm_layer.obstacle(nn.LSTM(3, 4, 2, batch_first=True, dropout=0.1), x)
    assert "float64" in lstm_layer.obstacle(rnn.double(), x)
    assert "empty" in lstm_layer.obstacle(nn.LSTM(3, 4, batch_first=True), x[:, :0])
    with library.using("off"):
        assert "off" in lstm_layer.obstacle(rnn, x)
