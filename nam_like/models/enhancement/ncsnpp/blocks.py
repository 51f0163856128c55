"""Bricks of NCSN++: the residual block, the embedding of time, and masks that follow the resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["GaussianFourierProjection", "ResidualBlock", "conv", "linear"]

#: Xavier gain of convolutions whose output is to begin near zero.
NEARLY_ZERO = 1e-5


def conv(inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size, with Xavier-uniform weights and no bias to begin with."""
    made = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(made.weight, gain=gain)
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A dense layer, with Xavier-uniform weights and no bias to begin with."""
    made = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, min(channels // 4, 32)), channels, eps=1e-6)


class GaussianFourierProjection(nn.Module):
    """Random Fourier features of the logarithm of time: ``[sin 2π·log t·W, cos 2π·log t·W]``.

    Args:
        size: frequencies.
        scale: their standard deviation.

    Source: Y. Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", 2021.
    """

    def __init__(self, size: int, scale: float) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(size) * scale, requires_grad=False)

    def forward(self, time: Tensor) -> Tensor:
        """``(B,)`` → ``(B, 2 · size)``."""
        angles = torch.log(time)[:, None] * self.W[None, :] * (2.0 * math.pi)
        return torch.cat((torch.sin(angles), torch.cos(angles)), dim=-1)


class ResidualBlock(nn.Module):
    """``(x + conv(act(norm(conv(act(norm x)) + time)))) / √2``.

    Args:
        inputs: channels.
        outputs: channels.
        embedding: size of the time embedding; 0 without one.
        dropout: probability before the second convolution.

    Source: the BigGAN block of Song et al. 2021, App. H, without changes of resolution.
    """

    __constants__ = ("conditioned",)  # TorchScript leaves the branches out that never run

    def __init__(self, inputs: int, outputs: int, *, embedding: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.conditioned = embedding > 0
        self.input_block = nn.Sequential(_norm(inputs), nn.SiLU())
        self.middle_conv = conv(inputs, outputs, 3)
        self.diffusion_step_projection = (
            nn.Sequential(nn.SiLU(), linear(embedding, outputs)) if embedding else nn.Identity()
        )
        self.output_block = nn.Sequential(
            _norm(outputs), nn.SiLU(), nn.Dropout(dropout), conv(outputs, outputs, 3, NEARLY_ZERO)
        )
        self.residual_projection = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``(B, inputs, F, N)`` and ``(B, embedding)`` or None → ``(B, outputs, F, N)``."""
        h = self.middle_conv(self.input_block(x))
        if self.conditioned:
            if embedding is None:
                raise ValueError("expected a time embedding for a conditioned block, but got None")
            h = h + self.diffusion_step_projection(embedding)[:, :, None, None]
        made: Tensor = (self.residual_projection(x) + self.output_block(h)) / math.sqrt(2.0)
        return made
