"""An augmentation: microphones that fail while training, so that a beamformer learns to live without them.

    "channel_augment": {"name": "DeadMicrophones", "config": {"probability": 0.2}}

An augmentation of a MaskEnhancer changes its input (B, C, T) in training steps. What it draws comes from
torch's random numbers, which a run seeds and a resumed run restores.
"""

import torch
from torch import Tensor, nn

from nam_like.registry import AUGMENTATIONS


@AUGMENTATIONS.register("DeadMicrophones", summary="silences random channels while training")
class DeadMicrophones(nn.Module):
    """Sets channels to zero, each item's own; the first one always works.

    Args:
        probability: that a channel is silent.
    """

    def __init__(self, probability: float = 0.2) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"expected `probability` from 0 to 1, but got {probability}")
        self.probability = probability

    def forward(self, audio: Tensor) -> Tensor:
        """``(B, C, T)`` → the same shape."""
        if not self.training:
            return audio
        works = torch.rand(audio.shape[0], audio.shape[1], 1) >= self.probability
        works[:, 0] = True
        return audio * works.to(audio.device)
