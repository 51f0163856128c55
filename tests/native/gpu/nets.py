"""WaveNets for the tests of the kernels, and the comparison with float64 autograd."""

import copy

import torch
from torch import nn

from nam_like.models.amp.wavenet import Head1x1, LayerArray, WaveNet, native
from nam_like.models.blocks.activations import PairBlend, PairMultiply


def array(**options):
    """A layer array of two layers; `activation` makes the module of each."""
    activation = options.pop("activation", nn.Tanh)
    base = {
        "input_size": 1,
        "condition_size": 1,
        "channels": 3,
        "kernel_sizes": [3, 2],
        "dilations": [1, 2],
        "head_size": 1,
        **options,
    }
    return LayerArray(activations=[activation() for _ in base["dilations"]], **base)


OPTIONS = {
    "two arrays": lambda: [array(head_size=2), array(input_size=3, channels=2, head_bias=True)],
    "no 1x1": lambda: [array(layer1x1=None)],
    "skip 1x1": lambda: [array(head1x1=Head1x1(2), head_bias=True)],
    "bottleneck": lambda: [array(bottleneck=2, activation=nn.SiLU)],
    "wide bottleneck": lambda: [array(channels=2, bottleneck=5, activation=nn.LeakyReLU)],
    "gate": lambda: [array(bottleneck=3, activation=lambda: PairMultiply(nn.Tanh(), nn.Sigmoid()))],
    "blend": lambda: [array(activation=lambda: PairBlend(nn.Softsign(), nn.Sigmoid()), head1x1=Head1x1(2))],
    "groups": lambda: [
        array(channels=4, groups_input=2, layer1x1=4, head1x1=Head1x1(2, 2)),
    ],
    "head kernels": lambda: [
        array(channels=2, head_size=2, head_kernel_size=3),
        array(input_size=2, channels=2, bottleneck=2, head_kernel_size=4, head_bias=True),
    ],
    "no condition": lambda: [array(condition_size=0)],
    "one layer, one tap": lambda: [array(kernel_sizes=[1], dilations=[1])],
}


def condition_net():
    """A WaveNet whose condition is another WaveNet's output: gradients flow through the condition."""
    maker = WaveNet([array(channels=2, head_size=2, kernel_sizes=[2], dilations=[3])])
    return WaveNet([array(condition_size=2, head1x1=Head1x1(3))], condition_dsp=maker)


def relative(found, expected):
    """Largest deviation over the largest value."""
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


def play(net, x):
    """The net through the kernels; fails where PyTorch would play it."""
    assert native.report(net).startswith("Triton kernels")
    return net.process(x)


def check(net, length=40, batch=2, tolerance=3e-6):
    """Compare output and all gradients with those of plain PyTorch in float64."""
    x = torch.randn(batch, 1, length + net.receptive_field - 1, requires_grad=True)
    exact = copy.deepcopy(net).double()
    wide = x.detach().double().requires_grad_()
    expected = exact.process(wide)
    y = play(net, x)
    assert y.shape == expected.shape
    assert relative(y, expected) < tolerance
    weight = torch.randn_like(y)
    y.backward(weight)
    expected.backward(weight.double())
    assert relative(x.grad, wide.grad) < tolerance
    for (name, parameter), other in zip(net.named_parameters(), exact.parameters(), strict=True):
        assert (parameter.grad is None) == (other.grad is None), name
        if other.grad is not None:
            assert relative(parameter.grad, other.grad) < tolerance, name
