"""Bricks of NCSN++: the residual block, the embedding of time, and changes of resolution.

On the CPU the kernels of :mod:`nam_like.native.norm_conv` play residual blocks, and those of
:mod:`nam_like.native.resize` change resolutions; TorchScript, other devices and whatever the kernels do not
cover take the formulas in PyTorch beside them.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]

from nam_like.models.blocks.native import fits, is_hooked
from nam_like.models.enhancement.lengths import mask_frames
from nam_like.native import resize
from nam_like.native.norm_conv import Layer, norm_conv, obstacle

__all__ = ["GaussianFourierProjection", "ResidualBlock", "conv", "doubled", "halved", "linear"]

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


def is_covered(x: Tensor) -> bool:
    """Whether kernels take this map."""
    return fits(x) and not obstacle(x)


def halved(x: Tensor) -> Tensor:
    """Means of 2 × 2, ``(B, C, F, N)`` → ``(B, C, F / 2, N / 2)``."""
    if not is_scripting():  # noqa: SIM102 - TorchScript leaves out what is behind this condition alone
        if is_covered(x):
            return resize.halve(x)
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor, valid: Tensor | None) -> Tensor:
    """Bilinear interpolation to twice the size, ``(B, C, 2 F, 2 N)``; zero behind the valid frames."""
    if not is_scripting():  # noqa: SIM102 - see halved
        if is_covered(x):
            return resize.double(x, valid)
    made = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return made if valid is None else mask_frames(made, valid)


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
        self.dropout = dropout
        self.input_block = nn.Sequential(_norm(inputs), nn.SiLU())
        self.middle_conv = conv(inputs, outputs, 3)
        self.diffusion_step_projection = (
            nn.Sequential(nn.SiLU(), linear(embedding, outputs)) if embedding else nn.Identity()
        )
        self.output_block = nn.Sequential(
            _norm(outputs), nn.SiLU(), nn.Dropout(dropout), conv(outputs, outputs, 3, NEARLY_ZERO)
        )
        self.residual_projection = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None, valid: Tensor | None = None) -> Tensor:
        """Pass a map through.

        Args:
            x: ``(B, inputs, F, N)``.
            embedding: of the time, ``(B, embedding)``, for a conditioned block.
            valid: valid frames per item, ``(B,)``; None when all are.

        Returns:
            ``(B, outputs, F, N)``, zero behind the valid frames.

        Raises:
            ValueError: a conditioned block got no embedding.
        """
        added: Tensor | None = None
        if self.conditioned:
            if embedding is None:
                raise ValueError("expected a time embedding for a conditioned block, but got None")
            added = self.diffusion_step_projection(embedding)
        if not is_scripting():  # noqa: SIM102 - see halved
            if self.is_native(x):
                return self.native(x, added, valid)
        h = self.middle_conv(self.input_block(x))
        if added is not None:
            h = h + added[:, :, None, None]
        made: Tensor = (self.residual_projection(x) + self.output_block(h)) / math.sqrt(2.0)
        return made if valid is None else mask_frames(made, valid)

    @torch.jit.unused
    def is_native(self, x: Tensor) -> bool:
        """Whether the kernels play this block."""
        plain = not (self.training and self.dropout > 0.0) and fits(x)
        return plain and not is_hooked(self.modules()) and not obstacle(x, *self.parameters())

    @torch.jit.unused
    def native(self, x: Tensor, added: Tensor | None, valid: Tensor | None) -> Tensor:
        """The same on the kernels; `added` is what comes from the time, ``(B, outputs)``."""
        first, second = cast("nn.GroupNorm", self.input_block[0]), cast("nn.GroupNorm", self.output_block[0])
        h = norm_conv(x, _layer(first, self.middle_conv, x.shape[0], added))
        layer = _layer(second, cast("nn.Conv2d", self.output_block[3]), x.shape[0])
        return norm_conv(h, layer, self.residual_projection(x), math.sqrt(0.5), valid)


def _layer(norm: nn.GroupNorm, convolution: nn.Conv2d, batch: int, added: Tensor | None = None) -> Layer:
    """The weights of a norm and a convolution, to whose bias `added` is added, ``(B, outputs)``."""
    if convolution.bias is None:
        raise ValueError("expected a convolution with a bias, but got one without")
    bias = convolution.bias.expand(batch, -1)
    bias = bias if added is None else bias + added
    return Layer(norm.num_groups, norm.eps, norm.weight, norm.bias, convolution.weight, bias)
