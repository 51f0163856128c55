"""Patches of spectrograms that a net is to fill in, so that it learns what speech is from clean speech alone.

Source: A. H. Liu et al., "Generative Pre-training for Speech with Flow Matching", 2024.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveInt
from nam_like.models.enhancement.lengths import mask_frames

__all__ = ["MaskPatches", "MaskPatchesConfig", "fixed_patches", "random_patches"]


def random_patches(lengths: Tensor, frames: int, patch_size: int, mask_fraction: float) -> Tensor:
    """Which frames to hide: whole patches, chosen at random in each item.

    As many as it takes to hide the fraction of the item, but no more than there are whole ones in it.

    Args:
        lengths: valid frames per item, ``(B,)``.
        frames: of the padded batch.
        patch_size: frames per patch.
        mask_fraction: 0 to 1.

    Returns:
        ``(B, frames)``, true where hidden.
    """
    patches = torch.div(lengths, patch_size, rounding_mode="floor")
    wanted = torch.floor(lengths.double() * mask_fraction)
    count = torch.minimum(torch.ceil(wanted / patch_size).long(), patches)
    slots = (frames + patch_size - 1) // patch_size
    chance = torch.rand(lengths.shape[0], slots, device=lengths.device)
    beyond = torch.arange(slots, device=lengths.device)[None, :] >= patches[:, None]
    place = torch.argsort(torch.argsort(chance + beyond.to(chance.dtype), dim=1), dim=1)
    hidden = place < count[:, None]
    return hidden.repeat_interleave(patch_size, dim=1)[:, :frames]


def fixed_patches(frames: int, patch_size: int, mask_fraction: float, device: torch.device) -> Tensor:
    """Which frames to hide when results are to be compared: patches at equal distances.

    Returns:
        ``(frames,)``, true where hidden.
    """
    position = torch.arange(frames, device=device)
    if mask_fraction <= 0.0:
        return torch.zeros(frames, dtype=torch.bool, device=device)
    return position % int(min(patch_size / mask_fraction, 1e9)) < patch_size


class MaskPatches(nn.Module):
    """Hides patches of frames; at random in training, otherwise always the same ones.

    Args:
        patch_size: frames per patch.
        mask_fraction: how much of an item is hidden, 0 to 1.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, *, patch_size: int = 10, mask_fraction: float = 0.7) -> None:
        super().__init__()
        if patch_size <= 0:
            raise ValueError(f"patch_size must be positive, got patch_size={patch_size}")
        if not 0 <= mask_fraction <= 1:
            raise ValueError(
                f"mask_fraction must be in the range [0.0, 1.0], got mask_fraction={mask_fraction}"
            )
        self.patch_size = patch_size
        self.mask_fraction = float(mask_fraction)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """``(B, C, F, N)`` with valid frames ``(B,)`` → the same, with zeros where it is hidden."""
        count = spectrogram.shape[-1]
        if self.training:
            hidden = random_patches(frames, count, self.patch_size, self.mask_fraction)
        else:
            hidden = fixed_patches(count, self.patch_size, self.mask_fraction, spectrogram.device)[None, :]
        return mask_frames(spectrogram * ~hidden[:, None, None, :], frames)


class MaskPatchesConfig(Config):
    """Config of :class:`MaskPatches`."""

    patch_size: PositiveInt = Field(10, description="frames per patch")
    mask_fraction: float = Field(0.7, ge=0, le=1, description="how much of an item is hidden")

    def build(self) -> MaskPatches:
        """Make the module."""
        return MaskPatches(**self.model_dump())
