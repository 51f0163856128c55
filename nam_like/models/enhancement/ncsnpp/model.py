"""NCSN++ as an estimator of complex spectrograms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, Config, NonNegativeInt, PositiveFloat, PositiveInt
from nam_like.config.lines import refusal
from nam_like.models.enhancement.lengths import mask_frames
from nam_like.models.enhancement.ncsnpp.blocks import conv
from nam_like.models.enhancement.ncsnpp.unet import UNet
from nam_like.native import norm_conv

__all__ = ["NCSNpp", "NCSNppConfig"]


class NCSNpp(nn.Module):
    """NCSN++ from complex spectrograms to complex spectrograms, of any size.

    Real and imaginary parts go in as maps, interleaved; they come out in two blocks. Weights have the names
    of NeMo's ``SpectrogramNoiseConditionalScoreNetworkPlusPlus``, so that its checkpoints load.

    Args:
        in_channels: complex channels.
        out_channels: complex channels.
        channels: of the start and of each resolution, the finest first.
        num_res_blocks: residual blocks per resolution and direction.
        num_resolutions: each has half of the frequencies and frames of the one before.
        conditioned_on_time: whether ``forward`` takes a time, as diffusion models need.
        fourier_embedding_scale: standard deviation of the frequencies that time is embedded with.
        dropout: in residual blocks.
        pad_time_to: frames are padded to a multiple; 0 means the least that the resolutions need.
        pad_dimension_to: the same for frequencies.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: Sequence[int] = (128, 128, 256, 256, 256),
        num_res_blocks: int = 2,
        num_resolutions: int = 4,
        conditioned_on_time: bool = False,
        fourier_embedding_scale: float = 16.0,
        dropout: float = 0.0,
        pad_time_to: int = 0,
        pad_dimension_to: int = 0,
    ) -> None:
        super().__init__()
        if len(channels) != num_resolutions + 1:
            raise ValueError(
                f"expected {num_resolutions + 1} channels (num_resolutions + 1), but got {len(channels)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.pad_time_to = pad_time_to or 2**num_resolutions
        self.pad_dimension_to = pad_dimension_to or 2**num_resolutions
        self.ncsnpp = UNet(
            2 * in_channels,
            channels,
            num_res_blocks,
            conditioned_on_time=conditioned_on_time,
            fourier_embedding_scale=fourier_embedding_scale,
            dropout=dropout,
        )
        self.output_projection = conv(2 * in_channels, 2 * out_channels, 1)

    @torch.jit.unused
    def kernel_parts(self) -> str:
        """What the native kernels play of it, for logs; empty where they play nothing."""
        return "" if norm_conv.obstacle(self.output_projection.weight) else "norms, convolutions and resizing"

    def forward(
        self, spectrogram: Tensor, frames: Tensor | None = None, time: Tensor | None = None
    ) -> Tensor:
        """Estimate a spectrogram.

        Args:
            spectrogram: complex, ``(B, in_channels, F, N)``.
            frames: valid frames per item, ``(B,)``; None when all are.
            time: ``(B,)``, when conditioned on time.

        Returns:
            Complex, ``(B, out_channels, F, N)``; zero behind the valid frames.

        Raises:
            ValueError: another number of channels, or a time of another shape.
        """
        batch, channels, subbands, count = spectrogram.shape
        if channels != self.in_channels:
            raise ValueError(f"Unexpected input channel size {channels}, expected {self.in_channels}")
        if time is not None and time.ndim != 1:
            raise ValueError(f"Expected conditon to be a 1-dim tensor, got {time.ndim}-dim")
        if time is not None and time.shape[0] != batch:
            raise ValueError(
                f"Condition {time.shape[0]} and input {batch} should match along the batch dimension"
            )
        maps = torch.stack((spectrogram.real, spectrogram.imag), dim=2).reshape(
            batch, 2 * channels, subbands, count
        )
        if frames is not None:
            maps = mask_frames(maps, frames)  # coarser resolutions would mix it with what is valid
        maps = F.pad(maps, (0, -count % self.pad_time_to, 0, -subbands % self.pad_dimension_to))
        made = self.output_projection(self.ncsnpp(maps, frames, time))[..., :subbands, :count]
        parts = made.reshape(batch, 2, self.out_channels, subbands, count)
        return torch.complex(parts[:, 0].contiguous(), parts[:, 1].contiguous())


class NCSNppConfig(Config):
    """Config of :class:`NCSNpp`."""

    in_channels: PositiveInt = Field(1, description="complex channels of the input")
    out_channels: PositiveInt = Field(1, description="complex channels of the output")
    channels: list[PositiveInt] = Field(
        [128, 128, 256, 256, 256],
        description="channels of the start and of each resolution, the finest first",
    )
    num_res_blocks: PositiveInt = Field(2, description="residual blocks per resolution and direction")
    num_resolutions: PositiveInt = Field(4, description="each has half of the size of the one before")
    conditioned_on_time: Bool = Field(False, description="take a time, as diffusion models need")
    fourier_embedding_scale: PositiveFloat = Field(
        16.0, description="standard deviation of the frequencies that time is embedded with"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout in residual blocks")
    pad_time_to: NonNegativeInt | None = Field(
        None, description="frames are padded to a multiple; null or 0: as few as the resolutions need"
    )
    pad_dimension_to: NonNegativeInt | None = Field(None, description="the same for frequencies")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.channels) != self.num_resolutions + 1:
            raise refusal(
                f"expected {self.num_resolutions + 1} channels (num_resolutions + 1), "
                f"but got {len(self.channels)}",
                ("channels",),
                self.channels,
            )
        for key in ("pad_time_to", "pad_dimension_to"):
            value = getattr(self, key) or 0
            least = 2 ** (self.num_resolutions - 1)
            if value % least:
                raise refusal(
                    f"expected a multiple of {least}, which the resolutions need, but got {value}",
                    (key,),
                    value,
                )
        return self

    def build(self) -> NCSNpp:
        """Make the net."""
        values = self.model_dump()
        values["pad_time_to"] = self.pad_time_to or 0
        values["pad_dimension_to"] = self.pad_dimension_to or 0
        return NCSNpp(**values)
