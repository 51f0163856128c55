"""Ratios of the wanted signal to the error (dB): SNR, SI-SDR, SI-SNR and SDR.

They are evaluated in float64, with the constants of torchmetrics, so that values are comparable: SNR and
SI-SDR leave the signals' means in unless `zero_mean` is set, SI-SNR takes them out.

Sources: J. Le Roux et al., "SDR – half-baked or well done?", 2019; the SDR, whose target may pass a filter:
R. Scheibler, "SDR – medium rare with fast computations", 2022.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Bool, NonNegativeFloat, PositiveInt
from nam_like.metrics.base import exact_dtype
from nam_like.metrics.examples import ChannelConfig, ExampleMean

__all__ = [
    "SDR",
    "SISDR",
    "SISNR",
    "SNR",
    "SDRConfig",
    "SISDRConfig",
    "SISNRConfig",
    "SNRConfig",
    "scale_invariant_ratio",
    "signal_to_distortion_ratio",
    "signal_to_noise_ratio",
]

#: added to energies (full scale = 1), so that silence stays finite
EPS = float(torch.finfo(torch.float32).eps)
#: smallest share of the error in the estimate's energy, so that a perfect estimate stays finite (150 dB)
SMALLEST = 1e-15


def _exact(x: Tensor, zero_mean: bool) -> Tensor:
    x = x.to(exact_dtype(x.device))
    return x - x.mean(dim=-1, keepdim=True) if zero_mean else x


def signal_to_noise_ratio(prediction: Tensor, target: Tensor, zero_mean: bool = False) -> Tensor:
    """Energy of the target over that of the difference (dB); ``(…, T)`` twice → ``(…)``."""
    prediction, target = _exact(prediction, zero_mean), _exact(target, zero_mean)
    wanted = target.square().sum(dim=-1)
    return 10 * torch.log10((wanted + EPS) / ((target - prediction).square().sum(dim=-1) + EPS))


def scale_invariant_ratio(prediction: Tensor, target: Tensor, zero_mean: bool = False) -> Tensor:
    """As :func:`signal_to_noise_ratio`, of the multiple of the target that is nearest to the prediction."""
    prediction, target = _exact(prediction, zero_mean), _exact(target, zero_mean)
    across = (prediction * target).sum(dim=-1, keepdim=True)
    scaled = (across + EPS) / (target.square().sum(dim=-1, keepdim=True) + EPS) * target
    wanted = scaled.square().sum(dim=-1)
    return 10 * torch.log10((wanted + EPS) / ((scaled - prediction).square().sum(dim=-1) + EPS))


def signal_to_distortion_ratio(
    prediction: Tensor,
    target: Tensor,
    *,
    taps: int = 512,
    zero_mean: bool = False,
    load_diag: float = 0.0,
) -> Tensor:
    """As :func:`signal_to_noise_ratio`, of the filtered target that is nearest to the prediction.

    Args:
        prediction: ``(…, T)``.
        target: ``(…, T)``.
        taps: of the filter.
        zero_mean: take the means out of both signals first.
        load_diag: added to the diagonal of the normal equations, in which the target has the energy 1.

    Returns:
        ``(…)`` (dB); NaN for signals that are silent.
    """
    prediction, target = _exact(prediction, zero_mean), _exact(target, zero_mean)
    prediction, target = (x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6) for x in (prediction, target))
    size = 2 ** (2 * target.shape[-1] - 1).bit_length()
    of_target, of_prediction = torch.fft.rfft(target, n=size), torch.fft.rfft(prediction, n=size)
    power = of_target.real.square() + of_target.imag.square()
    auto = torch.fft.irfft(power, n=size)[..., :taps]
    cross = torch.fft.irfft(of_target.conj() * of_prediction, n=size)[..., :taps]
    lag = torch.arange(auto.shape[-1], device=auto.device)
    matrix = auto[..., (lag[:, None] - lag).abs()] + load_diag * torch.eye(
        len(lag), dtype=auto.dtype, device=auto.device
    )
    filters, failed = torch.linalg.solve_ex(matrix, cross.unsqueeze(-1))
    share = (cross * filters.squeeze(-1)).sum(dim=-1)
    ratio = 10 * torch.log10(share / (1 - share).clamp(min=SMALLEST))
    return torch.where(failed != 0, torch.full_like(ratio, torch.nan), ratio)


class SNR(ExampleMean):
    """Signal-to-noise ratio (dB); see :func:`signal_to_noise_ratio`.

    Args:
        zero_mean: take the means out of both signals first.
        channel: measure this channel only; None for all of them.
    """

    def __init__(self, zero_mean: bool = False, channel: int | None = None) -> None:
        super().__init__(channel)
        self.zero_mean = zero_mean

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(C,)``."""
        return signal_to_noise_ratio(prediction, target, self.zero_mean)


class SISDR(SNR):
    """Scale-invariant signal-to-distortion ratio (dB); see :func:`scale_invariant_ratio`."""

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(C,)``."""
        return scale_invariant_ratio(prediction, target, self.zero_mean)


class SISNR(SISDR):
    """The SI-SDR of signals whose means have been taken out (dB).

    Args:
        channel: measure this channel only; None for all of them.
    """

    def __init__(self, channel: int | None = None) -> None:
        super().__init__(zero_mean=True, channel=channel)


class SDR(ExampleMean):
    """Signal-to-distortion ratio (dB); see :func:`signal_to_distortion_ratio`.

    Args:
        filter_length: taps of the filter that the target may pass.
        zero_mean: take the means out of both signals first.
        load_diag: regularisation.
        channel: measure this channel only; None for all of them.
    """

    def __init__(
        self,
        filter_length: int = 512,
        zero_mean: bool = False,
        load_diag: float | None = None,
        channel: int | None = None,
    ) -> None:
        super().__init__(channel)
        self.filter_length = filter_length
        self.zero_mean = zero_mean
        self.load_diag = load_diag or 0.0

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(C,)``."""
        return signal_to_distortion_ratio(
            prediction,
            target,
            taps=self.filter_length,
            zero_mean=self.zero_mean,
            load_diag=self.load_diag,
        )


class SNRConfig(ChannelConfig):
    """Config of :class:`SNR`."""

    zero_mean: Bool = Field(False, description="take the means out of both signals first")

    def build(self) -> SNR:
        """Make the metric."""
        return SNR(self.zero_mean, self.channel)


class SISDRConfig(SNRConfig):
    """Config of :class:`SISDR`."""

    def build(self) -> SISDR:
        """Make the metric."""
        return SISDR(self.zero_mean, self.channel)


class SISNRConfig(ChannelConfig):
    """Config of :class:`SISNR`."""

    def build(self) -> SISNR:
        """Make the metric."""
        return SISNR(self.channel)


class SDRConfig(ChannelConfig):
    """Config of :class:`SDR`."""

    filter_length: PositiveInt = Field(512, description="taps of the filter that the target may pass")
    zero_mean: Bool = Field(False, description="take the means out of both signals first")
    load_diag: NonNegativeFloat | None = Field(
        None, description="regularisation of the filter, relative to the target's energy; null for none"
    )

    def build(self) -> SDR:
        """Make the metric."""
        return SDR(self.filter_length, self.zero_mean, self.load_diag, self.channel)
