"""Lengths of padded batches: masks, and what a stack of layers makes of a length."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["frame_mask", "mask_frames"]


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """What is audio, and what padding.

    Args:
        lengths: valid frames (or samples) per item, ``(B,)``.
        frames: of the padded batch.

    Returns:
        ``(B, frames)``, true where valid.
    """
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def mask_frames(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeros where the padding is.

    Args:
        x: ``(B, …, N)``, real or complex.
        lengths: valid frames per item, ``(B,)``.
    """
    mask = frame_mask(lengths, x.shape[-1])
    shape = [mask.shape[0]] + [1] * (x.ndim - 2) + [mask.shape[1]]
    return x * mask.reshape(shape)
