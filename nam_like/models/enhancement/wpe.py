"""Dereverberation by weighted prediction error: what the past predicts is reverberation, and is taken away.

    x(n) = y(n) − Gᴴ ỹ(n),  ỹ(n) = [y(n − Δ); …; y(n − Δ − K + 1)]        per frequency
    G = (Σ_n ỹ ỹᴴ / λ)⁻¹ Σ_n ỹ yᴴ / λ,  λ(n) = mean over channels of |x(n)|²

The power λ of the dry signal is that of the masked input at first, and of the result after that.

Source: T. Yoshioka, T. Nakatani, "Generalization of Multi-Channel Linear Prediction Methods for Blind MIMO
Impulse Response Shortening", 2012; with masks: K. Kinoshita et al., "Neural Network-Based Spectrum Estimation
for Online WPE Dereverberation", 2017.
"""

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, Float, NonNegativeFloat, PositiveFloat, PositiveInt
from nam_like.models.enhancement.lengths import frame_mask
from nam_like.models.enhancement.masking import amplitude, check_limits, refuse_limits

__all__ = ["MaskBasedDereverbWPE", "MaskBasedDereverbWPEConfig"]


class MaskBasedDereverbWPE(nn.Module):
    """Takes late reverberation out of every channel, in float64.

    Args:
        filter_length: frames K that each channel's filter looks at.
        prediction_delay: frames Δ from the newest of them to the frame that is predicted; what is younger is
            speech and early reflections, and stays.
        num_iterations: how often filter and power are found in turn.
        mask_min_db: least mask (dB).
        mask_max_db: largest mask (dB).
        diag_reg: loading of the correlation matrix, relative to the mean of its diagonal.
        eps: least power, relative to the largest of the frequency.

    Raises:
        ValueError: the limits are the wrong way round.
    """

    def __init__(
        self,
        *,
        filter_length: int,
        prediction_delay: int,
        num_iterations: int = 1,
        mask_min_db: float = -200.0,
        mask_max_db: float = 0.0,
        diag_reg: float = 1e-6,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        check_limits(mask_min_db, mask_max_db)
        self.filter_length = filter_length
        self.prediction_delay = prediction_delay
        self.num_iterations = num_iterations
        self.low, self.high = amplitude(mask_min_db), amplitude(mask_max_db)
        self.diag_reg = diag_reg
        self.eps = eps
        self.subbands_at_once = 32  # more would be no faster, and take more memory

    def forward(self, spectrogram: Tensor, frames: Tensor, masks: Tensor | None = None) -> Tensor:
        """Dereverberate.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``.
            masks: of the dry signal, ``(B, 1, F, N)`` or ``(B, C, F, N)``; None takes the input as it is.

        Returns:
            Complex, ``(B, C, F, N)``; zero behind the valid frames.

        Raises:
            ValueError: another number of masks.
        """
        channels = spectrogram.shape[1]
        if masks is not None and masks.shape[1] != 1 and masks.shape[1] != channels:
            raise ValueError(f"expected 1 mask or {channels}, one per channel, but got {masks.shape[1]}")
        valid = frame_mask(frames, spectrogram.shape[-1])[:, None, :].double()
        x = spectrogram.to(torch.complex128).transpose(1, 2)  # (B, F, C, N)
        done: list[Tensor] = []
        for first in range(0, x.shape[1], self.subbands_at_once):
            part = x[:, first : first + self.subbands_at_once]
            power = part.abs().square()
            if masks is not None:
                mask = masks[:, :, first : first + self.subbands_at_once].transpose(1, 2)
                power = power * mask.double().clamp(self.low, self.high).square()
            done.append(self._dereverberate(part, power, valid))
        return torch.cat(done, dim=1).transpose(1, 2).to(spectrogram.dtype)

    def _dereverberate(self, x: Tensor, power: Tensor, valid: Tensor) -> Tensor:
        """Some frequencies: ``(B, F, C, N)``, power ``(B, F, C or 1, N)``, valid ``(B, 1, N)``."""
        past = self._past(x)
        made = x
        for step in range(self.num_iterations):
            if step > 0:
                power = made.abs().square()
            made = x - torch.matmul(self._filters(x, past, power.mean(dim=2), valid), past)
            made = made * valid.unsqueeze(2)
        return made

    def _filters(self, x: Tensor, past: Tensor, power: Tensor, valid: Tensor) -> Tensor:
        """Gᴴ of every frequency, ``(B, F, C, K · C)``; zero where it is silent."""
        loudest = (power * valid).amax(dim=-1, keepdim=True)
        weight = valid / torch.maximum(power, self.eps * loudest).clamp_min(1e-200) * (loudest > 0)
        past_weighted = past * weight.unsqueeze(2)
        correlation = torch.matmul(past_weighted, past.transpose(-1, -2).conj())
        cross = torch.matmul(past_weighted, x.transpose(-1, -2).conj())
        diagonal = torch.diagonal(correlation, dim1=-2, dim2=-1).real.mean(dim=-1)
        eye = torch.eye(correlation.shape[-1], dtype=x.dtype, device=x.device)
        # What is weighted by its own power has no unit, so the least loading has none.
        loaded = correlation + (self.diag_reg * diagonal + 1e-10)[..., None, None] * eye
        found: Tensor = torch.linalg.solve(loaded, cross)
        return found.transpose(-1, -2).conj()

    def _past(self, x: Tensor) -> Tensor:
        """The frames that predict each frame, ``(B, F, C, N)`` → ``(B, F, K · C, N)``, after zeros."""
        count = x.shape[-1]
        oldest = self.prediction_delay + self.filter_length - 1
        padded = F.pad(x, (oldest, 0))
        lags = range(self.prediction_delay, oldest + 1)
        return torch.cat([padded[..., oldest - lag : oldest - lag + count] for lag in lags], dim=2)


class MaskBasedDereverbWPEConfig(Config):
    """Config of :class:`MaskBasedDereverbWPE`."""

    filter_length: PositiveInt = Field(description="frames that each channel's filter looks at")
    prediction_delay: PositiveInt = Field(
        description="frames from the newest of them to the frame that is predicted; what is younger stays"
    )
    num_iterations: PositiveInt = Field(1, description="how often filter and power are found in turn")
    mask_min_db: Float = Field(-200.0, description="least mask (dB)")
    mask_max_db: Float = Field(0.0, description="largest mask (dB)")
    diag_reg: NonNegativeFloat = Field(
        1e-6, description="loading of the correlation matrix, relative to the mean of its diagonal"
    )
    eps: PositiveFloat = Field(1e-8, description="least power, relative to the largest of the frequency")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        refuse_limits(self.mask_min_db, self.mask_max_db, "mask_min_db")
        return self

    def build(self) -> MaskBasedDereverbWPE:
        """Make the processor."""
        return MaskBasedDereverbWPE(**self.model_dump())
