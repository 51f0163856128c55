"""Along a flow in steps of equal length, from noise to a clean spectrogram."""

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import PositiveFloat, PositiveInt
from nam_like.models.enhancement.processes.flow import OptimalTransportFlow
from nam_like.models.enhancement.samplers.base import Sampler, SamplerConfig

__all__ = ["ConditionalFlowMatchingEulerSampler", "ConditionalFlowMatchingEulerSamplerConfig"]


class ConditionalFlowMatchingEulerSampler(Sampler):
    """``x ← x + v Δt``.

    Args:
        process: the flow.
        num_steps: steps.
        estimates_data: whether the estimator gives the clean spectrogram; otherwise it gives the field.
        time_min: the first time; None takes that of the process.
        time_max: the last; None takes that of the process.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        process: OptimalTransportFlow,
        *,
        num_steps: int = 5,
        estimates_data: bool = False,
        time_min: float | None = None,
        time_max: float | None = None,
    ) -> None:
        super().__init__(
            process, num_steps=num_steps, evaluations=num_steps, time_min=time_min, time_max=time_max
        )
        if self.time_max > 1:
            raise ValueError(f"time_max should be at most 1, current value {self.time_max}")
        if self.time_min <= 0:
            raise ValueError(f"time_min should be positive, current value {self.time_min}")
        self.process = process
        self.estimates_data = estimates_data
        self.step = (self.time_max - self.time_min) / num_steps

    def start(self, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        return self.process.sigma_start * torch.randn_like(noisy)

    def time(self, index: int) -> float:
        """See :class:`Sampler`."""
        return self.time_min + self.step * index

    def update(self, index: int, state: Tensor, estimate: Tensor, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        if self.estimates_data:
            time = torch.full((state.shape[0],), self.time(index), device=state.device)
            # From the same start as in training: the mean of the noise, not the noise that was drawn.
            estimate = self.process.vector_field(state, torch.zeros_like(state), estimate, time)
        return state + self.step * estimate


class ConditionalFlowMatchingEulerSamplerConfig(SamplerConfig):
    """Config of :class:`ConditionalFlowMatchingEulerSampler`."""

    num_steps: PositiveInt = Field(5, description="steps")
    time_min: PositiveFloat | None = Field(None, description="first time; null takes that of the process")
    time_max: PositiveFloat | None = Field(
        None, le=1, description="last time; null takes that of the process"
    )

    def build(
        self, process: OptimalTransportFlow, *, estimates_data: bool = False
    ) -> ConditionalFlowMatchingEulerSampler:
        """Make the sampler of a flow."""
        return ConditionalFlowMatchingEulerSampler(
            process, estimates_data=estimates_data, **self.model_dump()
        )
