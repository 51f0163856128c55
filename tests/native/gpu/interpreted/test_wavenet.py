"""WaveNets through the kernels, in the interpreter, against plain PyTorch in float64."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from nets import OPTIONS, array, check, condition_net, play
from torch import nn

from nam_like.models.amp.wavenet import Head1x1, WaveNet
from nam_like.models.blocks.activations import Fasttanh, PairBlend, PairMultiply
from nam_like.native.gpu import blocking


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    check(WaveNet(OPTIONS[name](), head_scale=0.5))


def test_gradients_through_the_condition():
    check(condition_net())


def test_several_tiles_and_stretches(monkeypatch):
    monkeypatch.setattr(blocking, "STRETCH", 50)
    check(WaveNet([array(channels=2, kernel_sizes=[3], dilations=[5])]), length=90, batch=1)


def test_runs_are_reproducible_and_graphs_are_kept():
    net = WaveNet([array(), array(input_size=3, channels=1)])
    x = torch.randn(2, 1, 30)
    gradients = []
    y = play(net, x)
    for _ in range(2):
        net.zero_grad()
        y.square().sum().backward(retain_graph=True)
        gradients.append([p.grad.clone() for p in net.parameters() if p.grad is not None])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))


def test_without_gradients_the_same_comes_out():
    net = WaveNet([array()])
    x = torch.randn(1, 1, 30)
    with torch.no_grad():
        quiet = play(net, x)
    assert not quiet.requires_grad
    assert torch.equal(quiet, play(net, x))


def test_what_is_frozen_stays_without_gradient():
    net = WaveNet([array()])
    net.arrays[0].layers[0].conv.weight.requires_grad_(False)
    play(net, torch.randn(1, 1, 30)).sum().backward()
    assert net.arrays[0].layers[0].conv.weight.grad is None
    assert net.arrays[0].layers[1].conv.weight.grad is not None


@st.composite
def nets(draw):
    """Arrays of any shape that the kernels cover, small."""
    channels, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    count = draw(st.integers(1, 3))
    skips = draw(st.none() | st.integers(1, 4))
    single = draw(st.sampled_from([nn.Tanh, nn.LeakyReLU, nn.SiLU, Fasttanh, nn.Softsign]))
    pair = draw(st.sampled_from([None, PairMultiply, PairBlend]))
    first = array(
        channels=channels,
        kernel_sizes=draw(st.lists(st.integers(1, 6), min_size=count, max_size=count)),
        dilations=draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)),
        condition_size=draw(st.integers(0, 1)),
        bottleneck=width,
        layer1x1=1 if width != channels else draw(st.sampled_from([None, 1])),
        head1x1=None if skips is None else Head1x1(skips),
        head_size=2,
        head_kernel_size=draw(st.integers(1, 3)),
        head_bias=draw(st.booleans()),
        activation=single if pair is None else lambda: pair(single(), nn.Sigmoid()),
    )
    arrays = [first]
    if draw(st.booleans()):
        arrays.append(array(input_size=channels, channels=2, kernel_sizes=[2], dilations=[3]))
    return WaveNet(arrays)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=nets(), length=st.integers(1, 70), batch=st.integers(1, 2))
def test_any_shape(net, length, batch):
    check(net, length, batch, tolerance=2e-5)


@pytest.mark.slow
def test_channels_of_real_nets():
    def layers(**options):
        return array(kernel_sizes=[3], dilations=[2], **options)

    check(WaveNet([layers(channels=16, head_size=8), layers(input_size=16, channels=8)]))
    check(WaveNet([array(channels=8, kernel_sizes=[16], dilations=[7], head_kernel_size=16)]))
    check(WaveNet([layers(channels=32, activation=lambda: PairMultiply(nn.Tanh(), nn.Sigmoid()))]))
