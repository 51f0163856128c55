"""The straight path from noise at time 0 to clean spectrograms at time 1.

    x(t) ~ N((1 − t) x0 + t x1, σ_t²),    σ_t = (1 − t) σ0 + t σ1
    v(x, t) = (σ1 (x − x0) − σ0 (x − x1)) / (σ_t + 1e-6)

v is the field along which a state moves when its two ends are known; a net learns its mean over all pairs of
ends that lead through x at t.

Source: Y. Lipman et al., "Flow Matching for Generative Modeling", 2023 (x0 = 0, the conditional optimal
transport path).
"""

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import NonNegativeFloat, PositiveFloat
from nam_like.models.enhancement.processes.times import Process, ProcessConfig, per_item

__all__ = ["OptimalTransportFlow", "OptimalTransportFlowConfig", "field", "path_std"]


def path_std(time: Tensor, sigma_start: float, sigma_end: float) -> Tensor:
    """σ_t at times."""
    return (1.0 - time) * sigma_start + time * sigma_end


def field(
    state: Tensor, start: Tensor, end: Tensor, time: Tensor, *, sigma_start: float, sigma_end: float
) -> Tensor:
    """v(x, t) between two ends.

    Args:
        state: x, ``(B, …)``.
        start: x0, like it.
        end: x1, like it.
        time: t, ``(B,)``.
        sigma_start: σ0.
        sigma_end: σ1.
    """
    if sigma_start == sigma_end:
        return end - start
    std = per_item(path_std(time, sigma_start, sigma_end), state)
    return (sigma_end * (state - start) - sigma_start * (state - end)) / (std + 1e-6)


class OptimalTransportFlow(Process):
    """The path; see this module.

    Args:
        sigma_start: σ0, standard deviation at time 0.
        sigma_end: σ1, standard deviation at time 1.
        time_min: earliest time in training.
        time_max: latest.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        sigma_start: float = 1.0,
        sigma_end: float = 1e-4,
        time_min: float = 1e-8,
        time_max: float = 1.0,
    ) -> None:
        super().__init__(time_min, time_max)
        if time_max > 1:
            raise ValueError(f"time_max should be at most 1, current value {time_max}")
        if sigma_start < 0 or sigma_end < 0:
            raise ValueError(
                f"sigma_start and sigma_end should be non-negative, current values {sigma_start}, {sigma_end}"
            )
        self.sigma_start = float(sigma_start)
        self.sigma_end = float(sigma_end)

    def mean(self, start: Tensor, end: Tensor, time: Tensor) -> Tensor:
        """Mean at times ``(B,)``, for ends ``(B, …)``."""
        weight = per_item(time, start)
        return (1.0 - weight) * start + weight * end

    def std(self, time: Tensor) -> Tensor:
        """Standard deviation at times, ``(B,)``."""
        return path_std(time, self.sigma_start, self.sigma_end)

    def sample(self, start: Tensor, end: Tensor, time: Tensor) -> Tensor:
        """A random state at times ``(B,)``, for ends ``(B, …)``."""
        mean = self.mean(start, end, time)
        return mean + per_item(self.std(time), mean) * torch.randn_like(mean)

    def vector_field(self, state: Tensor, start: Tensor, end: Tensor, time: Tensor) -> Tensor:
        """v(x, t) at times ``(B,)``, for states and ends ``(B, …)``."""
        return field(state, start, end, time, sigma_start=self.sigma_start, sigma_end=self.sigma_end)


class OptimalTransportFlowConfig(ProcessConfig):
    """Config of :class:`OptimalTransportFlow`."""

    sigma_start: NonNegativeFloat = Field(1.0, description="standard deviation at time 0")
    sigma_end: NonNegativeFloat = Field(1e-4, description="standard deviation at time 1")
    time_min: NonNegativeFloat = Field(1e-8, description="earliest time in training")
    time_max: PositiveFloat = Field(1.0, le=1, description="latest time in training")

    def build(self) -> OptimalTransportFlow:
        """Make the path."""
        return OptimalTransportFlow(**self.model_dump())
