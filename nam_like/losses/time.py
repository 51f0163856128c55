"""Losses on waveforms: mean squared and absolute error, error-to-signal ratio, the error of the mean (DC).

Mean squared and absolute error also take padded batches with lengths, and spectrograms.

Source of ESR and DC: Wright et al., "Real-time guitar amplifier emulation with deep learning",
Applied Sciences 10(3), 2020.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, PositiveFloat
from nam_like.config.lines import refusal
from nam_like.losses.masked import channel_means, item_means
from nam_like.losses.padded import Domain, PaddedConfig, weights
from nam_like.losses.pre_emphasis import PreEmphasisConfig, checked

__all__ = [
    "DC",
    "ESR",
    "MAE",
    "MSE",
    "DCConfig",
    "ESRConfig",
    "MAEConfig",
    "MSEConfig",
    "dc_error",
    "error_to_signal",
    "is_plain",
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


def is_plain(loss: object) -> bool:
    """Whether a loss is the MSE or ESR of whole waveforms, which tasks measure exactly anyway."""
    if isinstance(loss, MSE):
        return loss.pre_emphasis is None and loss.weight is None and loss.domain == "time"
    return isinstance(loss, ESR) and loss.pre_emphasis is None


class MSE(nn.Module):
    """Mean squared error, optionally of pre-emphasised signals.

    Args:
        pre_emphasis: coefficient of x[n] − c·x[n−1] put before it, or None.
        weight: share of each channel; None for equal shares.
        domain: whether a training step gives it waveforms or spectrograms.
    """

    takes_lengths: ClassVar[bool] = True
    weight: Tensor | None

    def __init__(
        self,
        pre_emphasis: float | None = None,
        *,
        weight: list[float] | None = None,
        domain: Domain = "time",
    ) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis
        self.domain = domain
        self.register_buffer("weight", weights(weight), persistent=False)

    def forward(self, prediction: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The mean over the batch, or with lengths that of the items' means.

        Args:
            prediction: ``(B, L)``, ``(B, C, T)`` or ``(B, C, F, N)``.
            target: of the same shape.
            lengths: valid samples or frames of each item ``(B,)``; None where all are.

        Returns:
            Scalar.

        Raises:
            LossError: shapes that do not go together.
        """
        prediction, target = checked(prediction, target, self.pre_emphasis)
        if lengths is None and self.weight is None and not prediction.is_complex():
            return mean_square(prediction, target)
        if lengths is not None and self.pre_emphasis is not None:
            lengths = (lengths - 1).clamp(min=0)
        error = prediction - target
        squares = error.real.square() + error.imag.square() if error.is_complex() else error.square()
        return item_means(channel_means(squares, lengths), self.weight)


class MAE(nn.Module):
    """Mean absolute error.

    Args:
        weight: share of each channel; None for equal shares.
        domain: whether a training step gives it waveforms or spectrograms.
    """

    takes_lengths: ClassVar[bool] = True
    weight: Tensor | None

    def __init__(self, *, weight: list[float] | None = None, domain: Domain = "time") -> None:
        super().__init__()
        self.domain = domain
        self.register_buffer("weight", weights(weight), persistent=False)

    def forward(self, prediction: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As :meth:`MSE.forward`."""
        prediction, target = checked(prediction, target, None)
        return item_means(channel_means((prediction - target).abs(), lengths), self.weight)


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


class MSEConfig(PreEmphasisConfig, PaddedConfig):
    """Config of :class:`MSE`."""

    @model_validator(mode="after")
    def _emphasis_is_of_waveforms(self) -> Self:
        if self.pre_emphasis is not None and self.domain == "encoded":
            raise refusal(
                f"expected no `pre_emphasis` of spectrograms (`domain` encoded), but got {self.pre_emphasis}",
                ("pre_emphasis",),
                self.pre_emphasis,
            )
        return self

    def build(self) -> MSE:
        """Make the loss."""
        return MSE(self.pre_emphasis, weight=self.weight, domain=self.domain)


class MAEConfig(PaddedConfig):
    """Config of :class:`MAE`."""

    def build(self) -> MAE:
        """Make the loss."""
        return MAE(weight=self.weight, domain=self.domain)


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
