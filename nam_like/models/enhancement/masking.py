"""Single-channel ways to use masks, and the consistency of several estimates with their mixture."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, Float, NonNegativeInt, PositiveFloat
from nam_like.config.lines import refusal

__all__ = [
    "MaskReferenceChannel",
    "MaskReferenceChannelConfig",
    "MixtureConsistencyProjection",
    "MixtureConsistencyProjectionConfig",
    "amplitude",
    "check_limits",
    "refuse_limits",
]


def amplitude(decibels: float) -> float:
    """An amplitude from decibels."""
    return float(10.0 ** (decibels / 20.0))


def check_limits(low: float, high: float) -> None:
    """Refuse limits of a mask (dB) that are the wrong way round.

    Raises:
        ValueError: they are.
    """
    if low >= high:
        raise ValueError(f"Lower bound for the mask {low}dB must be smaller than the upper bound {high}dB")


def refuse_limits(low: float, high: float, key: str) -> None:
    """The same for a config model, whose field `key` holds the lower limit.

    Raises:
        ValidationError: they are the wrong way round.
    """
    try:
        check_limits(low, high)
    except ValueError as error:
        raise refusal(str(error), (key,), low) from None


class MaskReferenceChannel(nn.Module):
    """Each mask times one channel.

    Args:
        ref_channel: the channel.
        mask_min_db: least mask (dB).
        mask_max_db: largest mask (dB).

    Raises:
        ValueError: the limits are the wrong way round.
    """

    def __init__(
        self, *, ref_channel: int = 0, mask_min_db: float = -200.0, mask_max_db: float = 0.0
    ) -> None:
        super().__init__()
        check_limits(mask_min_db, mask_max_db)
        self.ref_channel = ref_channel
        self.low, self.high = amplitude(mask_min_db), amplitude(mask_max_db)

    def forward(self, spectrogram: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
        """``(B, C, F, N)`` and masks ``(B, M, F, N)`` → ``(B, M, F, N)``."""
        return masks.clamp(self.low, self.high) * spectrogram[:, self.ref_channel : self.ref_channel + 1]


class MixtureConsistencyProjection(nn.Module):
    """Shares out among the estimates what they lack to add up to the mixture.

    Args:
        weighting: None for equal shares, ``power`` for shares by the estimates' power in each bin.
        eps: added to the sum of the powers.

    Raises:
        ValueError: an unknown weighting.

    Source: S. Wisdom et al., "Differentiable Consistency Constraints for Improved Deep Speech Enhancement",
    2019.
    """

    def __init__(self, *, weighting: str | None = None, eps: float = 1e-8) -> None:
        super().__init__()
        if weighting is not None and weighting != "power":
            raise ValueError(f"Weighting mode {weighting} not implemented")
        self.by_power = weighting == "power"
        self.eps = eps

    def forward(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Mixture ``(B, 1, F, N)`` and estimates ``(B, M, F, N)`` → estimates that add up to it."""
        missing = mixture - estimates.sum(dim=1, keepdim=True)
        if not self.by_power:
            return estimates + missing / estimates.shape[1]
        power = estimates.abs().square()
        return estimates + missing * power / (power.sum(dim=1, keepdim=True) + self.eps)


class MaskReferenceChannelConfig(Config):
    """Config of :class:`MaskReferenceChannel`."""

    ref_channel: NonNegativeInt = Field(0, description="the channel that the masks are applied to")
    mask_min_db: Float = Field(-200.0, description="least mask (dB)")
    mask_max_db: Float = Field(0.0, description="largest mask (dB)")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        refuse_limits(self.mask_min_db, self.mask_max_db, "mask_min_db")
        return self

    def build(self) -> MaskReferenceChannel:
        """Make the processor."""
        return MaskReferenceChannel(**self.model_dump())


class MixtureConsistencyProjectionConfig(Config):
    """Config of :class:`MixtureConsistencyProjection`."""

    weighting: Literal["power"] | None = Field(
        None, description="null for equal shares, power for shares by the estimates' power in each bin"
    )
    eps: PositiveFloat = Field(1e-8, description="added to the sum of the powers")

    def build(self) -> MixtureConsistencyProjection:
        """Make the projection."""
        return MixtureConsistencyProjection(**self.model_dump())
