"""FiLM: a condition scales and shifts each channel, sample by sample.

Source: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FiLM"]


class FiLM(nn.Module):
    """x · scale(c) + shift(c), both from one 1×1 convolution of the condition; it starts near the identity.

    Args:
        condition_size: channels of the condition.
        dim: channels of x.
        shift: whether there is a shift.
        groups: groups of the convolution.
    """

    def __init__(self, condition_size: int, dim: int, shift: bool = True, groups: int = 1) -> None:
        super().__init__()
        self.condition_size, self.dim, self.shift, self.groups = condition_size, dim, shift, groups
        self.conv = nn.Conv1d(condition_size, (2 if shift else 1) * dim, 1, groups=groups)
        with torch.no_grad():
            if self.conv.bias is not None:
                self.conv.bias[:dim] = 1.0
                self.conv.bias[dim:] = 0.0

    def neutralise(self) -> None:
        """Make it the identity and keep it so in training."""
        with torch.no_grad():
            self.conv.weight.zero_()
            if self.conv.bias is not None:
                self.conv.bias[: self.dim] = 1.0
                self.conv.bias[self.dim :] = 0.0
        self.requires_grad_(False)

    @property
    def neutral(self) -> bool:
        """Whether it is the identity for good."""
        return not self.conv.weight.requires_grad and not bool(self.conv.weight.any())

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``(B, dim, L)``, ``(B, condition_size, L)`` → ``(B, dim, L)``."""
        modulation = self.conv(condition)
        if not self.shift:
            scaled: Tensor = x * modulation
            return scaled
        scale, shift = modulation.chunk(2, dim=1)
        return torch.addcmul(shift, x, scale)
