"""How a sampler works.

The net runs the loop, so that the estimator belongs to the net alone and TorchScript can follow:

    state = sampler.start(noisy)
    for i in range(sampler.evaluations):
        estimate = estimator(state, noisy, sampler.time(i))
        state = sampler.update(i, state, estimate, noisy)
"""

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, NonNegativeFloat, PositiveFloat, PositiveInt
from nam_like.config.lines import refusal
from nam_like.models.enhancement.processes.times import Process

__all__ = ["Sampler", "SamplerConfig"]


class Sampler(nn.Module):
    """Base of samplers.

    Args:
        process: what it goes along.
        num_steps: steps from one end to the other.
        evaluations: how often the estimator is asked.
        time_min: one end; None takes that of the process.
        time_max: the other; None takes that of the process.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        process: Process,
        *,
        num_steps: int,
        evaluations: int,
        time_min: float | None,
        time_max: float | None,
    ) -> None:
        super().__init__()
        if num_steps <= 0:
            raise ValueError(f"Expected num_steps > 0, got {num_steps}")
        self.num_steps = num_steps
        self.time_min = process.time_min if time_min is None else float(time_min)
        self.time_max = process.time_max if time_max is None else float(time_max)
        if not 0 <= self.time_min < self.time_max:
            raise ValueError(
                f"time_max should be larger than time_min, current max {self.time_max} "
                f"and min {self.time_min}"
            )
        self.evaluations = evaluations

    def start(self, noisy: Tensor) -> Tensor:
        """The first state, for noisy spectrograms ``(B, C, F, N)``; like them."""
        raise NotImplementedError

    def time(self, index: int) -> float:
        """The time that the estimator is told in an evaluation, which count from 0."""
        raise NotImplementedError

    def update(self, index: int, state: Tensor, estimate: Tensor, noisy: Tensor) -> Tensor:
        """The next state, from the state and what was estimated of it; all ``(B, C, F, N)``."""
        raise NotImplementedError


class SamplerConfig(Config):
    """What configs of samplers have in common."""

    num_steps: PositiveInt = Field(50, description="steps from one end of the process to the other")
    time_min: NonNegativeFloat | None = Field(None, description="one end; null takes that of the process")
    time_max: PositiveFloat | None = Field(None, description="the other end; null takes that of the process")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.time_min is not None and self.time_max is not None and self.time_max <= self.time_min:
            raise refusal(
                f"expected time_max to be above time_min ({self.time_min:g}), but got {self.time_max:g}",
                ("time_max",),
                self.time_max,
            )
        return self
