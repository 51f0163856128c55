"""The native MRSTFT against the same loss on PyTorch in float64, which other tests hold against SciPy."""

import logging
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nam_like.losses.spectral import MRSTFT, stft_magnitude
from nam_like.native import library, mrstft

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

ISAS = () if library.load() is None else tuple(library.available(library.load()))
SIGNALS = ("noise", "loud and quiet", "quiet prediction", "silent prediction", "silent target", "impulses", "gain")


@pytest.fixture(autouse=True, params=ISAS)
def isa(request):
    with library.using(request.param):
        yield request.param


def make_pair(kind, batch, length, seed):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(batch, length, generator=generator)
    prediction = target + 0.3 * torch.randn(batch, length, generator=generator)
    if kind == "loud and quiet":  # from item to item, and within each
        level = 10.0 ** torch.linspace(-2, 0, batch)[:, None] * torch.linspace(0.01, 1.0, length)
        prediction, target = prediction * level, target * level
    elif kind == "quiet prediction":
        prediction = 1e-3 * prediction
    elif kind == "silent prediction":
        prediction = torch.zeros(batch, length)
    elif kind == "silent target":
        target = torch.zeros(batch, length)
    elif kind == "impulses":
        prediction, target = (signal * (signal.abs() > 2.5) for signal in (prediction, target))
    elif kind == "gain":
        prediction = 1.3 * target
    return prediction, target


def value_and_gradient(loss, prediction, target, dtype=torch.float32):
    prediction = prediction.detach().to(dtype).requires_grad_()
    value = loss(prediction, target.to(dtype))
    (gradient,) = torch.autograd.grad(value, prediction)
    return value.item(), gradient


def rounding_of_gradient(loss, prediction, target):
    """How far rounded spectra may move the gradient (its norm); infinite where they may flip the sign of a bin.

    An error d of a bin with magnitude X moves 1/X, the gradient of its logarithm, by d/X². The way from bins back to
    samples enlarges norms by at most the root of n_fft · (frames over a sample).
    """
    total = 0.0
    for n_fft, hop, width in loss.resolutions:
        window = torch.hann_window(width, dtype=torch.float64)
        x, y = (stft_magnitude(signal.double(), n_fft, hop, window, 0.0) for signal in (prediction, target))
        error = 1e-6 * x.amax(-1, keepdim=True).maximum(y.amax(-1, keepdim=True))
        least, above = loss.eps**0.5, x > loss.eps**0.5
        tie = above & ((x - y.clamp(min=least)).abs() < error) & (error > 0)
        if (tie | ((x - least).abs() < error)).any():
            return float("inf")
        moved = (error / x.clamp(min=least).square())[above].norm() / x.numel()
        total += float(moved) * (n_fft * (width / hop + 1)) ** 0.5
    return total / len(loss.resolutions)


@st.composite
def cases(draw):
    points = draw(st.lists(st.sampled_from([32, 64, 128, 256, 512]), min_size=1, max_size=3))
    hops = [draw(st.integers(1 + n // 16, 2 * n)) for n in points]
    widths = [draw(st.integers(1, n)) for n in points]
    emphasis = draw(st.sampled_from([None, None, 0.85, 1.0]))
    loss = MRSTFT(emphasis, points, hops, widths, draw(st.sampled_from([1e-8, 1e-3, 1.0])))
    length = draw(st.integers(loss.least_samples, loss.least_samples + 600))
    return loss, draw(st.sampled_from(SIGNALS)), draw(st.integers(1, 19)), length, draw(st.integers(0, 2**31))


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases())
def test_value_and_gradient_are_those_of_float64(case):
    loss, kind, batch, length, seed = case
    prediction, target = make_pair(kind, batch, length, seed)
    c, signals = loss.pre_emphasis, (prediction, target)
    if c is not None:
        signals = [signal[:, 1:] - c * signal[:, :-1] for signal in signals]
    rounding = rounding_of_gradient(loss, *signals)
    assume(rounding < float("inf"))
    value, gradient = value_and_gradient(loss, prediction, target)
    exact, exact_gradient = value_and_gradient(loss.plain, prediction, target, torch.float64)
    assert value == pytest.approx(exact, rel=2e-6, abs=1e-7)
    assert (gradient - exact_gradient).norm() <= 1e-5 * exact_gradient.norm() + rounding
    with torch.no_grad():
        assert loss(prediction, target).item() == value
