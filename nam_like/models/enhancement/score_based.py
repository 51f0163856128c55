"""Enhancement by a diffusion process from clean to noisy speech, run backwards.

Training: at a random time, the estimator is shown a state, clean + noisy + noise z, and is to say its score,
the gradient of the logarithm of its density, which is −z / std.

Source: J. Richter et al., "Speech Enhancement and Dereverberation with Diffusion-Based Generative Models",
2023; the weight of the loss: Y. Song, S. Ermon, "Generative Modeling by Estimating Gradients of the Data
Distribution", 2019, §4.2.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import Self

from nam_like.config.base import Bool
from nam_like.config.component import Component, Of
from nam_like.models.enhancement.enhancer import View
from nam_like.models.enhancement.generative import (
    GenerativeConfig,
    GenerativeEnhancer,
    check_domains,
    check_part,
)
from nam_like.models.enhancement.processes.ouve import OrnsteinUhlenbeckVESDE
from nam_like.models.enhancement.processes.times import per_item
from nam_like.models.enhancement.samplers.predictor_corrector import PredictorCorrectorSampler

__all__ = ["ScoreBasedEnhancer", "ScoreBasedEnhancerConfig"]


class ScoreBasedEnhancer(GenerativeEnhancer):
    """See this module.

    Args:
        scale_by_sigma: divide what the estimator says by the standard deviation at the time, so that its own
            output is of the same size at all times, which it learns several times as fast.
        parts: see the base.
    """

    def __init__(self, *, scale_by_sigma: bool = False, **parts: Any) -> None:
        super().__init__(**parts)
        self.scale_by_sigma = scale_by_sigma

    def estimate(self, state: Tensor, condition: Tensor, frames: Tensor, time: Tensor) -> Tensor:
        """See the base."""
        made: Tensor = self.estimator(torch.cat((state, condition), dim=1), frames, time)
        if self.scale_by_sigma:
            made = made / per_item(self.process.std(time), made)
        return made

    @torch.jit.unused
    def views(
        self, input_signal: Tensor, input_length: Tensor, target_signal: Tensor, domains: Sequence[str]
    ) -> dict[str, View]:
        """``"encoded"``: the estimated score times the standard deviation, and minus the noise."""
        check_domains(domains, ("encoded",), "ScoreBasedEnhancer")
        noisy, clean, frames, _ = self.encode_pair(input_signal, input_length, target_signal)
        time = self.process.generate_time(noisy.shape[0], noisy.device)
        std = per_item(self.process.std(time), noisy)
        noise = torch.randn_like(noisy)
        state = self.process.mean(clean, noisy, time) + std * noise
        return {"encoded": (std * self.estimate(state, noisy, frames, time), -noise, frames)}


class ScoreBasedEnhancerConfig(GenerativeConfig):
    """Config of :class:`ScoreBasedEnhancer`."""

    process: Annotated[Component, Of("process")] = Field(description="from clean to noisy spectrograms")
    sampler: Annotated[Component, Of("sampler")] = Field(description="how the process is run backwards")
    scale_by_sigma: Bool = Field(
        False,
        description="divide the estimator's output by the standard deviation at the time; learns faster",
    )

    @model_validator(mode="after")
    def _right_process(self) -> Self:
        check_part(self.process, (OrnsteinUhlenbeckVESDE,), "process", "ScoreBasedEnhancer")
        check_part(self.sampler, (PredictorCorrectorSampler,), "sampler", "ScoreBasedEnhancer")
        return self

    def build(self) -> ScoreBasedEnhancer:
        """Make the net."""
        process = self.process.build()
        return ScoreBasedEnhancer(
            process=process,
            sampler=self.sampler.build(process),
            scale_by_sigma=self.scale_by_sigma,
            **self.parts(),
        )
