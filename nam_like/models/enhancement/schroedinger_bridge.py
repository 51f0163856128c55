"""Enhancement over a Schrödinger bridge, whose ends are the clean and the noisy spectrogram.

Training: at a random time, the estimator is shown a state between the two and is to say the clean end.

Source: A. Jukić et al., "Schrödinger Bridge for Generative Speech Enhancement", 2024.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import Self

from nam_like.config.component import Component, Of
from nam_like.models.enhancement.enhancer import View, full_lengths
from nam_like.models.enhancement.generative import (
    GenerativeConfig,
    GenerativeEnhancer,
    check_domains,
    check_part,
)
from nam_like.models.enhancement.lengths import mask_frames
from nam_like.models.enhancement.processes.bridge import NoiseSchedule
from nam_like.models.enhancement.processes.times import per_item
from nam_like.models.enhancement.samplers.bridge import SBSampler

__all__ = ["SchroedingerBridgeEnhancer", "SchroedingerBridgeEnhancerConfig"]


class SchroedingerBridgeEnhancer(GenerativeEnhancer):
    """See this module; arguments are those of the base."""

    @torch.jit.unused
    def views(
        self, input_signal: Tensor, input_length: Tensor, target_signal: Tensor, domains: Sequence[str]
    ) -> dict[str, View]:
        """The estimate of the clean end against it: as spectrograms and as audio, both normalised."""
        check_domains(domains, ("encoded", "time"), "SchroedingerBridgeEnhancer")
        noisy, clean, frames, peak = self.encode_pair(input_signal, input_length, target_signal)
        time = self.process.generate_time(noisy.shape[0], noisy.device)
        noise = per_item(self.process.std(time), noisy) * torch.randn_like(noisy)
        state = self.process.mean(clean, noisy, time) + noise
        estimate = self.estimate(state, noisy, frames, time)
        views = {"encoded": (estimate, clean, frames)}
        if "time" in domains:
            lengths = full_lengths(input_signal, input_length)
            made, _ = self.decoder(estimate, frames, input_signal.shape[-1])
            views["time"] = (mask_frames(made, lengths), target_signal / peak, lengths)
        return views


class SchroedingerBridgeEnhancerConfig(GenerativeConfig):
    """Config of :class:`SchroedingerBridgeEnhancer`."""

    process: Annotated[Component, Of("process")] = Field(description="noise schedule of the bridge")
    sampler: Annotated[Component, Of("sampler")] = Field(description="how the bridge is crossed")
    estimator_output: Literal["data_prediction"] = Field(
        "data_prediction", description="what the estimator gives: the clean spectrogram"
    )

    @model_validator(mode="after")
    def _right_process(self) -> Self:
        check_part(self.process, (NoiseSchedule,), "process", "SchroedingerBridgeEnhancer")
        check_part(self.sampler, (SBSampler,), "sampler", "SchroedingerBridgeEnhancer")
        return self

    def build(self) -> SchroedingerBridgeEnhancer:
        """Make the net."""
        process = self.process.build()
        return SchroedingerBridgeEnhancer(
            process=process, sampler=self.sampler.build(process), **self.parts()
        )
