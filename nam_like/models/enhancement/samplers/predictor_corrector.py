"""Backwards through a stochastic process: steps of Langevin dynamics, then one of reverse diffusion.

    corrector    x ← x + ε s + √(2ε) z,                       ε = 2 (snr · std_t)²
    predictor    x ← x − drift Δt + g² s Δt + g √Δt z,        Δt = time_max / num_steps

s is the score that the estimator gives for the state, z complex noise of unit variance.

Source: Y. Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", 2021,
algorithms 2 and 4; the step ε takes the noise of the process for that of the state, as J. Richter et al.,
"Speech Enhancement and Dereverberation with Diffusion-Based Generative Models", 2023.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import NonNegativeInt, PositiveFloat
from nam_like.models.enhancement.processes.ouve import OrnsteinUhlenbeckVESDE
from nam_like.models.enhancement.processes.times import per_item
from nam_like.models.enhancement.samplers.base import Sampler, SamplerConfig

__all__ = ["PredictorCorrectorSampler", "PredictorCorrectorSamplerConfig"]


class PredictorCorrectorSampler(Sampler):
    """The sampler; see this module.

    Args:
        process: forward process.
        num_steps: steps of the predictor.
        num_corrector_steps: steps of the corrector before each.
        snr: signal-to-noise ratio of a corrector's step.
        output_type: ``mean`` to leave out the noise of the last step, ``state`` to leave it in.
        time_min: the last time; None takes that of the process.
        time_max: the first; None takes that of the process.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        process: OrnsteinUhlenbeckVESDE,
        *,
        num_steps: int = 50,
        num_corrector_steps: int = 1,
        snr: float = 0.5,
        output_type: str = "mean",
        time_min: float | None = None,
        time_max: float | None = None,
    ) -> None:
        super().__init__(
            process,
            num_steps=num_steps,
            evaluations=num_steps * (num_corrector_steps + 1),
            time_min=time_min,
            time_max=time_max,
        )
        if output_type not in ("mean", "state"):
            raise ValueError(f"Unexpected output type: {output_type}")
        if self.time_min <= 0:
            raise ValueError(f"time_min should be positive, current value {self.time_min}")
        self.process = process
        self.num_corrector_steps = num_corrector_steps
        self.snr = float(snr)
        self.output_mean = output_type == "mean"

    def start(self, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        return self.process.prior(noisy, self.time_max)

    def time(self, index: int) -> float:
        """See :class:`Sampler`."""
        step = index // (self.num_corrector_steps + 1)
        return self.time_max - (self.time_max - self.time_min) * step / max(1, self.num_steps - 1)

    def update(self, index: int, state: Tensor, estimate: Tensor, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        time = torch.full((state.shape[0],), self.time(index), device=state.device)
        if index % (self.num_corrector_steps + 1) < self.num_corrector_steps:
            size = per_item(2.0 * torch.square(self.snr * self.process.std(time)), state)
            return state + size * estimate + torch.sqrt(2.0 * size) * torch.randn_like(state)
        step = self.time_max / self.num_steps
        noise = per_item(self.process.diffusion(time) * math.sqrt(step), state)
        mean = state - step * self.process.drift(state, noisy) + torch.square(noise) * estimate
        if self.output_mean and index == self.evaluations - 1:
            return mean
        return mean + noise * torch.randn_like(state)


class PredictorCorrectorSamplerConfig(SamplerConfig):
    """Config of :class:`PredictorCorrectorSampler`."""

    predictor: Literal["reverse_diffusion"] = Field(
        "reverse_diffusion", description="how a step back in time is taken"
    )
    corrector: Literal["annealed_langevin_dynamics"] = Field(
        "annealed_langevin_dynamics", description="how a state is corrected before it"
    )
    num_corrector_steps: NonNegativeInt = Field(1, description="corrections before each step")
    snr: PositiveFloat = Field(0.5, description="signal-to-noise ratio of a correction")
    output_type: Literal["mean", "state"] = Field(
        "mean", description="mean leaves out the noise of the last step"
    )
    time_min: PositiveFloat | None = Field(None, description="last time; null takes that of the process")

    def build(self, process: OrnsteinUhlenbeckVESDE) -> PredictorCorrectorSampler:
        """Make the sampler of a process."""
        return PredictorCorrectorSampler(process, **self.model_dump(exclude={"predictor", "corrector"}))
