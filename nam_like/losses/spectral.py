"""Losses on spectra: squared error of the Fourier transform, and multi-resolution STFT distance.

Source of MRSTFT: Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020, §2.2.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from nam_like.config.base import PositiveFloat, PositiveInt
from nam_like.losses.errors import LossError
from nam_like.losses.pre_emphasis import PreEmphasisConfig, checked
from nam_like.native import library, mrstft

__all__ = [
    "MRSTFT",
    "Fourier",
    "FourierConfig",
    "MRSTFTConfig",
    "fourier_error",
    "stft_distance",
    "stft_magnitude",
]

log = logging.getLogger(__name__)

FFT_SIZES = (1024, 2048, 512)
HOP_SIZES = (120, 240, 50)
WINDOW_LENGTHS = (600, 1200, 240)


def fourier_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over all bins and items of |FFT(p) − FFT(y)|², unnormalised FFT of each whole segment.

    By Parseval's theorem this is L times the mean squared error.

    Args:
        prediction: ``(…, L)``.
        target: ``(…, L)``.
    """
    difference = torch.fft.fft(prediction - target, dim=-1)  # the transform is linear: one FFT for both
    power: Tensor = difference.real.square() + difference.imag.square()
    return power.mean()


def stft_magnitude(x: Tensor, n_fft: int, hop: int, window: Tensor, eps: float = 1e-8) -> Tensor:
    """Magnitudes of a short-time Fourier transform: centred frames, reflect padding, not normalised.

    Only the samples under the window are transformed, zero-padded to `n_fft`: the zeros beside a centred
    window turn the phase of a bin and leave its magnitude.

    Args:
        x: ``(B, L)`` with L > n_fft // 2.
        n_fft: points of the transform.
        hop: samples from frame to frame.
        window: ``(W,)`` with W <= n_fft.
        eps: least squared magnitude; keeps logarithm and gradient finite at zero.

    Returns:
        ``(B, N, n_fft // 2 + 1)``, N = 1 + L // hop frames (for even n_fft).

    Raises:
        LossError: the segment is too short to be reflected at its ends.
    """
    half = n_fft // 2
    if x.shape[-1] <= half:
        raise LossError(
            f"expected segments of at least {half + 1} samples for the {n_fft}-point STFT, "
            f"but got {x.shape[-1]}; set a larger `ny`, or give MRSTFT smaller `fft_sizes`"
        )
    # Reflection by hand: the gradient of torch's own reflection padding is not deterministic on GPUs.
    head, tail = x[..., 1 : half + 1].flip(-1), x[..., -half - 1 : -1].flip(-1)
    padded = torch.cat((head, x, tail), dim=-1)
    width = window.shape[0]
    left = (n_fft - width) // 2
    frames = padded[..., left : padded.shape[-1] - (n_fft - width - left)].unfold(-1, width, hop)
    spectrum = torch.fft.rfft(frames * window, n=n_fft)
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power.clamp(min=eps).sqrt()


def stft_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude distance of two magnitude spectrograms.

    ‖Y − X‖_F / ‖Y‖_F, both norms over the whole batch, plus mean |ln X − ln Y|.

    Args:
        prediction: magnitudes X > 0, ``(B, N, F)``.
        target: magnitudes Y > 0, ``(B, N, F)``.
    """
    convergence: Tensor = torch.linalg.vector_norm(target - prediction) / torch.linalg.vector_norm(target)
    return convergence + (prediction.log() - target.log()).abs().mean()


class Fourier(nn.Module):
    """Squared error of the whole spectrum; see :func:`fourier_error`.

    Args:
        pre_emphasis: coefficient of x[n] − c·x[n−1] put before it, or None.
    """

    def __init__(self, pre_emphasis: float | None = None) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar."""
        return fourier_error(*checked(prediction, target, self.pre_emphasis))


class MRSTFT(nn.Module):
    """Multi-resolution STFT distance: the mean of :func:`stft_distance` over several resolutions.

    On the CPU the native kernels compute it where they can, value and gradient in one pass.

    Args:
        pre_emphasis: coefficient of x[n] − c·x[n−1] put before it, or None.
        fft_sizes: points of the transforms.
        hop_sizes: samples from frame to frame, one per resolution.
        window_lengths: lengths of the Hann windows in samples, one per resolution.
        eps: least squared magnitude.
    """

    def __init__(
        self,
        pre_emphasis: float | None = None,
        fft_sizes: Sequence[int] = FFT_SIZES,
        hop_sizes: Sequence[int] = HOP_SIZES,
        window_lengths: Sequence[int] = WINDOW_LENGTHS,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis
        self.resolutions = tuple(zip(fft_sizes, hop_sizes, window_lengths, strict=True))
        self.eps = eps
        self._reported = False

    @property
    def least_samples(self) -> int:
        """The shortest segment it works on, in samples."""
        return max(n_fft for n_fft, _, _ in self.resolutions) // 2 + 1 + (self.pre_emphasis is not None)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar.

        Raises:
            LossError: the segments are shorter than :attr:`least_samples`.
        """
        if target.shape[-1] < self.least_samples:
            raise LossError(
                f"expected segments of at least {self.least_samples} samples for MRSTFT with FFTs of "
                f"{', '.join(str(n) for n, _, _ in self.resolutions)} points, but got {target.shape[-1]}; "
                "set a larger `ny`, or smaller `fft_sizes`"
            )
        checked(prediction, target, None)
        spec = mrstft.Spec(self.resolutions, self.eps, self.pre_emphasis)
        obstacle = mrstft.obstacle(spec, prediction, target)
        if obstacle:
            self._report(obstacle)
            return self.plain(prediction, target)
        return mrstft.distance(spec, prediction, target, self.plain)

    def plain(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The same on PyTorch alone."""
        prediction, target = checked(prediction, target, self.pre_emphasis)
        total = prediction.new_zeros(())
        for n_fft, hop, length in self.resolutions:
            window = torch.hann_window(length, dtype=prediction.dtype, device=prediction.device)
            with torch.no_grad():
                reference = stft_magnitude(target, n_fft, hop, window, self.eps)
            total = total + stft_distance(stft_magnitude(prediction, n_fft, hop, window, self.eps), reference)
        return total / len(self.resolutions)

    def _report(self, obstacle: str) -> None:
        """Say once why the kernels that are there are not used."""
        if not self._reported and library.load() is not None:
            log.info("MRSTFT runs on PyTorch, not on the native kernels: %s", obstacle)
            self._reported = True


class FourierConfig(PreEmphasisConfig):
    """Config of :class:`Fourier`."""

    def build(self) -> Fourier:
        """Make the loss."""
        return Fourier(self.pre_emphasis)


class MRSTFTConfig(PreEmphasisConfig):
    """Config of :class:`MRSTFT`."""

    fft_sizes: tuple[PositiveInt, ...] = Field(
        FFT_SIZES, min_length=1, description="points of the transforms"
    )
    hop_sizes: tuple[PositiveInt, ...] = Field(
        HOP_SIZES, description="samples from frame to frame, per resolution"
    )
    window_lengths: tuple[PositiveInt, ...] = Field(
        WINDOW_LENGTHS, description="lengths of the Hann windows (samples), per resolution"
    )
    eps: PositiveFloat = Field(1e-8, description="least squared magnitude, keeps the logarithm finite")

    @model_validator(mode="after")
    def _fit_together(self) -> MRSTFTConfig:
        counts = (len(self.fft_sizes), len(self.hop_sizes), len(self.window_lengths))
        if len(set(counts)) > 1:
            raise PydanticCustomError(
                "expected",
                "expected fft_sizes, hop_sizes and window_lengths to have one entry per resolution, "
                "but got {a}, {b} and {c}",
                {"a": counts[0], "b": counts[1], "c": counts[2]},
            )
        for n_fft, length in zip(self.fft_sizes, self.window_lengths, strict=True):
            if length > n_fft:
                raise PydanticCustomError(
                    "expected",
                    "expected each window to be at most as long as its FFT ({n_fft}), but got {length}",
                    {"n_fft": n_fft, "length": length},
                )
        return self

    def build(self) -> MRSTFT:
        """Make the loss."""
        return MRSTFT(self.pre_emphasis, self.fft_sizes, self.hop_sizes, self.window_lengths, self.eps)
