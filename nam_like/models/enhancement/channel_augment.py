"""Training on random microphones of an array, so that a net works with others, and with fewer."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, Config, PositiveInt
from nam_like.config.lines import refusal

__all__ = ["ChannelAugment", "ChannelAugmentConfig"]


class ChannelAugment(nn.Module):
    """Chooses random channels in random order while training, the same for all items; otherwise does nothing.

    It draws from torch's random numbers, which a run seeds and a resumed run restores.

    Args:
        permute_channels: in random order; otherwise the first ones, in order.
        num_channels_min: fewest channels.
        num_channels_max: most channels; None for all.

    Raises:
        ValueError: the fewest are more than the most.
    """

    def __init__(
        self,
        *,
        permute_channels: bool = True,
        num_channels_min: int = 1,
        num_channels_max: int | None = None,
    ) -> None:
        super().__init__()
        if num_channels_max is not None and num_channels_min > num_channels_max:
            raise ValueError(
                f"Min number of channels {num_channels_min} cannot be greater than max number of channels "
                f"{num_channels_max}"
            )
        self.permute_channels = permute_channels
        self.num_channels_min = num_channels_min
        self.num_channels_max = num_channels_max or 0

    def forward(self, audio: Tensor) -> Tensor:
        """``(B, C, T)`` → ``(B, C', T)``.

        Raises:
            ValueError: there are fewer channels than the fewest.
        """
        channels = audio.shape[1]
        if channels < self.num_channels_min:
            raise ValueError(
                f"Number of input channels ({channels}) is smaller than the min number of output channels "
                f"({self.num_channels_min})"
            )
        if not self.training:
            return audio
        most = channels if self.num_channels_max == 0 else min(channels, self.num_channels_max)
        kept = int(torch.randint(self.num_channels_min, most + 1, (1,)).item())
        order = torch.randperm(channels) if self.permute_channels else torch.arange(channels)
        return audio.index_select(1, order[:kept].to(audio.device))


class ChannelAugmentConfig(Config):
    """Config of :class:`ChannelAugment`."""

    permute_channels: Bool = Field(True, description="in random order; otherwise the first ones, in order")
    num_channels_min: PositiveInt = Field(1, description="fewest channels")
    num_channels_max: PositiveInt | None = Field(None, description="most channels; null for all")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        most = self.num_channels_max
        if most is not None and self.num_channels_min > most:
            raise refusal(
                f"expected at most num_channels_max, {most}, but got {self.num_channels_min}",
                ("num_channels_min",),
                self.num_channels_min,
            )
        return self

    def build(self) -> ChannelAugment:
        """Make the augmentation."""
        return ChannelAugment(**self.model_dump())
