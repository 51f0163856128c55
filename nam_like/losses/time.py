"""Losses on waveforms: mean squared error, error-to-signal ratio, and the error of the mean (DC).

Source of ESR and DC: Wright et al., "Real-time guitar amplifier emulation with deep learning",
Applied Sciences 10(3), 2020.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveFloat
from nam_like.losses.pre_emphasis import PreEmphasisConfig, checked

__all__ = [
    "DC",
    "ESR",
    "MSE",
    "DCConfig",
    "ESRConfig",
    "MSEConfig",
    "dc_error",
    "error_to_signal",
    "mean_square",
]


def mean_square(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all samples of the batch, ``(…, L)`` → scalar."""
    return (prediction - target).square().mean()


def error_to_signal(prediction: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Error-to-signal ratio of each item, averaged: mean_b[mean_t(e²) / (mean_t(y²) + eps)].

    Args:
        prediction: ``(…, L)``.
        target: ``(…, L)``.
        eps: mean square that is added to the target's, so that a silent segment weighs finitely (1e-8 is
            −80 dBFS: it changes the ratio of a −20 dBFS segment by one part in a million).

    Returns:
        Scalar; finite for silent targets too.
    """
    error = (prediction - target).square().mean(dim=-1)
    return (error / (target.square().mean(dim=-1) + eps)).mean()


def dc_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared error of each item's mean, averaged: mean_b[(mean_t p − mean_t y)²]; ``(…, L)`` → scalar."""
    return (prediction - target).mean(dim=-1).square().mean()


class MSE(nn.Module):
    """Mean squared error, optionally of pre-emphasised signals.

    Args:
        pre_emphasis: coefficient of x[n] − c·x[n−1] put before it, or None.
    """

    def __init__(self, pre_emphasis: float | None = None) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar."""
        return mean_square(*checked(prediction, target, self.pre_emphasis))


class ESR(nn.Module):
    """Error-to-signal ratio of each item, averaged; see :func:`error_to_signal`.

    Args:
        pre_emphasis: coefficient of x[n] − c·x[n−1] put before it, or None.
        eps: mean square added to the target's.
    """

    def __init__(self, pre_emphasis: float | None = None, eps: float = 1e-8) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis
        self.eps = eps

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar."""
        return error_to_signal(*checked(prediction, target, self.pre_emphasis), eps=self.eps)


class DC(nn.Module):
    """Squared error of the mean, which waveform losses hardly see; see :func:`dc_error`."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar."""
        return dc_error(*checked(prediction, target, None))


class MSEConfig(PreEmphasisConfig):
    """Config of :class:`MSE`."""

    def build(self) -> MSE:
        """Make the loss."""
        return MSE(self.pre_emphasis)


class ESRConfig(PreEmphasisConfig):
    """Config of :class:`ESR`."""

    eps: PositiveFloat = Field(
        1e-8, description="mean square added to the target's, so that silence stays finite (full scale = 1)"
    )

    def build(self) -> ESR:
        """Make the loss."""
        return ESR(self.pre_emphasis, self.eps)


class DCConfig(Config):
    """Config of :class:`DC`; it has no options (pre-emphasis would only scale a mean)."""

    def build(self) -> DC:
        """Make the loss."""
        return DC()
