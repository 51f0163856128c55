"""Single-channel ways to use masks, and the consistency of several estimates with their mixture."""

from torch import Tensor, nn

__all__ = ["MaskReferenceChannel", "MixtureConsistencyProjection", "amplitude", "check_limits"]


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
