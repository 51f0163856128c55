"""Spectrograms against recorded ones, SciPy, and themselves backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness.closed_form import arrays, scalars, sig
from scipy import signal

from nam_like.models.enhancement.spectrogram import AudioToSpectrogram, SpectrogramToAudio

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

SEED = {"fft_length": 510, "hop_length": 128, "magnitude_power": 0.5, "scale": 0.33}


def test_the_recorded_spectrogram() -> None:
    expected = scalars()["stft"]
    found, frames = AudioToSpectrogram(**SEED)(sig(2, 1, 32000, 0), torch.tensor([32000, 25000]))
    assert list(found.shape) == expected["shape"]
    assert frames.tolist() == expected["len"]
    assert float(found.abs().double().sum()) == pytest.approx(expected["abs_sum"], rel=1e-6)
    assert complex(found[0, 0, 10, 20]) == pytest.approx(complex(*expected["s_0_0_10_20"]), abs=1e-6)
    assert not found[1, 0, :, 196:].any()
    # The square root makes much of the rounding of small magnitudes.
    recorded = arrays()["stft_s_sub"]
    sub = found[:, :, ::16, ::25]
    large = recorded.abs() > 1e-3
    torch.testing.assert_close(sub[large], recorded[large], rtol=0, atol=1e-4)
    audio, samples = SpectrogramToAudio(**SEED)(found, frames)
    assert list(audio.shape) == expected["out_shape"]
    assert samples.tolist() == expected["out_len"]


def test_linear_spectrograms_are_those_of_scipy() -> None:
    x = sig(1, 2, 4000, 3)
    found, _ = AudioToSpectrogram(fft_length=512, hop_length=256)(x)
    window = signal.get_window("hann", 512)
    _, _, expected = signal.stft(
        x.numpy(), window=window, nperseg=512, noverlap=256, boundary="zeros", padded=False
    )
    np.testing.assert_allclose(found.numpy(), expected * window.sum(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("samples", [1, 100, 127, 128, 510, 8000, 8001, 32050])
def test_there_and_back(samples: int) -> None:
    x = sig(2, 2, samples, 1)
    found, frames = AudioToSpectrogram(**SEED)(x)
    assert frames.tolist() == [samples // 128 + 1] * 2
    audio, _ = SpectrogramToAudio(**SEED)(found, samples=samples)
    torch.testing.assert_close(audio, x, rtol=0, atol=2e-6)


def test_the_gradient_is_finite_where_there_is_silence() -> None:
    x = torch.zeros(1, 1, 2000, requires_grad=True)
    found, _ = AudioToSpectrogram(**SEED)(x)
    audio, _ = SpectrogramToAudio(**SEED)(found, samples=2000)
    (audio.square().sum() + found.abs().sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fft_length": 511}, "fft_length = 511 must be divisible by 2"),
        ({"magnitude_power": 0}, "Magnitude power needs to be positive: current value 0"),
        ({"scale": -1}, "Scale needs to be positive: current value -1"),
        ({"hop_length": 600}, r"expected hop_length from 1 to fft_length \(510\), but got 600"),
    ],
)
def test_arguments_out_of_range(change: dict[str, Any], message: str) -> None:
    for module in (AudioToSpectrogram, SpectrogramToAudio):
        with pytest.raises(ValueError, match=message):
            module(**{**SEED, **change})


def test_spectrograms_that_do_not_fit() -> None:
    decoder = SpectrogramToAudio(**SEED)
    with pytest.raises(ValueError, match="Number of subbands F=257 not matching"):
        decoder(torch.zeros(1, 1, 257, 4, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"Expected `input` to be complex dtype\."):
        decoder(torch.zeros(1, 1, 256, 4))


@pytest.mark.parametrize("samples", [128, 8000, 8001])
@pytest.mark.parametrize("batch", [1, 2])
def test_scripted_ones_take_any_length(samples: int, batch: int) -> None:
    encoder, decoder = AudioToSpectrogram(**SEED), SpectrogramToAudio(**SEED)
    x = sig(batch, 1, samples, 0)
    found, frames = torch.jit.script(encoder)(x)
    torch.testing.assert_close(found, encoder(x)[0])
    audio, _ = torch.jit.script(decoder)(found, frames, samples)
    torch.testing.assert_close(audio, decoder(found, frames, samples)[0])


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_frames_of_a_stream_are_those_of_the_whole(power: float) -> None:
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 3, 160, generator=generator)
    encoder = AudioToSpectrogram(fft_length=32, hop_length=8, magnitude_power=power, scale=0.33)
    decoder = SpectrogramToAudio(fft_length=32, hop_length=8, magnitude_power=power, scale=0.33)
    cut = torch.nn.functional.pad(audio, (16, 16)).unfold(-1, 32, 8)
    found = encoder.analyze(cut)
    whole, _ = encoder(audio)
    torch.testing.assert_close(found.real, whole.real, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.imag, whole.imag, rtol=1e-4, atol=1e-5)
    # What comes back is each frame windowed twice.
    torch.testing.assert_close(decoder.synthesize(found), cut * encoder.window.square(), rtol=1e-4, atol=1e-5)
