"""Losses on padded batches: mean squared and absolute error, and the signal-to-distortion ratio.

Signals are ``(B, C, T)``; what lies behind an item's length does not count. Means over channels may be
weighted, those over items are plain. Spectrograms ``(B, C, F, N)`` have lengths in frames.

Source of the ratios: J. Le Roux et al., "SDR – half-baked or well done?", 2019; convolution-invariant:
R. Scheibler, "SDR – medium rare with fast computations", 2022; the threshold: S. Wisdom et al., "Unsupervised
sound separation using mixture invariant training", 2020.
"""

import torch
from torch import Tensor

from nam_like.losses.errors import LossError

__all__ = [
    "channel_means",
    "convolution_invariant_target",
    "item_means",
    "masked_mean",
    "scale_invariant_target",
    "signal_to_distortion",
    "valid",
]


def valid(lengths: Tensor | None, like: Tensor) -> Tensor:
    """One where signals ``(B, …, T)`` are valid, zero behind their lengths ``(B,)``: ``(B, 1, T)``.

    Raises:
        LossError: there is not one length for each item.
    """
    items, time = like.shape[0], like.shape[-1]
    if lengths is None:
        return like.new_ones(1, 1, time, dtype=like.real.dtype)
    if lengths.shape != (items,):
        raise LossError(
            f"expected lengths of the shape ({items},), one for each item, but got {tuple(lengths.shape)}"
        )
    inside = torch.arange(time, device=like.device) < lengths.to(like.device)[:, None]
    return inside[:, None].to(like.real.dtype)


def channel_means(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean of each channel within its length: ``(B, T)``, ``(B, C, T)`` or ``(B, C, F, N)`` → ``(B, C)``.

    Raises:
        LossError: another number of axes, or of lengths.
    """
    if not 2 <= values.ndim <= 4:
        raise LossError(
            f"expected signals (B, T) or (B, C, T), or spectrograms (B, C, F, N), but got {values.ndim} axes"
        )
    if values.ndim == 4:
        values = values.mean(dim=-2)  # all frequencies of a frame are valid, or none
    elif values.ndim == 2:
        values = values.unsqueeze(1)
    return values.mean(dim=-1) if lengths is None else masked_mean(values, valid(lengths, values))


def masked_mean(x: Tensor, mask: Tensor, eps: float = 1e-10) -> Tensor:
    """Mean over the last axis where the mask is one: ``(…, T)`` → ``(…)``."""
    return (x * mask).sum(dim=-1) / (mask.sum(dim=-1) + eps)


def item_means(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over channels, weighted where weights are given, then over items: ``(B, C)`` → scalar.

    Raises:
        LossError: there is not one weight ``(C,)`` for each channel.
    """
    if weight is None:
        return values.mean()
    if weight.shape != values.shape[-1:]:
        raise LossError(
            f"expected a `weight` for each of the {values.shape[-1]} channels, but got {weight.numel()}"
        )
    return (values * weight.to(values)).sum(dim=-1).mean()


def scale_invariant_target(estimate: Tensor, target: Tensor, mask: Tensor, eps: float = 1e-8) -> Tensor:
    """The target times the factor with which it is nearest to the estimate, ``(B, C, T)``."""
    across = masked_mean(estimate * target, mask)
    power = masked_mean(target * target, mask)
    return (across / (power + eps)).unsqueeze(-1) * target


def convolution_invariant_target(
    estimate: Tensor, target: Tensor, mask: Tensor, taps: int, *, diag_reg: float = 1e-6, eps: float = 1e-8
) -> Tensor:
    """The target through the filter of `taps` taps that brings it nearest to the estimate, ``(B, C, T)``.

    The normal equations are solved in float64 where the device has it: those of tonal signals are so nearly
    singular that float32 changes the ratio by some 1e-4 dB.
    """
    length = target.shape[-1]
    exact = torch.float32 if target.device.type == "mps" else torch.float64
    size = 2 ** (length + taps - 1).bit_length()
    target, estimate = target * mask, estimate * mask
    spectrum = torch.fft.rfft(target.to(exact), n=size)
    auto = torch.fft.irfft(spectrum.abs().square(), n=size)[..., :taps]
    cross = torch.fft.irfft(torch.fft.rfft(estimate.to(exact), n=size) * spectrum.conj(), n=size)[..., :taps]
    auto[..., 0] = auto[..., 0] * (1.0 + diag_reg) + eps
    lag = torch.arange(taps, device=target.device)
    matrix = auto[..., (lag[:, None] - lag[None, :]).abs()]
    filters = torch.linalg.solve(matrix, cross.unsqueeze(-1)).squeeze(-1)
    made: Tensor = torch.fft.irfft(spectrum * torch.fft.rfft(filters, n=size), n=size)[..., :length]
    return made.to(target.dtype)


def signal_to_distortion(
    estimate: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    scale_invariant: bool = False,
    convolution_taps: int = 0,
    remove_mean: bool = True,
    sdr_max: float | None = None,
    eps: float = 1e-8,
) -> Tensor:
    """Ratio of the target's power to that of the error, per channel (dB).

    Args:
        estimate: ``(B, C, T)``.
        target: ``(B, C, T)``.
        mask: ``(B, 1, T)``, one where the signals are valid.
        scale_invariant: against the nearest multiple of the target.
        convolution_taps: against the nearest filtered target, with a filter of so many taps; 0 for none.
        remove_mean: take the mean out of both signals first.
        sdr_max: soft upper limit (dB), so that easy items do not outweigh the others.
        eps: added to the powers.

    Returns:
        ``(B, C)``.
    """
    if remove_mean:
        estimate = estimate - masked_mean(estimate, mask).unsqueeze(-1)
        target = target - masked_mean(target, mask).unsqueeze(-1)
    if scale_invariant or convolution_taps == 1:
        target = scale_invariant_target(estimate, target, mask, eps)
    elif convolution_taps:
        target = convolution_invariant_target(estimate, target, mask, convolution_taps)
    wanted = masked_mean(target.square(), mask)
    distortion = masked_mean((estimate - target).square(), mask)
    if sdr_max is not None:
        distortion = distortion + 10.0 ** (-sdr_max / 10.0) * wanted
    return 10.0 * torch.log10(wanted / (distortion + eps) + eps)
