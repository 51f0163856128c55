"""A sampler: along a flow in steps that grow, because the field bends most near the noise.

    "net": {"name": "FlowMatchingEnhancer", "config": {…, "sampler": {"name": "SlowStartEuler",
      "config": {"num_steps": 10, "power": 2}}}}

The net runs the loop: it asks for a time, lets the estimator answer, and hands the answer to `update`.
A FlowMatchingEnhancer takes subclasses of ConditionalFlowMatchingEulerSampler, a ScoreBasedEnhancer those of
PredictorCorrectorSampler, a SchroedingerBridgeEnhancer those of SBSampler.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import PositiveFloat
from nam_like.models.enhancement.processes.flow import OptimalTransportFlow
from nam_like.models.enhancement.samplers.euler import (
    ConditionalFlowMatchingEulerSampler,
    ConditionalFlowMatchingEulerSamplerConfig,
)
from nam_like.registry import SAMPLERS


class SlowStartEuler(ConditionalFlowMatchingEulerSampler):
    """Euler steps at times (n / num_steps)^power of the way.

    Args:
        process: the flow.
        power: 1 makes all steps alike, more makes the first ones shorter.
        options: of the base.
    """

    def __init__(self, process: OptimalTransportFlow, *, power: float = 2.0, **options: Any) -> None:
        super().__init__(process, **options)
        self.power = float(power)

    def time(self, index: int) -> float:
        """The time of the state before step `index`."""
        return self.time_min + (self.time_max - self.time_min) * (index / self.num_steps) ** self.power

    def update(self, index: int, state: Tensor, estimate: Tensor, noisy: Tensor) -> Tensor:
        """One step along the field, or towards the estimate of the clean spectrogram."""
        if self.estimates_data:
            time = torch.full((state.shape[0],), self.time(index), device=state.device)
            estimate = self.process.vector_field(state, torch.zeros_like(state), estimate, time)
        return state + (self.time(index + 1) - self.time(index)) * estimate


class SlowStartEulerConfig(ConditionalFlowMatchingEulerSamplerConfig):
    """Options of :class:`SlowStartEuler`."""

    power: PositiveFloat = Field(
        2.0, description="1 makes all steps alike, more makes the first ones shorter"
    )

    def build(self, process: OptimalTransportFlow, *, estimates_data: bool = False) -> SlowStartEuler:
        """Make the sampler of a flow."""
        return SlowStartEuler(process, estimates_data=estimates_data, **self.model_dump())


SAMPLERS.register(
    "SlowStartEuler",
    SlowStartEuler,
    config=SlowStartEulerConfig,
    summary="along a flow in steps that grow",
)
