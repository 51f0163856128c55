"""Masks from any number of microphones in any order.

Each block mixes the channels and then runs a Conformer over the time of each. Before one of the blocks, or
after the last, the channels become one; a Conformer per output makes its mask.

Source: A. Jukić et al., "Flexible Multichannel Speech Enhancement for Noise-Robust Frontend", 2023.
"""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, Config, Float, Int, PositiveFloat, PositiveInt
from nam_like.config.lines import refusal
from nam_like.models.enhancement.channel_blocks import (
    ChannelAttentionPool,
    ChannelAveragePool,
    TransformAttendConcatenate,
    TransformAverageConcatenate,
)
from nam_like.models.enhancement.conformer import Conformer
from nam_like.models.enhancement.features import SpectrogramFeatures
from nam_like.models.enhancement.lengths import mask_frames

__all__ = ["MaskEstimatorFlexChannels", "MaskEstimatorFlexChannelsConfig"]

_MIXERS = {
    "transform_average_concatenate": TransformAverageConcatenate,
    "transform_attend_concatenate": TransformAttendConcatenate,
}


class MaskEstimatorFlexChannels(nn.Module):
    """One mask per output, the same whatever the order of the channels.

    Args:
        num_outputs: masks.
        num_subbands: frequencies F.
        num_blocks: blocks.
        channel_reduction_position: the block before which the channels become one, counted from 0; −1 or
            `num_blocks` for after the last.
        channel_reduction_type: ``average`` or ``attention``.
        channel_block_type: ``transform_average_concatenate`` or ``transform_attend_concatenate``.
        temporal_block_num_layers: Conformer layers per block.
        temporal_block_num_heads: heads of their attention.
        temporal_block_dimension: their width.
        temporal_block_att_context_size: frames before and after that attention hears; None or −1 for all.
        temporal_block_kernel_size: frames of their convolutions, odd.
        dropout: in training.
        num_input_channels: channels that it must be given; None for any number.
        mag_reduction: see :class:`~nam_like.models.enhancement.features.SpectrogramFeatures`.
        mag_power: exponent of the magnitudes.
        use_ipd: phases of each channel against the mean.
        mag_normalization: of the magnitudes.
        ipd_normalization: of the phases.

    Raises:
        ValueError: an unknown type, a position that there is not, or widths that do not divide.
    """

    def __init__(
        self,
        *,
        num_outputs: int,
        num_subbands: int,
        num_blocks: int,
        channel_reduction_position: int = -1,
        channel_reduction_type: str = "attention",
        channel_block_type: str = "transform_attend_concatenate",
        temporal_block_num_layers: int = 5,
        temporal_block_num_heads: int = 4,
        temporal_block_dimension: int = 128,
        temporal_block_att_context_size: tuple[int, int] | None = None,
        temporal_block_kernel_size: int = 31,
        dropout: float = 0.1,
        num_input_channels: int | None = None,
        mag_reduction: str | None = "abs_mean",
        mag_power: float | None = None,
        use_ipd: bool = True,
        mag_normalization: str | None = None,
        ipd_normalization: str | None = None,
    ) -> None:
        super().__init__()
        position = num_blocks if channel_reduction_position == -1 else channel_reduction_position
        if not 0 <= position <= num_blocks:
            raise ValueError(
                f"expected channel_reduction_position from -1 to num_blocks ({num_blocks}), "
                f"but got {channel_reduction_position}"
            )
        if channel_block_type not in _MIXERS:
            raise ValueError(f"Unknown channel layer type: {channel_block_type}")
        if channel_reduction_type not in ("average", "attention"):
            raise ValueError(f"Unknown channel reduction type: {channel_reduction_type}")
        self.num_outputs = num_outputs
        self.num_input_channels = num_input_channels or 0
        self.features = SpectrogramFeatures(
            num_subbands=num_subbands,
            mag_reduction=mag_reduction,
            mag_power=mag_power,
            use_ipd=use_ipd,
            mag_normalization=mag_normalization,
            ipd_normalization=ipd_normalization,
        )
        width, heard = temporal_block_dimension, self.features.num_features
        mixer = _MIXERS[channel_block_type]
        self.mixers = nn.ModuleList(mixer(heard if n == 0 else width, width) for n in range(position))
        pooled = heard if position == 0 else width
        self.reduction = (
            ChannelAveragePool() if channel_reduction_type == "average" else ChannelAttentionPool(pooled)
        )

        def conformer(in_features: int, layers: int, out_features: int | None) -> Conformer:
            return Conformer(
                in_features=in_features,
                out_features=out_features,
                width=width,
                num_layers=layers,
                heads=temporal_block_num_heads,
                kernel_size=temporal_block_kernel_size,
                dropout=dropout,
                context=temporal_block_att_context_size or (-1, -1),
            )

        layers = temporal_block_num_layers
        self.over_channels = nn.ModuleList(conformer(width, layers, None) for _ in range(position))
        self.over_one = nn.ModuleList(
            conformer(pooled if n == position else width, layers, None) for n in range(position, num_blocks)
        )
        self.outputs = nn.ModuleList(
            conformer(width if num_blocks else heard, 1, num_subbands) for _ in range(num_outputs)
        )

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """Estimate masks.

        Args:
            spectrogram: complex, ``(B, C, F, N)``, any C.
            frames: valid frames per item, ``(B,)``.

        Returns:
            ``(B, num_outputs, F, N)`` from 0 to 1; zero behind the valid frames.

        Raises:
            ValueError: another number of channels than `num_input_channels`.
        """
        if self.num_input_channels != 0 and spectrogram.shape[1] != self.num_input_channels:
            raise ValueError(f"expected {self.num_input_channels} channels, but got {spectrogram.shape[1]}")
        x = self.features(spectrogram, frames).permute(0, 3, 1, 2)  # (B, N, C, features)
        batch, count, channels = x.shape[0], x.shape[1], x.shape[2]
        every = frames.repeat_interleave(channels)
        for mix, over_time in zip(self.mixers, self.over_channels):  # noqa: B905 - TorchScript knows no strict
            alone = mix(x).transpose(1, 2).reshape(batch * channels, count, -1)
            x = over_time(alone, every).reshape(batch, channels, count, -1).transpose(1, 2)
        one = self.reduction(x)
        for over_time in self.over_one:
            one = over_time(one, frames)
        masks = [torch.sigmoid(output(one, frames)) for output in self.outputs]
        return mask_frames(torch.stack(masks, dim=1).transpose(2, 3), frames)


class MaskEstimatorFlexChannelsConfig(Config):
    """Config of :class:`MaskEstimatorFlexChannels`."""

    num_outputs: PositiveInt = Field(description="masks")
    num_subbands: PositiveInt = Field(description="frequencies, fft_length / 2 + 1")
    num_blocks: PositiveInt = Field(description="blocks: mixing of channels, then Conformers over time")
    channel_reduction_position: Int = Field(
        -1, description="block before which the channels become one, from 0; -1 for after the last", ge=-1
    )
    channel_reduction_type: Literal["average", "attention"] = Field(
        "attention", description="how the channels become one"
    )
    channel_block_type: Literal["transform_average_concatenate", "transform_attend_concatenate"] = Field(
        "transform_attend_concatenate", description="how the channels hear of each other"
    )
    temporal_block_type: Literal["conformer_encoder"] = Field(
        "conformer_encoder", description="what runs over time; there is one kind"
    )
    temporal_block_num_layers: PositiveInt = Field(5, description="Conformer layers per block")
    temporal_block_num_heads: PositiveInt = Field(4, description="heads of their attention")
    temporal_block_dimension: PositiveInt = Field(128, description="their width")
    temporal_block_self_attention_model: Literal["rel_pos"] = Field(
        "rel_pos", description="how attention knows of time; there is one way, by distances"
    )
    temporal_block_att_context_size: tuple[Int, Int] | None = Field(
        None, description="frames before and after that attention hears, -1 for all; null for all"
    )
    temporal_block_kernel_size: PositiveInt = Field(31, description="of their convolutions (frames), odd")
    dropout: Float = Field(0.1, ge=0, lt=1, description="in training")
    num_input_channels: PositiveInt | None = Field(
        None, description="channels that the net must be given; null for any number"
    )
    mag_reduction: Literal["abs_mean", "mean_abs", "rms"] | None = Field(
        "abs_mean",
        description="one magnitude of all channels: of their mean (abs_mean), the mean of theirs (mean_abs), "
        "or their root mean square (rms); null keeps one per channel",
    )
    mag_power: PositiveFloat | None = Field(None, description="exponent of the magnitudes; null leaves them")
    use_ipd: Bool = Field(True, description="add the phase of each channel against their mean")
    mag_normalization: Literal["mean", "mean_var"] | None = Field(
        None, description="take the mean, or mean and deviation, out of each frequency's magnitudes"
    )
    ipd_normalization: Literal["mean", "mean_var"] | None = Field(
        None, description="the same for phase differences"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.channel_reduction_position > self.num_blocks:
            raise refusal(
                f"expected at most num_blocks, {self.num_blocks}, but got {self.channel_reduction_position}",
                ("channel_reduction_position",),
                self.channel_reduction_position,
            )
        width, heads = self.temporal_block_dimension, self.temporal_block_num_heads
        attends = self.channel_block_type == "transform_attend_concatenate"
        for divisor, why in ((2, "halves"), (heads, "heads"), (8 if attends else 2, "channel_block_type")):
            if width % divisor:
                raise refusal(
                    f"expected a multiple of {divisor} ({why}), but got {width}",
                    ("temporal_block_dimension",),
                    width,
                )
        if self.temporal_block_kernel_size % 2 == 0:
            raise refusal(
                f"expected an odd number, but got {self.temporal_block_kernel_size}",
                ("temporal_block_kernel_size",),
                self.temporal_block_kernel_size,
            )
        return self

    def build(self) -> MaskEstimatorFlexChannels:
        """Make the net."""
        only = {"temporal_block_type", "temporal_block_self_attention_model"}  # there is one of each
        return MaskEstimatorFlexChannels(**self.model_dump(exclude=only))
