"""What losses on padded batches have in common: the channels' shares, and what a training step gives them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from nam_like.config.base import Config, PositiveFloat
from nam_like.config.lines import refusal

__all__ = ["Domain", "PaddedConfig", "WeightedConfig", "weights"]

#: ``"time"``: waveforms; ``"encoded"``: the spectrograms a net works on
Domain = Literal["time", "encoded"]


def weights(weight: list[float] | None) -> Tensor | None:
    """The channels' shares ``(C,)`` as a tensor."""
    return None if weight is None else torch.tensor(weight, dtype=torch.float32)


class WeightedConfig(Config):
    """Channels may have different shares in a loss."""

    weight: list[PositiveFloat] | None = Field(
        None, description="share of each channel in the mean, adding up to 1; null for equal shares"
    )

    @field_validator("weight")
    @classmethod
    def _adds_up(cls, weight: list[float] | None) -> list[float] | None:
        if weight is not None and not math.isclose(math.fsum(weight), 1.0, abs_tol=1e-6):
            raise refusal(
                f"expected the entries of `weight` to add up to 1, but got {weight}, "
                f"which add up to {math.fsum(weight):g}",
                (),
                weight,
            )
        return weight


class PaddedConfig(WeightedConfig):
    """Options of losses on waveforms or spectrograms."""

    domain: Domain = Field(
        "time", description="compare waveforms (time), or the spectrograms the net works on (encoded)"
    )
