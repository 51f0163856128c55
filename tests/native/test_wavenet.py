"""The WaveNet kernels against float64 autograd of the plain PyTorch path, over the options of the format."""

from __future__ import annotations

import copy
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nam_like.config.component import component
from nam_like.models.amp.wavenet import WaveNet, native
from nam_like.native import library
from nam_like.native import wavenet as kernels

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

POINTWISE: list[Any] = [
    "Tanh",
    "ReLU",
    "Sigmoid",
    "SiLU",
    "Hardswish",
    "Softsign",
    "Fasttanh",
    {"name": "Hardtanh"},
    {"name": "LeakyReLU", "negative_slope": 0.1},
    {"name": "LeakyHardtanh", "min_val": -0.5, "max_val": 0.7, "min_slope": 0.1, "max_slope": 0.2},
    {"name": "PReLU"},
    {"name": "PairMultiply", "primary": "Tanh", "secondary": "Sigmoid"},
    {"name": "PairBlend", "primary": "SiLU", "secondary": "Sigmoid"},
]


def make(arrays: list[dict[str, Any]], **others: Any) -> WaveNet:
    config = {"layers_configs": arrays, "head_scale": 0.3, **others}
    net = component("net", {"name": "WaveNet", "config": config}).build()
    assert isinstance(net, WaveNet)
    return net


def array(**given: Any) -> dict[str, Any]:
    return {
        "input_size": 1,
        "condition_size": 1,
        "channels": 4,
        "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
        "kernel_size": 3,
        "dilations": [1, 2, 4],
        "activation": "Tanh",
    } | given


def run(net: WaveNet, x: Tensor, gradient: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """Output, and the gradients of the input and of all weights."""
    x = x.clone().requires_grad_()
    net.zero_grad()
    y = net(x, pad_start=False)
    y.backward(gradient)
    return y.detach(), [x.grad, *(parameter.grad for parameter in net.parameters())]


def check(net: WaveNet, batch: int, length: int) -> None:
    """Compare with float64, relative to the largest number of each tensor."""
    x = torch.randn(batch, net.receptive_field - 1 + length)
    gradient = torch.randn(batch, length)
    assert native.process(net, x[:, None], x[:, None]) is not None, native.report(net)
    y, gradients = run(net, x, gradient)
    exact = copy.deepcopy(net).double()
    expected, expected_gradients = run(exact, x.double(), gradient.double())
    # The terms of an output are of order 1, and may cancel.
    within = 1e-5 * float(expected.abs().max()) + 1e-7
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=within)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        if wanted is None:
            assert found is None
            continue
        assert found is not None
        # Sums over time cancel, and rounding grows with the root of the number of their terms.
        scale = float(wanted.abs().max()) + 1e-2 * float(gradient.abs().sum()) / length**0.5
        torch.testing.assert_close(found.double(), wanted, rtol=2e-5, atol=2e-5 * scale)


@st.composite
def nets(draw: st.DrawFn) -> WaveNet:
    """One or two layer arrays of any width, taps and options."""
    torch.manual_seed(draw(st.integers(0, 1000)))
    arrays, channels, heads = [], 1, 0
    count = draw(st.integers(1, 2))
    for index in range(count):
        mixes = draw(st.booleans())
        bottleneck = draw(st.integers(1, 20)) if heads == 0 or mixes else heads
        skips = heads or draw(st.integers(1, 12))
        given: dict[str, Any] = {
            "input_size": channels,
            "channels": draw(st.integers(1, 33)),
            "bottleneck": bottleneck,
            "activation": draw(st.sampled_from(POINTWISE)),
            "dilations": draw(st.lists(st.integers(1, 30), min_size=1, max_size=3)),
            "kernel_size": draw(st.integers(1, 7)),
            "layer_1x1_config": {"active": True},
        }
        if draw(st.booleans()):  # without the residual 1×1 the widths must be equal
            given |= {"channels": bottleneck, "layer_1x1_config": {"active": False}}
        if mixes:
            given["head_1x1_config"] = {"active": True, "out_channels": skips}
        heads = 1 if index == count - 1 else draw(st.integers(1, 9))
        kernel = draw(st.sampled_from([1, 1, 16]))
        given["head"] = {"out_channels": heads, "kernel_size": kernel, "bias": draw(st.booleans())}
        arrays.append(array(**given))
        channels = given["channels"]
    return make(arrays)


@settings(max_examples=40, deadline=None)
@given(nets(), st.integers(1, 3), st.integers(1, 500))
def test_output_and_gradients_are_those_of_float64(net: WaveNet, batch: int, length: int) -> None:
    check(net, batch, length)


@pytest.mark.parametrize("activation", POINTWISE, ids=str)
@pytest.mark.parametrize("isa", ["auto", "portable"])
def test_every_activation(activation: Any, isa: str) -> None:
    if isa not in ["auto", *library.available(library.load() or pytest.fail("no library"))]:
        pytest.skip(f"this processor has no {isa} build")
    torch.manual_seed(3)
    with library.using(isa):
        check(make([array(activation=activation, channels=6)]), 2, 450)


def test_two_arrays_groups_and_kernels_per_layer() -> None:
    torch.manual_seed(4)
    first = array(
        channels=8,
        groups_input=2,
        dilations=[1, 50, 3],
        kernel_size=[2, 6, 15],
        head={"out_channels": 4, "kernel_size": 1, "bias": False},
        layer_1x1_config={"active": True, "groups": 4},
    )
    check(make([first, array(input_size=8, channels=4, dilations=[1, 2, 400])]), 2, 700)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch's number of threads, which is the kernels', too."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Whole items for each thread; all threads on one item; two groups of three, two items for each; one group
# for four items, more than are worked on at a time; more threads than the net has parts.
@pytest.mark.parametrize(("batch", "count"), [(4, 2), (1, 2), (1, 5), (4, 6), (4, 3), (5, 3), (1, 40)])
def test_no_bit_depends_on_the_number_of_threads(batch: int, count: int) -> None:
    torch.manual_seed(5)
    first = array(
        channels=9,
        activation={"name": "PReLU", "num_parameters": 9},
        bottleneck=9,
        dilations=[1, 700, 3],
        head={"out_channels": 4, "kernel_size": 16, "bias": True},
    )
    net = make([first, array(input_size=9, channels=4, dilations=[1, 2, 400], activation="SiLU")])
    x = torch.randn(batch, net.receptive_field - 1 + 1500)
    gradient = torch.randn(batch, 1500)
    with threads(1):
        expected, expected_gradients = run(net, x, gradient)
    with threads(count):
        found, gradients = run(net, x, gradient)
    assert torch.equal(found, expected)
    for a, b in zip(gradients, expected_gradients, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, 191, 193, 900])
def test_an_item_shared_by_threads_is_that_of_float64(length: int) -> None:
    torch.manual_seed(7)
    first = array(channels=6, head={"out_channels": 3, "kernel_size": 1, "bias": False})
    with threads(4):
        check(make([first, array(input_size=6, channels=3, dilations=[1, 300])]), 1, length)


def test_a_long_signal_without_gradients_is_played_in_pieces() -> None:
    torch.manual_seed(6)
    net = make([array(channels=3)])
    x = torch.randn(1, 40_000)
    with torch.no_grad():
        y = net(x)
        with library.using("off"):
            expected = net.double()(x.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"film_params": {"activation_pre_film": {"active": True}}}, "FiLM"),
        ({"activation": "GELU"}, "GELU"),
    ],
)
def test_what_the_kernels_do_not_cover_is_named_and_runs_on_pytorch(
    options: dict[str, Any], reason: str
) -> None:
    net = make([array(**options)])
    assert reason in native.obstacle(net)
    assert reason in native.report(net)
    x = torch.randn(1, 1, 200)
    assert native.process(net, x, x) is None
    assert net(x[0]).shape == (1, 200)


def test_a_hook_on_an_inner_layer_is_called() -> None:
    net = make([array(dilations=[1, 2])])
    heard: list[Tensor] = []
    layer = net.layer_arrays()[0].layers[1]
    handle = layer.register_forward_hook(lambda *given: heard.append(given))
    assert "a hook on an inner layer" in native.report(net)
    net(torch.randn(1, 50))
    assert len(heard) == 1
    handle.remove()
    assert native.obstacle(net) == ""


def test_other_types_and_autocast_run_on_pytorch() -> None:
    net = make([array()])
    x = torch.randn(1, 1, 200)
    assert native.process(net, x.double(), x.double()) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert native.process(net, x, x) is None


def test_memory_that_is_reserved_is_what_the_pass_takes() -> None:
    """A batch that was announced faults in a thread, and not in the forward pass."""
    net = make([array(channels=16, dilations=[1, 2, 4, 8])])
    plan = native._plan(net, 1, 1, own=True)
    assert plan is not None
    library.load().handle.nam_drop_free_buffers()  # type: ignore[union-attr]
    x = torch.randn(8, 20_000)

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        net(x, pad_start=False)
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    expected = net(x, pad_start=False).detach()
    library.load().handle.nam_drop_free_buffers()  # type: ignore[union-attr]
    without = faults()
    library.load().handle.nam_drop_free_buffers()  # type: ignore[union-attr]
    thread = kernels.reserve(plan, *x.shape)
    if thread is None:
        pytest.skip("an older build")
    thread.join()
    assert faults() < without
    torch.testing.assert_close(net(x, pad_start=False).detach(), expected, rtol=0, atol=0)


def test_a_pass_may_begin_while_its_memory_is_reserved() -> None:
    net = make([array(channels=16, dilations=[1, 2, 4, 8])])
    plan = native._plan(net, 1, 1, own=True)
    assert plan is not None
    x = torch.randn(8, 20_000)
    expected = net(x, pad_start=False).detach()
    for _ in range(20):
        library.load().handle.nam_drop_free_buffers()  # type: ignore[union-attr]
        kernels.reserve(plan, *x.shape)
        got = net(x, pad_start=False)
        got.sum().backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(got.detach(), expected, rtol=0, atol=0)
