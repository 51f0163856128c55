import numpy as np
import pytest
import torch

from nam_like.config.component import component
from nam_like.losses.errors import LossError
from nam_like.losses.pre_emphasis import pre_emphasis
from nam_like.losses.spectral import MRSTFT, Fourier, stft_magnitude

RESOLUTIONS = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]


def scipy_magnitude(x, n_fft, hop, length):
    """Centred, reflected frames through SciPy's window and NumPy's FFT of the full, padded window."""
    signal = pytest.importorskip("scipy.signal")
    window = np.zeros(n_fft)
    left = (n_fft - length) // 2
    window[left : left + length] = signal.get_window("hann", length, fftbins=True)
    padded = np.pad(x, ((0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
    _, _, spectrum = signal.stft(
        padded,
        window=window,
        nperseg=n_fft,
        noverlap=n_fft - hop,
        boundary=None,
        padded=False,
        scaling="spectrum",
    )
    power = np.abs(spectrum * window.sum()) ** 2
    return np.sqrt(np.maximum(power, 1e-8)).transpose(0, 2, 1)


def by_hand(p, y):
    total = 0.0
    for resolution in RESOLUTIONS:
        a, b = scipy_magnitude(p, *resolution), scipy_magnitude(y, *resolution)
        total += np.sqrt(((b - a) ** 2).sum()) / np.sqrt((b**2).sum()) + np.mean(
            np.abs(np.log(a) - np.log(b))
        )
    return total / 3


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(3, 3000)) * np.array([[0.02], [0.3], [1.0]])  # unequal levels: pooled, not per item
    return y + 0.1 * rng.normal(size=y.shape), y


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_magnitudes_are_scipys(pair, resolution):
    n_fft, hop, length = resolution
    window = torch.hann_window(length, dtype=torch.float64)
    ours = stft_magnitude(torch.tensor(pair[0]), n_fft, hop, window)
    theirs = scipy_magnitude(pair[0], n_fft, hop, length)
    assert ours.shape == theirs.shape == (3, 1 + 3000 // hop, n_fft // 2 + 1)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_mrstft_is_the_formula_with_the_norms_over_the_whole_batch(pair, dtype):
    value = MRSTFT()(*(torch.tensor(side, dtype=dtype) for side in pair)).item()
    assert value == pytest.approx(by_hand(*pair), rel=1e-12 if dtype == torch.float64 else 1e-5)


def test_mrstft_agrees_with_torch_stft_in_value_and_gradient(pair):
    def peer(p, y):
        total = 0
        for n_fft, hop, length in RESOLUTIONS:
            window = torch.hann_window(length, dtype=p.dtype)
            a, b = (torch.stft(s, n_fft, hop, length, window, return_complex=True) for s in (p, y))
            a, b = ((s.real**2 + s.imag**2).clamp(min=1e-8).sqrt() for s in (a, b))
            total = total + (b - a).norm() / b.norm() + (a.log() - b.log()).abs().mean()
        return total / 3

    p, y = (torch.tensor(side) for side in pair)
    p.requires_grad_()
    ours, theirs = MRSTFT()(p, y), peer(p, y)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    (a,), (b,) = torch.autograd.grad(ours, p), torch.autograd.grad(theirs, p)
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)


def test_pre_emphasised_mrstft_is_mrstft_of_pre_emphasised_signals(pair):
    p, y = (torch.tensor(side) for side in pair)
    expected = MRSTFT()(pre_emphasis(p, 0.85), pre_emphasis(y, 0.85))
    assert MRSTFT(pre_emphasis=0.85)(p, y).item() == expected.item()


def test_silence_gives_finite_value_and_gradient():
    p = torch.zeros(1, 1500, requires_grad=True)
    value = MRSTFT()(p, torch.zeros(1, 1500))
    value.backward()
    assert value.item() == 0.0
    assert torch.isfinite(p.grad).all()


def test_short_segments_say_how_long_they_must_be():
    with pytest.raises(LossError, match=r"at least 1025 samples .* but got 1024; set a larger `ny`"):
        MRSTFT()(torch.zeros(1, 1024), torch.zeros(1, 1024))
    MRSTFT()(torch.ones(1, 1025), torch.ones(1, 1025))
    with pytest.raises(LossError, match="at least 1026"):
        MRSTFT(0.5)(torch.zeros(1, 1025), torch.zeros(1, 1025))
    small = MRSTFT(fft_sizes=[64], hop_sizes=[16], window_lengths=[48])
    assert small(torch.ones(1, 33), torch.ones(1, 33)).item() == 0.0


def test_resolutions_are_checked():
    for bad, text in (
        ({"fft_sizes": [512]}, "one entry per resolution"),
        ({"hop_sizes": [1, 2]}, "but got 3, 2 and 3"),
    ):
        with pytest.raises(ValueError, match=text):
            component("loss", {"name": "MRSTFT", "config": bad})
    with pytest.raises(ValueError, match="at most as long as its FFT"):
        component(
            "loss",
            {"name": "MRSTFT", "config": {"fft_sizes": [64], "hop_sizes": [16], "window_lengths": [65]}},
        )


def test_fourier_is_numpys_and_parsevals(pair):
    p, y = pair
    value = Fourier()(torch.tensor(p), torch.tensor(y)).item()
    assert value == pytest.approx(np.mean(np.abs(np.fft.fft(p) - np.fft.fft(y)) ** 2), rel=1e-12)
    assert value == pytest.approx(3000 * np.mean((p - y) ** 2), rel=1e-12)
