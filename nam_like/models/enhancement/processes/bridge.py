"""Schrödinger bridges between clean and noisy spectrograms.

A reference process dx = f(t) x dt + g(t) dw, tied to the clean spectrogram x0 at time 0 and to the noisy one,
y, at the last time T. With

    α_t = exp ∫₀ᵗ f,    ᾱ_t = α_t / α_T,    σ_t² = ∫₀ᵗ g² / α²,    σ̄_t² = σ_T² − σ_t²

the state in between is Gaussian:

    mean   α_t σ̄_t² / σ_T² · x0 + ᾱ_t σ_t² / σ_T² · y
    std    α_t σ̄_t σ_t / σ_T

Source: A. Jukić et al., "Schrödinger Bridge for Generative Speech Enhancement", 2024; Z. Chen et al.,
"Schrodinger Bridges Beat Diffusion Models on Text-to-Speech Synthesis", 2023.
"""

import math

import torch
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import Self

from nam_like.config.base import NonNegativeFloat, PositiveFloat
from nam_like.config.lines import refusal
from nam_like.models.enhancement.processes.times import Process, ProcessConfig, per_item

__all__ = [
    "NoiseSchedule",
    "SBNoiseScheduleVE",
    "SBNoiseScheduleVEConfig",
    "SBNoiseScheduleVP",
    "SBNoiseScheduleVPConfig",
    "exploding_variance",
    "integrated_rate",
]


def exploding_variance(time: Tensor, k: float, c: float) -> Tensor:
    """σ_t² = c (k^{2t} − 1) / (2 ln k), where g² = c k^{2t} and f = 0."""
    rate = 2.0 * math.log(k)
    return torch.expm1(rate * time) * (c / rate)


def integrated_rate(time: Tensor, beta_0: float, beta_1: float) -> Tensor:
    """∫₀ᵗ β, where β grows from `beta_0` to `beta_1` along a straight line."""
    return beta_0 * time + (0.5 * (beta_1 - beta_0)) * time * time


class NoiseSchedule(Process):
    """Base of the bridges. A subclass defines f, g, α and σ, and says what α and σ are at `time_max`."""

    def __init__(self, time_min: float, time_max: float) -> None:
        super().__init__(time_min, time_max)
        self.alpha_max = 1.0
        self.sigma_max = 1.0

    def _note_ends(self) -> None:
        last = torch.tensor([self.time_max], dtype=torch.float64)
        self.alpha_max = float(self.alpha(last))
        self.sigma_max = float(self.sigma(last))

    def f(self, time: Tensor) -> Tensor:
        """Drift of the reference per unit of the state, at times."""
        raise NotImplementedError

    def g(self, time: Tensor) -> Tensor:
        """Noise of the reference per square root of time, at times."""
        raise NotImplementedError

    def alpha(self, time: Tensor) -> Tensor:
        """α at times."""
        raise NotImplementedError

    def sigma(self, time: Tensor) -> Tensor:
        """σ at times."""
        raise NotImplementedError

    def alpha_bar(self, time: Tensor) -> Tensor:
        """ᾱ at times."""
        return self.alpha(time) / self.alpha_max

    def sigma_bar(self, time: Tensor) -> Tensor:
        """σ̄ at times."""
        return torch.sqrt((self.sigma_max**2 - self.sigma(time) ** 2).clamp_min(0.0))

    def mean(self, clean: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """Mean at times ``(B,)``, between two batches of spectrograms ``(B, …)``."""
        of_clean = self.alpha(time) * self.sigma_bar(time) ** 2 / self.sigma_max**2
        of_noisy = self.alpha_bar(time) * self.sigma(time) ** 2 / self.sigma_max**2
        return per_item(of_clean, clean) * clean + per_item(of_noisy, noisy) * noisy

    def std(self, time: Tensor) -> Tensor:
        """Standard deviation at times, ``(B,)``."""
        return self.alpha(time) * self.sigma_bar(time) * self.sigma(time) / self.sigma_max


class SBNoiseScheduleVE(NoiseSchedule):
    """A bridge whose reference only adds noise, exponentially more: f = 0, g² = c k^{2t}.

    Args:
        k: growth of the noise, above 1.
        c: its scale.
        time_min: earliest time in training.
        time_max: T.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, *, k: float = 2.6, c: float = 0.4, time_min: float = 1e-4, time_max: float = 1.0
    ) -> None:
        super().__init__(time_min, time_max)
        if k <= 1:
            raise ValueError(f"Expected k > 1, got {k}")
        if c <= 0:
            raise ValueError(f"Expected c > 0, got {c}")
        self.k = float(k)
        self.c = float(c)
        self._note_ends()

    def f(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.zeros_like(time)

    def g(self, time: Tensor) -> Tensor:
        """See the base."""
        return math.sqrt(self.c) * torch.exp(math.log(self.k) * time)

    def alpha(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.ones_like(time)

    def sigma(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.sqrt(exploding_variance(time, self.k, self.c))


class SBNoiseScheduleVP(NoiseSchedule):
    """A bridge whose reference also shrinks the state: f = −β/2, g² = c β, with β on a straight line.

    Args:
        beta_0: β at time 0.
        beta_1: β at time 1, above that.
        c: scale of the noise.
        time_min: earliest time in training.
        time_max: T.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        beta_0: float = 0.01,
        beta_1: float = 20.0,
        c: float = 0.3,
        time_min: float = 1e-4,
        time_max: float = 1.0,
    ) -> None:
        super().__init__(time_min, time_max)
        if beta_0 < 0:
            raise ValueError(f"Expected beta_0 >= 0, got {beta_0}")
        if beta_0 >= beta_1:
            raise ValueError(f"Expected beta_0 < beta_1, got beta_0={beta_0} and beta_1={beta_1}")
        if c <= 0:
            raise ValueError(f"Expected c > 0, got {c}")
        self.beta_0 = float(beta_0)
        self.beta_1 = float(beta_1)
        self.c = float(c)
        self._note_ends()

    def f(self, time: Tensor) -> Tensor:
        """See the base."""
        return -0.5 * (self.beta_0 + (self.beta_1 - self.beta_0) * time)

    def g(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.sqrt(self.c * (self.beta_0 + (self.beta_1 - self.beta_0) * time))

    def alpha(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.exp(-0.5 * integrated_rate(time, self.beta_0, self.beta_1))

    def sigma(self, time: Tensor) -> Tensor:
        """See the base."""
        return torch.sqrt(self.c * torch.expm1(integrated_rate(time, self.beta_0, self.beta_1)))


class SBNoiseScheduleVEConfig(ProcessConfig):
    """Config of :class:`SBNoiseScheduleVE`."""

    k: PositiveFloat = Field(2.6, gt=1, description="growth of the noise")
    c: PositiveFloat = Field(0.4, description="scale of the noise")
    time_min: NonNegativeFloat = Field(1e-4, description="earliest time in training")

    def build(self) -> SBNoiseScheduleVE:
        """Make the bridge."""
        return SBNoiseScheduleVE(**self.model_dump())


class SBNoiseScheduleVPConfig(ProcessConfig):
    """Config of :class:`SBNoiseScheduleVP`."""

    beta_0: NonNegativeFloat = Field(0.01, description="rate of the noise at time 0")
    beta_1: PositiveFloat = Field(20.0, description="rate of the noise at time 1")
    c: PositiveFloat = Field(0.3, description="scale of the noise")
    time_min: NonNegativeFloat = Field(1e-4, description="earliest time in training")

    @model_validator(mode="after")
    def _noise_grows(self) -> Self:
        if self.beta_1 <= self.beta_0:
            raise refusal(
                f"expected beta_1 to be above beta_0 ({self.beta_0:g}), but got {self.beta_1:g}",
                ("beta_1",),
                self.beta_1,
            )
        return self

    def build(self) -> SBNoiseScheduleVP:
        """Make the bridge."""
        return SBNoiseScheduleVP(**self.model_dump())
