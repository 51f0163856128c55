"""The native MRSTFT against the same loss on PyTorch in float64, which other tests hold against SciPy."""

import logging

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nam_like.losses.spectral import MRSTFT, stft_magnitude
from nam_like.native import library, mrstft

pytestmark = pytest.mark.skipif(library.load() is None, reason=library.status())

ISAS = () if library.load() is None else tuple(library.available(library.load()))
SIGNALS = (
    "noise",
    "loud and quiet",
    "quiet prediction",
    "silent prediction",
    "silent target",
    "impulses",
    "gain",
)


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
    """How far rounded spectra may move the gradient (its norm); infinite where a bin may change its sign.

    An error d of a bin with magnitude X moves 1/X, the gradient of its logarithm, by d/X². The way from bins
    back to samples enlarges norms by at most the root of n_fft · (frames over a sample).
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
    suppress_health_check=[
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
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


def torch_stft_distance(loss, prediction, target):
    """The distance by torch.stft, with the window padded to the whole transform."""
    total = 0.0
    for n_fft, hop, width in loss.resolutions:
        window = torch.hann_window(width, dtype=torch.float64)
        x, y = (
            torch.stft(
                signal, n_fft, hop, width, window, center=True, pad_mode="reflect", return_complex=True
            )
            .abs()
            .square()
            .clamp(min=loss.eps)
            .sqrt()
            for signal in (prediction, target)
        )
        total = total + (y - x).norm() / y.norm() + (x.log() - y.log()).abs().mean()
    return total / len(loss.resolutions)


@pytest.mark.parametrize("length", [2049, 8192, 8191])
@pytest.mark.parametrize("kind", ["noise", "gain"])
def test_the_usual_resolutions_are_those_of_torch_stft(kind, length):
    loss = MRSTFT()
    prediction, target = make_pair(kind, 3, length, 1)
    value, gradient = value_and_gradient(loss, prediction, target)
    exact, exact_gradient = value_and_gradient(
        lambda p, t: torch_stft_distance(loss, p, t), prediction, target, torch.float64
    )
    assert value == pytest.approx(exact, rel=2e-6)
    # Quiet bins, and bins so alike that rounding decides which is larger, move any gradient in float32.
    _, plain_gradient = value_and_gradient(loss.plain, prediction, target)
    rounding = (plain_gradient - exact_gradient).norm()
    assert (gradient - exact_gradient).norm() <= 1e-4 * exact_gradient.norm() + 5 * rounding
    assert rounding < 1e-2 * exact_gradient.norm()


def test_pre_emphasis_is_that_of_the_samples():
    emphasised, plain = MRSTFT(0.85), MRSTFT()
    prediction, target = make_pair("noise", 2, 4000, 2)
    steep = [signal[:, 1:] - 0.85 * signal[:, :-1] for signal in (prediction, target)]
    assert emphasised(prediction, target).item() == pytest.approx(plain(*steep).item(), rel=1e-6)


def small():
    return MRSTFT(None, [64, 128], [16, 30], [64, 100])


@pytest.mark.parametrize("shape", [(500,), (1, 500), (2, 3, 500)])
def test_leading_axes_are_one_batch(shape):
    generator = torch.Generator().manual_seed(3)
    prediction, target = torch.randn(2, *shape, generator=generator)
    value, gradient = value_and_gradient(small(), prediction, target)
    flat, flat_gradient = value_and_gradient(small(), prediction.view(-1, 500), target.view(-1, 500))
    assert value == flat
    assert gradient.shape == shape
    assert torch.equal(gradient.view(-1, 500), flat_gradient)


def test_strided_signals_are_read_as_they_are_meant():
    generator = torch.Generator().manual_seed(4)
    prediction, target = torch.randn(2, 500, 3, generator=generator).transpose(1, 2)
    value, gradient = value_and_gradient(small(), prediction, target)
    same, same_gradient = value_and_gradient(small(), prediction.contiguous(), target.contiguous())
    assert value == same
    assert torch.equal(gradient, same_gradient)


def test_threads_do_not_matter():
    prediction, target = make_pair("noise", 7, 3000, 5)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            value, gradient = value_and_gradient(MRSTFT(), prediction, target)
            found.append((value, gradient))
    finally:
        torch.set_num_threads(threads)
    for value, gradient in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-6)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-5, atol=1e-9)


def test_the_gradient_is_scaled_by_what_follows():
    prediction, target = make_pair("noise", 2, 600, 6)
    _, gradient = value_and_gradient(small(), prediction, target)
    _, scaled = value_and_gradient(lambda p, t: 0.125 * small()(p, t), prediction, target)
    assert torch.equal(scaled, 0.125 * gradient)


def test_the_gradient_can_be_differentiated():
    loss = MRSTFT(None, [32], [8], [32])
    prediction, target = (signal.double() for signal in make_pair("noise", 1, 64, 7))

    def hessian_times_ones(signal, dtype):
        signal = signal.to(dtype).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(signal, target.to(dtype)), signal, create_graph=True)
        return torch.autograd.grad(gradient.sum(), signal)[0]

    ours, exact = (hessian_times_ones(prediction, dtype) for dtype in (torch.float32, torch.float64))
    torch.testing.assert_close(ours.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "dtype", "words"),
    [
        (([100], [30], [100]), torch.float32, "powers of 2"),
        (([64], [16], [64], 1e-30), torch.float32, "eps is 1e-30"),
        (([64], [16], [64]), torch.float64, "float64"),
    ],
)
def test_what_the_kernels_do_not_cover_runs_on_torch_and_is_said_once(sizes, dtype, words, caplog):
    loss = MRSTFT(None, *sizes)
    caplog.set_level(logging.INFO)
    prediction, target = (signal.to(dtype) for signal in make_pair("noise", 2, 400, 8))
    for _ in range(2):
        assert loss(prediction, target).item() == loss.plain(prediction, target).item()
    assert [words in record.message for record in caplog.records] == [True]


def test_functions_of_it_are_transformed_on_torch():
    prediction, target = make_pair("noise", 2, 400, 9)
    spec = mrstft.Spec(small().resolutions, 1e-8, None)
    assert mrstft.obstacle(spec, prediction, target) == ""
    gradient = torch.func.grad(lambda p: small()(p, target))(prediction)
    _, expected = value_and_gradient(small(), prediction, target)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_switched_off_it_runs_on_torch():
    prediction, target = make_pair("noise", 2, 400, 10)
    with library.using("off"):
        assert small()(prediction, target).item() == small().plain(prediction, target).item()


def test_what_is_not_finite_stays_so():
    prediction, target = make_pair("noise", 2, 400, 11)
    prediction[1, 200] = float("nan")
    assert not torch.isfinite(small()(prediction, target))
