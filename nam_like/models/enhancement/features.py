"""What a mask estimator sees of a spectrogram: magnitudes, and phase differences between microphones."""

import torch
from torch import Tensor, nn

from nam_like.models.enhancement.lengths import frame_mask

__all__ = ["NORMALIZATIONS", "REDUCTIONS", "SpectrogramFeatures"]

#: How the magnitudes of several channels become one.
REDUCTIONS = ("abs_mean", "mean_abs", "rms")
#: What is taken out of each frequency, over channels and time.
NORMALIZATIONS = ("mean", "mean_var")


class SpectrogramFeatures(nn.Module):
    """Real features of a complex spectrogram.

    Args:
        num_subbands: frequencies F.
        num_input_channels: channels C; only needed to tell `num_channels`.
        mag_reduction: one magnitude of all channels: of their mean (``abs_mean``), the mean of theirs
            (``mean_abs``), or their root mean square (``rms``); None keeps one per channel.
        mag_power: exponent of the magnitudes after that; None leaves them.
        use_ipd: add the phase of each channel against that of their mean; one magnitude of all channels then
            stands beside each.
        mag_normalization: take the mean (``mean``), or mean and deviation (``mean_var``), out of each
            frequency.
        ipd_normalization: the same for phase differences.

    Attributes:
        num_features: per channel.
        num_channels: of the features; 0 for as many as the input has.

    Raises:
        ValueError: an unknown reduction or normalisation.
    """

    def __init__(
        self,
        *,
        num_subbands: int,
        num_input_channels: int | None = None,
        mag_reduction: str | None = "rms",
        mag_power: float | None = None,
        use_ipd: bool = False,
        mag_normalization: str | None = None,
        ipd_normalization: str | None = None,
    ) -> None:
        super().__init__()
        if mag_reduction is not None and mag_reduction not in REDUCTIONS:
            raise ValueError(f"Unexpected magnitude reduction {mag_reduction}")
        for what, value in (("magnitude", mag_normalization), ("IPD", ipd_normalization)):
            if value is not None and value not in NORMALIZATIONS:
                raise ValueError(f"Unknown {what} normalization {value}")
        self.num_subbands = num_subbands
        reduced = mag_reduction is not None and not use_ipd
        self.num_channels = 1 if reduced else int(num_input_channels or 0)
        self.num_features = num_subbands * (2 if use_ipd else 1)
        self.mag_reduction = mag_reduction or ""
        self.mag_power = 1.0 if mag_power is None else float(mag_power)
        self.use_ipd = use_ipd
        self.mag_normalization = mag_normalization or ""
        self.ipd_normalization = ipd_normalization or ""

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """Make the features.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``; only these are normalised by.

        Returns:
            ``(B, channels, features, N)``.
        """
        if self.mag_reduction == "abs_mean":
            magnitude = spectrogram.mean(dim=1, keepdim=True).abs()
        elif self.mag_reduction == "mean_abs":
            magnitude = spectrogram.abs().mean(dim=1, keepdim=True)
        elif self.mag_reduction == "rms":
            magnitude = spectrogram.abs().square().mean(dim=1, keepdim=True).sqrt()
        else:
            magnitude = spectrogram.abs()
        if self.mag_power != 1.0:
            magnitude = magnitude.pow(self.mag_power)
        valid = frame_mask(frames, spectrogram.shape[-1])[:, None, None, :].to(magnitude.dtype)
        features = _normalize(magnitude, valid, self.mag_normalization)
        if self.use_ipd:
            against = spectrogram.mean(dim=1, keepdim=True).conj()
            phases = torch.angle(spectrogram * against)
            features = features.expand(-1, phases.shape[1], -1, -1)
            features = torch.cat((features, _normalize(phases, valid, self.ipd_normalization)), dim=2)
        return features


def _normalize(x: Tensor, valid: Tensor, kind: str) -> Tensor:
    """Per item and frequency, over channels and valid frames."""
    if kind == "":
        return x
    count = valid.sum(dim=(1, 3), keepdim=True) * x.shape[1]
    mean = (x * valid).sum(dim=(1, 3), keepdim=True) / count
    x = x - mean
    if kind == "mean":
        return x
    variance = (x.square() * valid).sum(dim=(1, 3), keepdim=True) / count
    return x / (variance + 1e-10).sqrt()
