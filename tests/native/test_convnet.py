"""The ConvNet kernels against float64 autograd of the plain PyTorch path, over the options of the format."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nam_like.config.component import component
from nam_like.models.amp.convnet import ConvNet, native
from nam_like.native import library

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

ACTIVATIONS: list[Any] = [
    "Tanh",
    "ReLU",
    "Sigmoid",
    "SiLU",
    "Hardswish",
    "Softsign",
    "Softsigmoid",
    "Fasttanh",
    {"name": "Hardtanh"},
    {"name": "LeakyReLU", "negative_slope": 0.1},
    {"name": "LeakyReLU", "negative_slope": -0.1},
    {"name": "LeakyHardtanh", "min_val": -0.5, "max_val": 0.7, "min_slope": 0.1, "max_slope": 0.2},
    {"name": "PReLU"},
]


def make(**given: Any) -> ConvNet:
    """A net whose batch norms have weights and running statistics of their own."""
    config = {"channels": 4, "dilations": [1, 2, 4], "batchnorm": True} | given
    net = component("net", {"name": "ConvNet", "config": config}).build()
    assert isinstance(net, ConvNet)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.1, 0.5)
    return net


def run(net: ConvNet, x: Tensor, gradient: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Output, and the gradients of the input and of all weights."""
    x = x.clone().requires_grad_()
    net.zero_grad()
    y = net(x, pad_start=False)
    y.backward(gradient)
    gradients = [x.grad, *(parameter.grad for parameter in net.parameters())]
    assert all(found is not None for found in gradients)
    return y.detach(), [found for found in gradients if found is not None]


def inputs(net: ConvNet, batch: int, length: int) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, net.receptive_field - 1 + length), torch.randn(batch, length)


def check(net: ConvNet, batch: int, length: int) -> None:
    """Compare with float64, relative to the largest number of each tensor; running statistics, too."""
    x, gradient = inputs(net, batch, length)
    assert not native.obstacle(net)
    exact = copy.deepcopy(net).double()
    y, gradients = run(net, x, gradient)
    expected, expected_gradients = run(exact, x.double(), gradient.double())
    within = 2e-5 * float(expected.abs().max()) + 1e-7
    torch.testing.assert_close(y.double(), expected, rtol=2e-5, atol=within)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        # Sums over time cancel, and rounding grows with the root of the number of their terms.
        scale = float(wanted.abs().max()) + 1e-2 * float(gradient.abs().sum()) / length**0.5
        torch.testing.assert_close(found.double(), wanted, rtol=3e-5, atol=3e-5 * scale)
    for found, wanted in zip(net.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(found.to(wanted), wanted, rtol=1e-5, atol=1e-6)


@st.composite
def nets(draw: st.DrawFn) -> ConvNet:
    """Any width, depth, dilations and activation."""
    torch.manual_seed(draw(st.integers(0, 1000)))
    return make(
        channels=draw(st.integers(1, 64)),
        dilations=draw(st.lists(st.integers(1, 300), min_size=1, max_size=4)),
        batchnorm=draw(st.booleans()),
        activation=draw(st.sampled_from(ACTIVATIONS)),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(nets(), st.booleans(), st.integers(1, 3), st.integers(20, 500))
def test_output_and_gradients_are_those_of_float64(
    net: ConvNet, training: bool, batch: int, length: int
) -> None:
    check(net.train(training), batch, length)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("isa", ["auto", "portable"])
@pytest.mark.parametrize("batchnorm", [True, False])
def test_every_activation(activation: Any, isa: str, batchnorm: bool) -> None:
    if isa not in ["auto", *library.available(library.load() or pytest.fail("no library"))]:
        pytest.skip(f"this processor has no {isa} build")
    torch.manual_seed(3)
    with library.using(isa):
        check(make(activation=activation, channels=6, batchnorm=batchnorm), 2, 450)


@pytest.mark.parametrize("batchnorm", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_depends_on_the_number_of_threads(batchnorm: bool, training: bool) -> None:
    torch.manual_seed(5)
    net = make(channels=5, batchnorm=batchnorm).train(training)
    x, gradient = inputs(net, 7, 700)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            fresh = copy.deepcopy(net)
            y, gradients = run(fresh, x, gradient)
            found.append([y, *gradients, *fresh.buffers()])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_statistics_are_accurate_where_the_mean_is_far_larger_than_the_deviations() -> None:
    torch.manual_seed(6)
    net = make(channels=3, dilations=[1])
    x = 100.0 + 0.01 * torch.randn(2, 20_000)
    exact = copy.deepcopy(net).double()
    for played, audio in ((net, x), (exact, x.double())):
        for norm in (block.norm for block in played.conv_blocks()):
            assert norm is not None
            norm.momentum = 1.0
            nn.init.zeros_(norm.running_var)
        with torch.no_grad():
            played(audio, pad_start=False)
    found, wanted = (block.norm for block in (net.conv_blocks()[0], exact.conv_blocks()[0]))
    assert found is not None
    assert wanted is not None
    # z itself is rounded, to some 1e-3 of its deviation; the squares must not add to that.
    torch.testing.assert_close(found.running_mean.double(), wanted.running_mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.running_var.double(), wanted.running_var, rtol=3e-3, atol=0.0)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_of_several_steps(momentum: float | None) -> None:
    torch.manual_seed(7)
    net = make()
    for block in net.conv_blocks():
        assert block.norm is not None
        block.norm.momentum = momentum
    plain = copy.deepcopy(net)
    for step in range(4):
        x, _ = inputs(net, 3, 100 + step)
        with torch.no_grad() if step == 2 else torch.enable_grad():
            net(x, pad_start=False)
            with library.using("off"):
                plain(x, pad_start=False)
    for found, wanted in zip(net.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert int(net.conv_blocks()[0].norm.num_batches_tracked) == 4  # type: ignore[union-attr, arg-type]


def test_gradients_add_up_over_steps() -> None:
    torch.manual_seed(8)
    net = make()
    batches = [inputs(net, 2, 60) for _ in range(2)]
    single = [run(copy.deepcopy(net), *batch)[1][1:] for batch in batches]
    for x, gradient in batches:
        net(x, pad_start=False).backward(gradient)
    for parameter, *parts in zip(net.parameters(), *single, strict=True):
        torch.testing.assert_close(parameter.grad, sum(parts))


@pytest.mark.parametrize("batchnorm", [True, False])
def test_a_short_training_is_that_of_pytorch(batchnorm: bool) -> None:
    torch.manual_seed(9)
    net = make(channels=6, batchnorm=batchnorm)
    plain = copy.deepcopy(net)
    optimizers = [torch.optim.Adam(one.parameters(), lr=0.004) for one in (net, plain)]
    losses: list[list[float]] = [[], []]
    for _ in range(15):
        x, _ = inputs(net, 4, 200)
        for index, (one, choice) in enumerate([(net, "auto"), (plain, "off")]):
            with library.using(choice):
                loss = (one(x, pad_start=False) - torch.tanh(2 * x[:, -200:])).square().mean()
                optimizers[index].zero_grad()
                loss.backward()
                optimizers[index].step()
            losses[index].append(loss.item())
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    net.eval(), plain.eval()
    with torch.no_grad():
        y = net(x)
        with library.using("off"):
            torch.testing.assert_close(y, plain(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("activation", ["Tanh", "SiLU"])
@pytest.mark.parametrize("batchnorm", [True, False])
def test_a_long_signal_without_gradients_is_played_in_pieces(activation: str, batchnorm: bool) -> None:
    torch.manual_seed(10)
    net = make(channels=3, activation=activation, batchnorm=batchnorm).eval()
    x = torch.randn(2, 20_000)
    with torch.no_grad():
        y = net(x)
        assert native.play(net, x[:, None]) is not None
        expected = net.double()(x.double())
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)


def test_inputs_and_gradients_of_any_strides() -> None:
    torch.manual_seed(11)
    net = make()
    x, gradient = torch.randn(50, 6).T, torch.randn(43, 6).T
    assert not x.is_contiguous()
    expected = run(copy.deepcopy(net), x.contiguous(), gradient.contiguous())
    y, gradients = run(net, x, gradient)
    assert torch.equal(y, expected[0])
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected[1], strict=True))


def test_not_a_number_is_passed_on() -> None:
    net = make()
    y = net(torch.full((2, 30), math.nan), pad_start=False)
    assert y.isnan().all()


class OtherNorm(nn.BatchNorm1d):
    """A subclass may do anything."""


def freeze_one(net: ConvNet) -> None:
    net.conv_blocks()[0].norm.eval()  # type: ignore[union-attr]


def replace_norm(net: ConvNet) -> None:
    net.conv_blocks()[1].norm = OtherNorm(4)


def hook_inside(net: ConvNet) -> None:
    net.conv_blocks()[1].register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ("options", "change", "reason"),
    [
        ({"activation": "GELU"}, None, "its activation is GELU"),
        ({"channels": 65}, None, "it has 65 channels, more than 64"),
        ({}, freeze_one, "some of its batch norms are in training"),
        ({}, replace_norm, "OtherNorm"),
        ({}, hook_inside, "a hook on an inner layer"),
        ({}, nn.Module.double, "its weights are torch.float64"),
    ],
)
def test_what_the_kernels_do_not_cover_is_named_and_runs_on_pytorch(
    options: dict[str, Any], change: Any, reason: str
) -> None:
    net = make(**options)
    if change is not None:
        change(net)
    assert reason in native.obstacle(net)
    assert "this net runs on PyTorch" in net.runs_on()
    assert reason in net.runs_on()
    x = torch.randn(1, 1, 200).to(net.head.weight)
    assert native.play(net, x) is None
    assert net(x[0]).shape == (1, 200)


def test_what_runs_on_kernels_says_so() -> None:
    assert make().runs_on() == library.status()
    assert "PyTorch" in make().runs_on("cuda")


def test_other_types_and_autocast_run_on_pytorch() -> None:
    net, x = make(), torch.randn(1, 1, 200)
    assert native.play(net, x) is not None
    assert native.play(net, x.double()) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert native.play(net, x) is None


def test_a_single_value_has_no_variance_as_on_pytorch() -> None:
    net = make()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.randn(1, net.receptive_field), pad_start=False)
