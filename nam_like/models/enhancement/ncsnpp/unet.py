"""The U-Net of NCSN++ on real maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nam_like.models.enhancement.lengths import mask_frames
from nam_like.models.enhancement.ncsnpp.blocks import (
    NEARLY_ZERO,
    GaussianFourierProjection,
    ResidualBlock,
    conv,
    doubled,
    halved,
    linear,
)

__all__ = ["UNet"]


class UNet(nn.Module):
    """Residual blocks on several resolutions, each of which also sees the input and adds to the output.

    Args:
        maps: real input maps, and as many outputs.
        channels: of the start and of each resolution, the finest first.
        num_res_blocks: residual blocks per resolution, on the way down and again on the way up.
        conditioned_on_time: whether it takes a time.
        fourier_embedding_scale: standard deviation of the frequencies that time is embedded with.
        dropout: in residual blocks.

    Source: Y. Song et al. 2021, "NCSN++", with progressive input and output by residuals.
    """

    __constants__ = ("conditioned",)  # TorchScript leaves the branches out that never run

    def __init__(
        self,
        maps: int,
        channels: Sequence[int],
        num_res_blocks: int,
        *,
        conditioned_on_time: bool = False,
        fourier_embedding_scale: float = 16.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.conditioned = conditioned_on_time
        self.per_resolution = num_res_blocks
        self.resolutions = resolutions = len(channels) - 1
        width = 4 * channels[0] if conditioned_on_time else 0
        self.time_embedding = (
            nn.Sequential(
                GaussianFourierProjection(channels[0], fourier_embedding_scale),
                linear(2 * channels[0], width),
                nn.SiLU(),
                linear(width, width),
            )
            if conditioned_on_time
            else nn.Identity()
        )

        def block(inputs: int, outputs: int) -> ResidualBlock:
            return ResidualBlock(inputs, outputs, embedding=width, dropout=dropout)

        self.input_pyramid = nn.ModuleList(conv(maps, channels[r], 1) for r in range(resolutions))
        self.input_blocks = nn.ModuleList()
        for r in range(resolutions):
            for i in range(num_res_blocks):
                self.input_blocks.append(block(channels[r] if i == 0 else channels[r + 1], channels[r + 1]))
        self.output_blocks = nn.ModuleList()
        for r in reversed(range(resolutions)):
            for i in range(num_res_blocks):
                last = i == num_res_blocks - 1
                self.output_blocks.append(block(channels[r + 1], channels[r] if last else channels[r + 1]))
        self.projection_blocks = nn.ModuleList(
            conv(channels[r], maps, 1, NEARLY_ZERO) for r in range(resolutions)
        )

    def forward(self, x: Tensor, lengths: Tensor | None, time: Tensor | None) -> Tensor:
        """Pass maps through.

        Args:
            x: ``(B, maps, F, N)``; F and N multiples of ``2 ** (resolutions - 1)``.
            lengths: valid frames per item, ``(B,)``; None when all are.
            time: ``(B,)``, when conditioned on time.

        Returns:
            Like `x`.

        Raises:
            ValueError: there is no time, although it is conditioned on time.
        """
        embedding: Tensor | None = None
        if self.conditioned:
            if time is None:
                raise ValueError("expected a time for a net that is conditioned on time, but got None")
            embedding = self.time_embedding(time)
        h, valid, history = self._down(x, lengths, embedding)
        return self._up(h, valid, history, embedding, x)

    # Loops go over lists of modules only: TorchScript unrolls those, and picks modules by no other index.

    def _down(
        self, x: Tensor, lengths: Tensor | None, embedding: Tensor | None
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """To the coarsest resolution: the map, its valid frames, and what all blocks have made."""
        image, valid = x, lengths
        history: list[Tensor] = []
        h = torch.zeros_like(x[:, :1])
        for i, block in enumerate(self.input_blocks):
            if i % self.per_resolution == 0:
                if i > 0:
                    image, h = halved(image), halved(h)
                    if valid is not None:
                        valid = torch.div(valid + 1, 2, rounding_mode="floor")
                for r, lift in enumerate(self.input_pyramid):
                    if r * self.per_resolution == i:
                        h = _masked(lift(image).add_(h).mul_(math.sqrt(0.5)), valid)
            h = block(h, embedding, valid)
            history.append(h)
        return h, valid, history

    def _up(
        self,
        h: Tensor,
        valid: Tensor | None,
        history: list[Tensor],
        embedding: Tensor | None,
        x: Tensor,
    ) -> Tensor:
        """Back to the finest; every resolution adds to the output, which is like `x`."""
        out = torch.zeros_like(x)
        for i, block in enumerate(self.output_blocks):
            if i > 0 and i % self.per_resolution == 0:
                if valid is not None:
                    valid = valid * 2
                h = doubled(h, valid)
            h = block((h + history.pop()).mul_(math.sqrt(0.5)), embedding, valid)
            for r, project in enumerate(self.projection_blocks):
                if (self.resolutions - r) * self.per_resolution == i + 1:
                    out = out + F.interpolate(project(h), size=[x.shape[-2], x.shape[-1]], mode="nearest")
        return out


def _masked(h: Tensor, valid: Tensor | None) -> Tensor:
    return h if valid is None else mask_frames(h, valid)
