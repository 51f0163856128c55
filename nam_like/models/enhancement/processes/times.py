"""Times of processes: their range, random ones for training, and how they meet spectrograms."""

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, NonNegativeFloat, PositiveFloat
from nam_like.config.lines import refusal

__all__ = ["Process", "ProcessConfig", "per_item"]


def per_item(values: Tensor, like: Tensor) -> Tensor:
    """One value per item, shaped so that it multiplies a batch: ``(B,)`` → ``(B, 1, …)``."""
    return values.reshape([-1] + [1] * (like.ndim - 1))


class Process(nn.Module):
    """What leads from clean to noisy spectrograms, or from noise to clean ones, in the course of time.

    Args:
        time_min: earliest time.
        time_max: latest.

    Raises:
        ValueError: `time_min` is negative, or not before `time_max`.
    """

    def __init__(self, time_min: float, time_max: float) -> None:
        super().__init__()
        if time_min < 0:
            raise ValueError(f"time_min should be non-negative, current value {time_min}")
        if time_max <= time_min:
            raise ValueError(
                f"time_max should be larger than time_min, current max {time_max} and min {time_min}"
            )
        self.time_min = float(time_min)
        self.time_max = float(time_max)

    def generate_time(self, count: int, device: torch.device) -> Tensor:
        """Random times, ``(count,)``, uniform above `time_min` and up to `time_max`."""
        # Never time_min itself: estimators take the logarithm of the time, and time_min may be 0.
        return self.time_max - (self.time_max - self.time_min) * torch.rand(count, device=device)


class ProcessConfig(Config):
    """What configs of processes have in common."""

    time_min: NonNegativeFloat = Field(0.0, description="earliest time")
    time_max: PositiveFloat = Field(1.0, description="latest time")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.time_max <= self.time_min:
            raise refusal(
                f"expected time_max to be above time_min ({self.time_min:g}), but got {self.time_max:g}",
                ("time_max",),
                self.time_max,
            )
        return self
