"""Guided source separation: masks of several talkers from where they stand and when they talk.

Directions z = x/|x| of each bin come from a mixture of complex angular central Gaussians, one per source k:

    γ_k ∝ α_k a_k · det(B_k)⁻¹ (zᴴ B_k⁻¹ z)⁻ᶜ        a: whether the source is active in the frame
    α_k = mean over frames of γ_k
    B_k = C · Σ_n γ_k z zᴴ / (zᴴ B_k⁻¹ z) / Σ_n γ_k

The activity keeps the sources in the same order in all frequencies.

Source: N. Ito et al., "Complex Angular Central Gaussian Mixture Model for Directional Statistics in
Mask-Based Microphone Array Signal Processing", 2016; C. Boeddeker et al., "Front-End Processing for the
CHiME-5 Dinner Party Scenario", 2018.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveFloat, PositiveInt
from nam_like.models.enhancement.lengths import frame_mask

__all__ = ["MaskEstimatorGSS", "MaskEstimatorGSSConfig"]


class MaskEstimatorGSS(nn.Module):
    """Masks of sources whose activity is known, in float64. It has no weights and needs no training.

    Args:
        num_iterations: steps of expectation and maximisation.
        eps: added to what is divided by; least eigenvalue of B_k relative to its largest.

    Raises:
        ValueError: an argument is not positive.
    """

    def __init__(self, *, num_iterations: int = 3, eps: float = 1e-8) -> None:
        super().__init__()
        if num_iterations <= 0:
            raise ValueError(f"Number of iterations must be positive, got {num_iterations}")
        if eps <= 0:
            raise ValueError(f"eps must be positive, got {eps}")
        self.num_iterations = num_iterations
        self.eps = eps

    def forward(self, spectrogram: Tensor, frames: Tensor, activity: Tensor | None = None) -> Tensor:
        """Estimate masks.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``.
            activity: how active each source is, ``(B, num_outputs, N)``, from 0 to 1; at least two sources
                (noise, which is always active, can be one).

        Returns:
            ``(B, num_outputs, F, N)``, of which the sum over active sources is one; zero behind the valid
            frames.

        Raises:
            ValueError: no activity, or one of another shape or of a single source.
        """
        if activity is None:
            raise ValueError("expected the activity of the sources, (B, num_outputs, N), but got none")
        batch, _, _, count = spectrogram.shape
        if activity.shape[0] != batch:
            raise ValueError(f"Batch dimension mismatch: activity {activity.shape[0]} vs input {batch}")
        if activity.shape[-1] != count:
            raise ValueError(f"Time dimension mismatch: activity {activity.shape[-1]} vs input {count}")
        if activity.shape[1] == 1:
            raise ValueError(f"Expecting multiple outputs, got {activity.shape[1]}")
        valid = frame_mask(frames, count).double()
        active = (activity.double() * valid[:, None, :]).transpose(0, 1)[:, :, None]  # (K, B, 1, N)
        x = spectrogram.to(torch.complex128).transpose(1, 2)  # (B, F, C, N)
        z = x / (torch.linalg.vector_norm(x, dim=2, keepdim=True) + self.eps)
        masks = active.clamp_min(self.eps).expand(-1, -1, x.shape[1], -1)
        masks = masks / masks.sum(dim=0, keepdim=True) * valid[:, None, :]
        energy = torch.ones_like(masks)
        for _ in range(self.num_iterations):
            log_density, energy = self._density(z, masks, energy)
            weight = masks.sum(dim=-1, keepdim=True) / valid.sum(dim=-1)[:, None, None]
            likely = weight * active * torch.exp(log_density - log_density.amax(dim=0, keepdim=True))
            masks = likely / (likely.sum(dim=0, keepdim=True) + self.eps)
        return masks.permute(1, 0, 2, 3).to(spectrogram.real.dtype)

    def _density(self, z: Tensor, masks: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """New shape matrices; logarithms of the densities and zᴴ B⁻¹ z, each ``(K, B, F, N)``."""
        channels = z.shape[2]
        scaled = z * (masks / (energy + self.eps)).unsqueeze(3)  # (K, B, F, C, N)
        shape = channels * torch.matmul(scaled, z.transpose(-1, -2).conj())
        shape = shape / (masks.sum(dim=-1)[..., None, None] + self.eps)
        values, vectors = torch.linalg.eigh(0.5 * (shape + shape.transpose(-1, -2).conj()))
        # The density does not change with the scale of B.
        values = values / (values.amax(dim=-1, keepdim=True) + self.eps)
        values = values.clamp_min(self.eps)
        turned = torch.matmul(vectors.transpose(-1, -2).conj(), z.unsqueeze(0))
        energy = (turned.abs().square() / values.unsqueeze(-1)).sum(dim=-2) + self.eps
        return -channels * energy.log() - values.log().sum(dim=-1, keepdim=True), energy


class MaskEstimatorGSSConfig(Config):
    """Config of :class:`MaskEstimatorGSS`."""

    num_iterations: PositiveInt = Field(3, description="steps of expectation and maximisation")
    eps: PositiveFloat = Field(1e-8, description="added to what is divided by")

    def build(self) -> MaskEstimatorGSS:
        """Make the estimator."""
        return MaskEstimatorGSS(**self.model_dump())
