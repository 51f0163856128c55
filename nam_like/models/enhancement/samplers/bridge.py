"""Back over a bridge, from the noisy spectrogram to the clean one that the estimator sees from each state.

From time p to an earlier time t, with x̂ the estimate, y the noisy spectrogram and z noise:

    sde    x_t = α_t σ_t² / (α_p σ_p²) x_p + α_t (1 − σ_t²/σ_p²) x̂ + α_t σ_t √(1 − σ_t²/σ_p²) z
    ode    x_t = mean_t(x̂, y) + std_t · (x_p − mean_p(x̂, y)) / std_p

The second keeps what is random about a state, measured by the standard deviation of the bridge; written out,
it is the update of the paper. At the start nothing is random.

Source: A. Jukić et al., "Schrödinger Bridge for Generative Speech Enhancement", 2024, §II-C.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nam_like.models.enhancement.processes.bridge import NoiseSchedule
from nam_like.models.enhancement.processes.times import per_item
from nam_like.models.enhancement.samplers.base import Sampler, SamplerConfig

__all__ = ["SBSampler", "SBSamplerConfig"]


class SBSampler(Sampler):
    """The sampler; see this module.

    Args:
        process: the bridge.
        num_steps: steps.
        path: ``sde`` or ``ode``.
        estimator_time: the time that the estimator is told: of the ``previous`` state, which it sees, or of
            the ``current`` one, which is to be found.
        time_min: the last time; None takes that of the bridge.
        time_max: the first; None takes that of the bridge.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        process: NoiseSchedule,
        *,
        num_steps: int = 50,
        path: str = "sde",
        estimator_time: str = "previous",
        time_min: float | None = None,
        time_max: float | None = None,
    ) -> None:
        super().__init__(
            process, num_steps=num_steps, evaluations=num_steps, time_min=time_min, time_max=time_max
        )
        if path not in ("sde", "ode"):
            raise ValueError(f"Unexpected process: {path}")
        if estimator_time not in ("current", "previous"):
            raise ValueError(f"Unexpected estimator time: {estimator_time}")
        if estimator_time == "current" and self.time_min == 0:
            raise ValueError("expected time_min above 0 for the estimator time current, but got 0")
        if self.time_max > process.time_max:
            raise ValueError(
                f"expected time_max to be at most that of the bridge ({process.time_max}), "
                f"but got {self.time_max}"
            )
        self.process = process
        self.stochastic = path == "sde"
        self.tells_current = estimator_time == "current"

    def _grid(self, step: int) -> float:
        return self.time_max + (self.time_min - self.time_max) * step / self.num_steps

    def start(self, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        return noisy

    def time(self, index: int) -> float:
        """See :class:`Sampler`."""
        return self._grid(index + 1 if self.tells_current else index)

    def update(self, index: int, state: Tensor, estimate: Tensor, noisy: Tensor) -> Tensor:
        """See :class:`Sampler`."""
        batch = state.shape[0]
        before = torch.full((batch,), self._grid(index), device=state.device)
        time = torch.full((batch,), self._grid(index + 1), device=state.device)
        if self.stochastic:
            return self._noisy_step(before, time, state, estimate)
        made = self.process.mean(estimate, noisy, time)
        if index > 0:
            ratio = self.process.std(time) / self.process.std(before)
            made = made + per_item(ratio, state) * (state - self.process.mean(estimate, noisy, before))
        return made

    def _noisy_step(self, before: Tensor, time: Tensor, state: Tensor, estimate: Tensor) -> Tensor:
        kept = torch.square(self.process.sigma(time) / self.process.sigma(before))
        alpha = self.process.alpha(time)
        of_state = per_item(kept * alpha / self.process.alpha(before), state)
        of_estimate = per_item(alpha * (1.0 - kept), state)
        of_noise = per_item(alpha * self.process.sigma(time) * torch.sqrt(1.0 - kept), state)
        return of_state * state + of_estimate * estimate + of_noise * torch.randn_like(state)


class SBSamplerConfig(SamplerConfig):
    """Config of :class:`SBSampler`."""

    process: Literal["sde", "ode"] = Field("sde", description="with or without new noise in each step")
    estimator_time: Literal["previous", "current"] = Field(
        "previous", description="time that the estimator is told: of the state it sees, or of the next one"
    )

    def build(self, process: NoiseSchedule) -> SBSampler:
        """Make the sampler of a bridge."""
        values = self.model_dump()
        return SBSampler(process, path=values.pop("process"), **values)
