"""The streaming player's operations against float64, in blocks of any size, on every instruction set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nam_like.errors import UserError
from nam_like.native import library
from nam_like.native.stream import Stream
from nam_like.native.stream_graph import Activation, Graph, LstmStack, Rows, Source

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

Doubles = NDArray[np.float64]
SETS = library.available(found) if (found := library.load()) is not None else []

#: Activations and what torch calls them, in float64.
KINDS: dict[str, tuple[Activation, Any]] = {
    "identity": (Activation(), lambda z: z),
    "tanh": (Activation("Tanh"), torch.tanh),
    "relu": (Activation("ReLU"), torch.relu),
    "sigmoid": (Activation("Sigmoid"), torch.sigmoid),
    "silu": (Activation("SiLU"), torch.nn.functional.silu),
    "hardswish": (Activation("Hardswish"), torch.nn.functional.hardswish),
    "softsign": (Activation("Softsign"), torch.nn.functional.softsign),
    "hardtanh": (
        Activation("Hardtanh", (-1.0, 1.0, 0.0, 0.0)),
        torch.nn.functional.hardtanh,
    ),
    "leaky_relu": (
        Activation("LeakyReLU", (0.2, 0.0, 0.0, 0.0)),
        lambda z: torch.nn.functional.leaky_relu(z, 0.2),
    ),
}


@pytest.fixture(params=SETS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with library.using(request.param):
        yield request.param


def played(stream: Stream, x: NDArray[Any], sizes: list[int] | None = None) -> Doubles:
    """Play `x` in blocks of these sizes, over and over."""
    samples = np.ascontiguousarray(x, np.float32)
    out = np.full(len(samples), np.nan, np.float32)
    at = 0
    for size in itertools.cycle(sizes or [len(samples)]):
        if at >= len(samples):
            return out.astype(np.float64)
        stream.process_into(samples[at : at + size], out[at : at + size])
        at += size
    raise AssertionError


def convolved(x: Doubles, weight: Doubles, dilation: int) -> Doubles:
    """Rows `(I, L)` through `(taps, O, I)`, silence before: `(O, L)`."""
    taps = torch.from_numpy(np.ascontiguousarray(weight.transpose(1, 2, 0)))
    past = (weight.shape[0] - 1) * dilation
    padded = torch.nn.functional.pad(torch.from_numpy(x)[None], (past, 0))
    result: Doubles = torch.nn.functional.conv1d(padded, taps, dilation=dilation)[0].numpy()
    return result


def noise(length: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, length).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 20),
    st.integers(1, 7),
    st.integers(1, 90),
    st.lists(st.integers(1, 200), min_size=1, max_size=6),
    st.sampled_from(SETS or ["auto"]),
)
def test_mixes_are_convolutions_in_any_blocks(
    seed: int, rows: int, taps: int, dilation: int, sizes: list[int], isa: str
) -> None:
    random = np.random.default_rng(seed)
    first = random.uniform(-1, 1, (2, rows, 1))
    second = random.uniform(-1, 1, (taps, 3, rows)) / np.sqrt(taps * rows)
    bias = random.uniform(-1, 1, 3)
    x = noise(700, seed)
    with library.using(isa):
        graph = Graph()
        middle = graph.mix(graph.signal(rows), [Source(graph.input, first, 5)])
        y = graph.mix(graph.signal(3), [Source(middle, second, dilation)], bias)
        y = graph.mix(y, [Source(graph.input, np.ones((1, 3, 1)))], base=y)
        stream = graph.start(y)
        assert stream.isa == isa
        whole = played(stream, x)
        stream.reset()
        np.testing.assert_array_equal(played(stream, x, sizes), whole)
    inside = convolved(x[None].astype(np.float64), first, 5)
    expected = convolved(inside, second, dilation)[0] + bias[0] + x
    np.testing.assert_allclose(whole, expected, atol=3e-6)


@pytest.mark.parametrize("name", KINDS)
def test_activations(name: str, isa: str) -> None:
    activation, function = KINDS[name]
    x = np.concatenate([10.0 * noise(500), [0.0, -0.0, 30.0, -30.0, 1e-30]]).astype(np.float32)
    graph = Graph()
    out = graph.signal(1)
    graph.activate(graph.input, activation, out=out)
    expected = function(torch.from_numpy(x.astype(np.float64))).numpy()
    np.testing.assert_allclose(played(graph.start(out), x), expected, rtol=1e-6, atol=5e-7)


def test_the_plugins_tanh_is_within_its_error_of_tanh(isa: str) -> None:
    x = np.linspace(-12, 12, 5001).astype(np.float32)
    graph = Graph()
    out = graph.signal(1)
    graph.activate(graph.input, Activation("Fasttanh"), out=out)
    z = x.astype(np.float64)
    s, e, d = np.abs(z), 0.814642734961073, 2.44506634652299
    above = 2.45550750702956 * (1 + s) + (0.893229853513558 + 0.821226666969744 * s) * z**2
    y = played(graph.start(out), x)
    np.testing.assert_allclose(y, z * above / (d + (d + z**2) * np.abs(z + e * z * s)), atol=1e-6)
    assert 1e-4 < np.abs(y - np.tanh(z)).max() < 2e-2


@pytest.mark.parametrize("pair", ["multiply", "blend"])
@pytest.mark.parametrize("adds", [False, True])
def test_pairs_sums_and_slopes(pair: str, adds: bool, isa: str) -> None:
    weight = np.array([0.5, -2.0, 1.5, 3.0])
    x = noise(300)
    graph = Graph()
    z = graph.mix(graph.signal(4), [Source(graph.input, weight.reshape(1, 4, 1))])
    out, total = graph.signal(2), graph.signal(2)
    graph.mix(total, [Source(graph.input, np.ones((1, 2, 1)))])
    slopes = (0.25, -0.5)
    graph.activate(
        z,
        Activation("PReLU", slopes=slopes),
        out=out,
        total=total,
        adds=adds,
        pair=pair,
        secondary=Activation("Sigmoid"),
    )
    y = graph.mix(
        graph.signal(1), [Source(out, np.array([[[1.0, 10.0]]])), Source(total, np.ones((1, 1, 2)))]
    )
    t = torch.from_numpy(np.outer(weight, x.astype(np.float64)))
    first = torch.nn.functional.prelu(t[:2].T, torch.tensor(slopes, dtype=torch.float64)).T
    second = torch.sigmoid(t[2:])
    a = (first * second if pair == "multiply" else second * first + (1 - second) * t[:2]).numpy()
    expected = a[0] + 10 * a[1] + a.sum(axis=0) + (2 * x if adds else 0)
    np.testing.assert_allclose(played(graph.start(y), x, [7, 64, 100]), expected, rtol=1e-5, atol=1e-5)


def test_modulation(isa: str) -> None:
    x = noise(200)
    graph = Graph()
    rows = graph.mix(graph.signal(4), [Source(graph.input, np.array([[[1.0], [2.0], [3.0], [0.5]]]))])
    shifted = graph.modulate(graph.signal(2), rows.part(0, 2), rows.part(1, 2), rows.part(2, 2))
    y = graph.mix(graph.signal(1), [Source(shifted, np.ones((1, 1, 2)))])
    z = np.outer([1.0, 2.0, 3.0, 0.5], x.astype(np.float64))
    expected = z[0] * z[1] + z[2] + z[1] * z[2] + z[3]
    np.testing.assert_allclose(played(graph.start(y), x, [3, 60]), expected, atol=5e-6)


def lstm_of(layers: int, hidden: int, seed: int) -> tuple[LstmStack, torch.nn.LSTM, torch.nn.Linear]:
    """The same random LSTM for the player and for torch, in float64."""
    torch.manual_seed(seed)
    net = torch.nn.LSTM(1, hidden, layers, batch_first=True).double()
    head = torch.nn.Linear(hidden, 1).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)
    numbers = {name: value.detach().numpy() for name, value in net.named_parameters()}
    stack = LstmStack(
        layers=[
            (
                np.concatenate([numbers[f"weight_ih_l{i}"], numbers[f"weight_hh_l{i}"]], axis=1),
                numbers[f"bias_ih_l{i}"] + numbers[f"bias_hh_l{i}"],
            )
            for i in range(layers)
        ],
        h=np.random.default_rng(seed).uniform(-0.5, 0.5, layers * hidden),
        c=np.random.default_rng(seed + 1).uniform(-0.5, 0.5, layers * hidden),
        head=head.weight.detach().numpy()[0],
        head_bias=float(head.bias.detach()),
    )
    return stack, net, head


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 34),
    st.integers(0, 100),
    st.lists(st.integers(1, 130), min_size=1, max_size=5),
    st.sampled_from(SETS or ["auto"]),
)
def test_lstms_in_any_blocks(layers: int, hidden: int, seed: int, sizes: list[int], isa: str) -> None:
    stack, net, head = lstm_of(layers, hidden, seed)
    x = noise(400, seed)
    with library.using(isa):
        graph = Graph()
        stream = graph.start(graph.lstm(graph.signal(1), graph.input, stack))
        whole = played(stream, x)
        stream.reset()
        np.testing.assert_array_equal(played(stream, x, sizes), whole)
    state = tuple(torch.from_numpy(s.reshape(layers, 1, hidden)) for s in (stack.h, stack.c))
    with torch.no_grad():
        y, _ = net(torch.from_numpy(x.astype(np.float64)).reshape(1, -1, 1), state)
        expected = head(y)[0, :, 0].numpy()
    np.testing.assert_allclose(whole, expected, atol=5e-6)


def delayed(samples: int) -> tuple[Graph, Rows]:
    graph = Graph()
    weight = np.zeros((samples + 1, 1, 1))
    weight[0] = 1.0
    return graph, graph.mix(graph.signal(1), [Source(graph.input, weight)])


def test_reset_goes_back_to_the_saved_state() -> None:
    graph, y = delayed(100)
    stream = graph.start(y)
    x = noise(1000)
    before = played(stream, x[:130])
    np.testing.assert_array_equal(before[:100], 0.0)
    stream.save()
    expected = played(stream, x[130:])
    np.testing.assert_array_equal(expected, x[30:-100])
    for _ in range(2):
        stream.reset()
        np.testing.assert_array_equal(played(stream, x[130:], [33]), expected)


def test_a_block_may_be_played_in_place_and_be_empty() -> None:
    graph, y = delayed(3)
    stream = graph.start(y)
    x = noise(70)
    expected = np.concatenate([np.zeros(3), x[:-3]])
    stream.process_into(x[:0], x[:0])
    stream.process_into(x, x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize(
    "arrays",
    [
        (np.zeros(4), np.zeros(4)),
        (np.zeros(4, np.float32), np.zeros(5, np.float32)),
        (np.zeros(8, np.float32)[::2], np.zeros(4, np.float32)),
        (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)),
    ],
)
def test_wrong_arrays_are_refused(arrays: tuple[Any, Any]) -> None:
    graph, y = delayed(1)
    with pytest.raises(ValueError, match="expected contiguous float32 arrays"):
        graph.start(y).process_into(*arrays)


def test_an_output_that_cannot_be_written_is_refused() -> None:
    graph, y = delayed(1)
    x = noise(4)
    x.flags.writeable = False
    stream = graph.start(y)
    with pytest.raises(ValueError, match="writeable"):
        stream.process_into(x, x)
    stream.process_into(x, noise(4))


def test_wrong_graphs_are_refused() -> None:
    graph = Graph()
    with pytest.raises(ValueError, match="rows that the graph has"):
        graph.mix(Rows(7, 0, 1), [Source(graph.input, np.ones((1, 1, 1)))])
    with pytest.raises(ValueError, match="one column per row"):
        graph.mix(graph.signal(1), [Source(graph.input, np.ones((1, 1, 2)))])
    with pytest.raises(ValueError, match="above 0"):
        graph.mix(graph.signal(1), [Source(graph.input, np.ones((1, 1, 1)), 0)])


def test_without_kernels_there_is_no_graph() -> None:
    with library.using("off"), pytest.raises(UserError, match="expected native kernels"):
        Graph()


def test_blocks_are_timed() -> None:
    graph, y = delayed(1)
    seconds = graph.start(y).time_blocks(noise(1000), 64)
    assert seconds.shape == (15,)
    assert (seconds > 0).all()
