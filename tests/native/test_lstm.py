"""The LSTM kernels against float64 autograd of the plain PyTorch path."""

from __future__ import annotations

import copy
import warnings
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nam_like.models.amp.lstm import LSTM, native
from nam_like.native import library
from nam_like.native import lstm as kernels

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

SETS = [name for name in library.CHOICES if name not in ("auto", "off")]


def assert_heard_alike(found: Tensor, wanted: Tensor) -> None:
    """Compare outputs with float64; their terms are of order 1, and may cancel."""
    within = 1e-5 * float(wanted.abs().max()) + 1e-6
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=within)


def make(hidden: int, layers: int = 1, **config: Any) -> LSTM:
    """A net of ordinary weights, its learned state among them."""
    net = LSTM(hidden, layers, **config).train()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.5 if parameter.ndim == 1 else hidden**-0.5))
    return net


def exact(net: LSTM) -> LSTM:
    """The same net in float64, which the kernels do not cover."""
    return copy.deepcopy(net).double()


def run(net: LSTM, x: Tensor, knobs: Tensor | None, gradient: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of audio, knobs and all weights (zeros where there is none)."""
    given = [x] if knobs is None else [x, knobs]
    given = [tensor.clone().requires_grad_() for tensor in given]
    net.zero_grad()
    y = net(*given)
    y.backward(gradient)
    leaves = [*given, *net.parameters()]
    return y.detach(), [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def check(net: LSTM, batch: int, length: int) -> None:
    """Compare output and gradients with float64, relative to the largest number of each tensor."""
    x, gradient = torch.randn(2, batch, length)
    knobs = torch.randn(batch, net.num_knobs, length) if net.num_knobs else None
    assert native.obstacle(net) == ""
    found, gradients = run(net, x, knobs, gradient)
    wide = None if knobs is None else knobs.double()
    wanted, wanted_gradients = run(exact(net), x.double(), wide, gradient.double())
    assert_heard_alike(found, wanted)
    for one, other in zip(gradients, wanted_gradients, strict=True):
        # Sums over time cancel, so the rounding of a small sum is that of its terms.
        scale = float(other.abs().max()) + 1e-3 * float(gradient.abs().sum())
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=2e-5 * scale)


def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the kernels from now on, by name."""
    calls: list[str] = []

    def count(name: str) -> None:
        original = getattr(kernels, name)

        def counted(*args: Any) -> Any:
            calls.append(name)
            return original(*args)

        monkeypatch.setattr(kernels, name, counted)

    for name in ("train", "play"):
        count(name)
    return calls


@st.composite
def nets(draw: st.DrawFn) -> tuple[LSTM, int]:
    """A net of any shape, and a length of its segments."""
    torch.manual_seed(draw(st.integers(0, 1000)))
    length = draw(st.integers(1, 90))
    net = make(
        draw(st.integers(1, 40)),
        draw(st.integers(1, 3)),
        input_size=draw(st.integers(1, 20)),
        bias=draw(st.booleans()),
        train_burn_in=draw(st.integers(0, length - 1)),
        train_truncate=draw(st.integers(0, 40)),
    )
    return net, length


@settings(max_examples=40, deadline=None)
@given(nets(), st.integers(1, 19))
def test_output_and_gradients_are_those_of_float64(net_and_length: tuple[LSTM, int], batch: int) -> None:
    check(net_and_length[0], batch, net_and_length[1])


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(("hidden", "layers", "batch"), [(3, 2, 1), (8, 1, 5), (16, 2, 9), (33, 2, 3)])
def test_every_instruction_set(isa: str, hidden: int, layers: int, batch: int) -> None:
    if isa not in library.available(library.load() or pytest.fail("no library")):
        pytest.skip(f"this processor has no {isa} build")
    torch.manual_seed(1)
    with library.using(isa):
        check(make(hidden, layers, input_size=2, train_burn_in=10, train_truncate=25), batch, 120)


@pytest.mark.parametrize("burn_in", [0, 1, 16, 40])
@pytest.mark.parametrize("truncate", [0, 1, 15, 16, 17, 32, 100])
def test_burn_in_and_truncation_at_the_borders_of_chunks(burn_in: int, truncate: int) -> None:
    torch.manual_seed(2)
    check(make(5, 2, train_burn_in=burn_in, train_truncate=truncate), 3, 67)


def test_a_long_segment_as_in_training() -> None:
    torch.manual_seed(3)
    check(make(16, 2, train_burn_in=512, train_truncate=256), 4, 2048)


def test_gates_in_saturation() -> None:
    """Sums far beyond where a float32 sigmoid is 0 or 1 overflow nowhere."""
    torch.manual_seed(4)
    net = make(6)
    with torch.no_grad():
        dict(net.named_parameters())["core.bias_ih_l0"].copy_(
            torch.tensor([200.0, -200.0, 1e4, -1e4, 30.0, -30.0] * 4)
        )
    check(net, 2, 40)


def test_not_a_number_comes_out() -> None:
    net, x = make(4), torch.randn(2, 30)
    x[0, 10] = float("nan")
    y = net(x)
    assert y[0, 10:].isnan().all()
    assert not y[0, :10].isnan().any()
    assert not y[1].isnan().any()


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(5)
    net = make(9, 2, train_burn_in=30, train_truncate=20)
    x, gradient = torch.randn(2, 11, 200)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(run(net, x, None, gradient))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(found[0][0], other[0])
        assert all(torch.equal(a, b) for a, b in zip(found[0][1], other[1], strict=True))


def test_the_input_may_have_any_strides() -> None:
    torch.manual_seed(6)
    net = make(5, train_truncate=7)
    x = torch.randn(40, 6).T[::2]
    torch.testing.assert_close(net(x), net(x.contiguous()), rtol=0, atol=0)
    first = x[:1].expand(3, -1)
    torch.testing.assert_close(net(first)[2], net(x)[0], rtol=0, atol=0)


def test_frozen_weights_get_no_gradient() -> None:
    net = make(5, 2)
    net.core.weight_hh_l1.requires_grad_(False)
    net(torch.randn(2, 30)).sum().backward()
    assert net.core.weight_hh_l1.grad is None
    assert net.core.weight_hh_l0.grad is not None


def test_gradients_can_be_differentiated_again() -> None:
    """As a gradient penalty does."""
    torch.manual_seed(7)
    net, x = make(4, 2, train_burn_in=3, train_truncate=5), torch.randn(2, 17)

    def penalty(net: LSTM, x: Tensor) -> list[Tensor]:
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
        torch.autograd.backward(gradient.square().sum())
        return [parameter.grad for parameter in net.core.parameters() if parameter.grad is not None]

    for one, other in zip(penalty(net, x), penalty(exact(net), x.double()), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@settings(max_examples=15, deadline=None)
@given(nets(), st.integers(1, 3))
def test_playing_is_that_of_float64(net_and_length: tuple[LSTM, int], batch: int) -> None:
    net, length = net_and_length
    net.eval().sample_rate = 100.0
    x = torch.randn(batch, length)
    knobs = [torch.randn(batch, net.num_knobs)] if net.num_knobs else []
    with torch.no_grad():
        found = net(x, *knobs)
        wanted = exact(net)(x.double(), *(value.double() for value in knobs))
    assert_heard_alike(found, wanted)


def test_the_state_is_carried_from_call_to_call() -> None:
    torch.manual_seed(8)
    net = make(7, 3).eval()
    inputs, state = torch.randn(2, 50, 1), net._learned_state(2)
    with torch.no_grad():
        whole, end = net._run(inputs, state)
        first, middle = net._run(inputs[:, :19], state)
        second, last = net._run(inputs[:, 19:], middle)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=0)
    for one, other in zip(last, end, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


# -- which path runs -------------------------------------------------------------------------------------


def test_training_and_playing_take_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, net, x = called(monkeypatch), make(4), torch.randn(1, 20)
    net(x).sum().backward()
    assert calls == ["train"]
    with torch.no_grad():
        net(x)
        assert calls == ["train", "play"]
        net.eval()(x)
    assert set(calls[2:]) == {"play"}
    assert net.runs_on() == library.status()


def test_dropout_runs_on_pytorch_in_training_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, net, x = called(monkeypatch), make(4, 2, dropout=0.5), torch.randn(1, 20)
    net(x).sum().backward()
    assert not calls
    assert "dropout" in net.runs_on()
    with torch.no_grad():
        net.eval()(x)
    assert set(calls) == {"play"}


def test_other_types_autocast_and_no_library_run_on_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = make(4), torch.randn(1, 20)
    expected = net(x)
    calls = called(monkeypatch)
    torch.testing.assert_close(exact(net)(x.double()).float(), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # PyTorch itself has no such LSTM on many processors
        assert native.train(net, x[..., None], net._learned_state(1)) is None
    with library.using("off"):
        torch.testing.assert_close(net(x), expected)
        assert "off" in net.runs_on()
    assert not calls


def test_a_traced_graph_is_made_of_pytorchs_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = make(4).eval(), torch.randn(1, 20)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing
        expected = net(x)
        calls, trace = called(monkeypatch), cast("Any", torch.jit.trace)
        traced: Any = trace(net, (x,), check_trace=False)
        torch.testing.assert_close(traced(x), expected)
    assert not calls


def test_a_hook_on_an_inner_layer_is_called() -> None:
    net = make(4)
    heard: list[Tensor] = []
    handle = net.head.register_forward_hook(lambda *given: heard.append(given))
    assert "a hook on an inner layer" in net.runs_on()
    net(torch.randn(1, 50))
    assert heard
    handle.remove()
    assert native.obstacle(net) == ""


def test_a_replaced_layer_runs_on_pytorch_and_says_so() -> None:
    class Other(torch.nn.LSTM):
        pass

    net = make(4)
    net.core = Other(1, 4, batch_first=True)
    assert "Other" in native.obstacle(net)
    assert "Other" in net.runs_on()
    assert net(torch.randn(1, 10)).shape == (1, 10)
