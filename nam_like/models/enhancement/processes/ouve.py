"""An Ornstein-Uhlenbeck process from clean to noisy spectrograms, whose noise grows exponentially.

    dx = γ (y − x) dt + g(t) dw,    g(t) = σ_min R^t √(2 ln R),    R = σ_max / σ_min

x is a spectrogram that is clean at time 0, y the noisy one, γ the stiffness. Given the clean one, x(t) is
Gaussian with

    mean       e^{−γt} x(0) + (1 − e^{−γt}) y
    variance   σ_min² ln R (R^{2t} − e^{−2γt}) / (γ + ln R)

Complex noise has unit variance, half of it in each part.

Source: J. Richter et al., "Speech Enhancement and Dereverberation with Diffusion-Based Generative Models",
2023.
"""

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import Self

from nam_like.config.base import PositiveFloat
from nam_like.config.lines import refusal
from nam_like.models.enhancement.processes.times import Process, ProcessConfig, per_item

__all__ = ["OrnsteinUhlenbeckVESDE", "OrnsteinUhlenbeckVESDEConfig", "diffusion", "kernel_std", "mean_weight"]


def mean_weight(time: Tensor, stiffness: float) -> Tensor:
    """How much of the clean spectrogram is in the mean at a time, 0 to 1."""
    return torch.exp(-stiffness * time)


def kernel_std(time: Tensor, stiffness: float, std_min: float, std_max: float) -> Tensor:
    """Standard deviation at a time, given the clean spectrogram."""
    log_ratio = math.log(std_max / std_min)
    # The difference of two powers that are nearly the same at small times.
    grown = torch.expm1(2.0 * log_ratio * time) - torch.expm1(-2.0 * stiffness * time)
    return torch.sqrt(grown * (std_min**2 * log_ratio / (stiffness + log_ratio)))


def diffusion(time: Tensor, std_min: float, std_max: float) -> Tensor:
    """g(t): the noise per square root of time."""
    log_ratio = math.log(std_max / std_min)
    return std_min * math.sqrt(2.0 * log_ratio) * torch.exp(log_ratio * time)


class OrnsteinUhlenbeckVESDE(Process):
    """The process; see this module.

    Args:
        stiffness: γ, how fast the mean moves to the noisy spectrogram.
        std_min: scale of the noise at time 0.
        std_max: scale of the noise at time 1.
        time_min: least time in training; at 0 there would be no noise, and no score.
        time_max: latest time.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        stiffness: float = 1.5,
        std_min: float = 0.05,
        std_max: float = 0.5,
        time_min: float = 0.03,
        time_max: float = 1.0,
    ) -> None:
        super().__init__(time_min, time_max)
        if time_min <= 0:
            raise ValueError(f"time_min should be positive, current value {time_min}")
        if stiffness <= 0:
            raise ValueError(f"stiffness should be positive, current value {stiffness}")
        if std_min <= 0:
            raise ValueError(f"std_min should be positive, current value {std_min}")
        if std_max <= std_min:
            raise ValueError(
                f"std_max should be larger than std_min, current max {std_max} and min {std_min}"
            )
        self.stiffness = float(stiffness)
        self.std_min = float(std_min)
        self.std_max = float(std_max)

    def mean(self, clean: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """Mean at times ``(B,)`` on the way from one batch of spectrograms to the other, both ``(B, …)``."""
        weight = per_item(mean_weight(time, self.stiffness), clean)
        return weight * clean + (1.0 - weight) * noisy

    def std(self, time: Tensor) -> Tensor:
        """Standard deviation at times, ``(B,)``."""
        return kernel_std(time, self.stiffness, self.std_min, self.std_max)

    def drift(self, state: Tensor, noisy: Tensor) -> Tensor:
        """γ (y − x), like `state`."""
        return self.stiffness * (noisy - state)

    def diffusion(self, time: Tensor) -> Tensor:
        """g(t) at times, ``(B,)``."""
        return diffusion(time, self.std_min, self.std_max)

    def prior(self, noisy: Tensor, time: float) -> Tensor:
        """A random state at a late time, when its mean is all but the noisy spectrogram."""
        std = self.std(torch.full((noisy.shape[0],), time, device=noisy.device))
        return noisy + per_item(std, noisy) * torch.randn_like(noisy)


class OrnsteinUhlenbeckVESDEConfig(ProcessConfig):
    """Config of :class:`OrnsteinUhlenbeckVESDE`."""

    stiffness: PositiveFloat = Field(1.5, description="how fast the mean moves to the noisy spectrogram")
    std_min: PositiveFloat = Field(0.05, description="scale of the noise at time 0")
    std_max: PositiveFloat = Field(0.5, description="scale of the noise at time 1")
    time_min: PositiveFloat = Field(0.03, description="least time in training")

    @model_validator(mode="after")
    def _noise_grows(self) -> Self:
        if self.std_max <= self.std_min:
            raise refusal(
                f"expected std_max to be above std_min ({self.std_min:g}), but got {self.std_max:g}",
                ("std_max",),
                self.std_max,
            )
        return self

    def build(self) -> OrnsteinUhlenbeckVESDE:
        """Make the process."""
        return OrnsteinUhlenbeckVESDE(**self.model_dump())
