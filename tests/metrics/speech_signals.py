"""Signals that PESQ and STOI take for speech."""

import torch
from torch import Tensor

RATE = 16000


def speech(seconds: float = 1.0, seed: int = 0, rate: int = RATE) -> Tensor:
    """Syllables of harmonics in a little noise, ``(1, T)``."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(int(seconds * rate)) / rate
    voice = sum(torch.sin(2 * torch.pi * 150 * k * t) / k for k in range(1, 12))
    syllables = torch.sin(2 * torch.pi * 2 * t).square() * voice
    return (0.1 * syllables + 0.002 * torch.randn(len(t), generator=generator))[None]


def noisy(x: Tensor, level: float = 0.05, seed: int = 1) -> Tensor:
    """The same with white noise."""
    return x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
