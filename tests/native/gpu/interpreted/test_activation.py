"""Each activation and its slope, number by number, against torch's autograd in float64."""

import pytest
import torch
import triton
import triton.language as tl
from torch import nn

from nam_like.models.blocks.activations import (
    Fasttanh,
    LeakyHardtanh,
    PairBlend,
    PairMultiply,
    Softsigmoid,
)
from nam_like.models.blocks.native_activation import describe_activation
from nam_like.native.gpu.kernels.activation import differentiate
from nam_like.native.gpu.plan import numbers
from nam_like.native.kinds import PAIRS


@triton.jit
def apply(
    z1,
    z2,
    grad,
    y,
    grad1,
    grad2,
    SIZE: tl.constexpr,
    PAIR: tl.constexpr,
    ONE: tl.constexpr,
    TWO: tl.constexpr,
):
    at = tl.arange(0, SIZE)
    value, first, second = differentiate(
        tl.load(z1 + at), tl.load(z2 + at), tl.load(grad + at), PAIR, ONE, TWO
    )
    tl.store(y + at, value)
    tl.store(grad1 + at, first)
    tl.store(grad2 + at, second)


def numbers_of(module):
    return numbers(describe_activation(module))


def run(z1, z2, grad, pair, one, two):
    y, grad1, grad2 = (torch.empty_like(z1) for _ in range(3))
    apply[(1,)](z1, z2, grad, y, grad1, grad2, SIZE=len(z1), PAIR=PAIRS.index(pair), ONE=one, TWO=two)
    return y, grad1, grad2


ACTIVATIONS = [
    nn.Identity(),
    nn.Tanh(),
    Fasttanh(),
    nn.Hardtanh(),
    nn.Hardtanh(-0.25, 1.5),
    LeakyHardtanh(-0.5, 0.75, 0.125, 0.25),
    nn.ReLU(),
    nn.LeakyReLU(0.0625),
    nn.Sigmoid(),
    nn.SiLU(),
    nn.Hardswish(),
    nn.Softsign(),
    Softsigmoid(),
]


@pytest.mark.parametrize("module", ACTIVATIONS, ids=str)
def test_value_and_slope(module):
    near, wide = torch.linspace(-1, 1, 512), torch.linspace(-100, 100, 508)
    z = torch.cat([near, wide, torch.tensor([0.0, 1e-30, -1e-6, 0.55])])
    exact = z.double().requires_grad_()
    expected = module(exact)
    (slope,) = torch.autograd.grad(expected.sum(), exact)
    numbers = numbers_of(module)
    y, found, _ = run(z, z, torch.ones_like(z), "none", numbers, numbers)
    # Relative to the value itself: small signals must not drown in rounding.
    torch.testing.assert_close(y.double(), expected.detach(), rtol=4e-7, atol=1e-12)
    torch.testing.assert_close(found.double(), slope, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("module", ACTIVATIONS, ids=str)
def test_what_is_not_a_number_stays_none(module):
    z = torch.full((16,), torch.nan)
    numbers = numbers_of(module)
    y, _, _ = run(z, z, torch.ones_like(z), "none", numbers, numbers)
    assert y.isnan().all()


@pytest.mark.parametrize(("made", "pair"), [(PairMultiply, "multiply"), (PairBlend, "blend")])
def test_pairs(made, pair):
    one, two = nn.SiLU(), nn.Sigmoid()
    z1, z2, grad = torch.randn(3, 256)
    exact = torch.stack([z1, z2]).double()[None].requires_grad_()
    expected = made(one, two)(exact)
    expected.backward(grad.double()[None, None])
    y, first, second = run(z1, z2, grad, pair, numbers_of(one), numbers_of(two))
    torch.testing.assert_close(y.double(), expected[0, 0].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.stack([first, second]).double(), exact.grad[0], rtol=1e-5, atol=1e-6)
