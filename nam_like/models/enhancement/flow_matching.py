"""Enhancement along a flow from noise to clean speech, steered by the noisy speech.

Training: at a random time, the estimator is shown a state on the straight path from noise to the clean
spectrogram and is to say in which direction it moves (or where it ends). With patches of the condition
hidden, and clean speech as input and target alike, a net can be trained in advance without any noisy speech.

Source: Y. Lipman et al., "Flow Matching for Generative Modeling", 2023; pre-training: A. H. Liu et al.,
"Generative Pre-training for Speech with Flow Matching", 2024.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
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
from nam_like.models.enhancement.mask_patches import MaskPatches
from nam_like.models.enhancement.processes.flow import OptimalTransportFlow
from nam_like.models.enhancement.processes.times import per_item
from nam_like.models.enhancement.samplers.euler import ConditionalFlowMatchingEulerSampler

__all__ = ["FlowMatchingEnhancer", "FlowMatchingEnhancerConfig"]


class FlowMatchingEnhancer(GenerativeEnhancer):
    """See this module.

    Args:
        p_cond: probability in training that the estimator is told the noisy spectrogram; with 0 it never is.
        estimates_data: whether the estimator gives the clean spectrogram; otherwise the vector field.
        ssl_pretrain_masking: hides parts of the condition in training and validation, but not when the net is
            used; None hides nothing.
        parts: see the base.
    """

    def __init__(
        self,
        *,
        p_cond: float = 1.0,
        estimates_data: bool = False,
        ssl_pretrain_masking: nn.Module | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        if not 0 <= p_cond <= 1:
            raise ValueError(f"expected p_cond from 0 to 1, but got {p_cond}")
        self.p_cond = float(p_cond)
        self.estimates_data = estimates_data
        self.ssl_pretrain_masking = ssl_pretrain_masking
        self.needs_target = ssl_pretrain_masking is None

    def condition(self, noisy: Tensor, frames: Tensor, hide: bool) -> Tensor:
        """See the base."""
        if self.p_cond == 0:
            return torch.zeros_like(noisy)
        if self.ssl_pretrain_masking is not None and hide:
            noisy = self.ssl_pretrain_masking(noisy, frames)
        return noisy

    @torch.jit.unused
    def training_condition(self, noisy: Tensor, frames: Tensor) -> Tensor:
        """What training tells the estimator: not everything of every item.

        Args:
            noisy: ``(B, C, F, N)``.
            frames: valid frames, ``(B,)``.
        """
        condition = self.condition(noisy, frames, True)
        if not self.training:
            return condition
        told = torch.rand(noisy.shape[0], device=noisy.device) < self.p_cond
        return condition * per_item(told, noisy)

    @torch.jit.unused
    def validation_answer(self, input_signal: Tensor, input_length: Tensor) -> Tensor:
        """See :class:`Enhancer`: of a net that is trained in advance, how well it fills in what is hidden."""
        return mask_frames(self.answer(input_signal, input_length, True), input_length)

    @torch.jit.unused
    def views(
        self,
        input_signal: Tensor,
        input_length: Tensor,
        target_signal: Tensor | None,
        domains: Sequence[str],
    ) -> dict[str, View]:
        """``"encoded"``: the estimated vector field and that of the path, or what lies at its end.

        An estimate of the clean spectrogram can also be compared as audio, ``"time"``, in units of the
        normalised input. Without a target, the input is one.
        """
        known = ("encoded", "time") if self.estimates_data else ("encoded",)
        check_domains(domains, known, "FlowMatchingEnhancer")
        target_signal = input_signal if target_signal is None else target_signal
        noisy, clean, frames, peak = self.encode_pair(input_signal, input_length, target_signal)
        condition = self.training_condition(noisy, frames)
        start = torch.zeros_like(clean)
        time = self.process.generate_time(noisy.shape[0], noisy.device)
        state = self.process.sample(start, clean, time)
        estimate = self.estimate(state, condition, frames, time)
        wanted = clean if self.estimates_data else self.process.vector_field(state, start, clean, time)
        views = {"encoded": (estimate, wanted, frames)}
        if "time" in domains:
            lengths = full_lengths(input_signal, input_length)
            made, _ = self.decoder(estimate, frames, input_signal.shape[-1])
            views["time"] = (mask_frames(made, lengths), target_signal / peak, lengths)
        return views


class FlowMatchingEnhancerConfig(GenerativeConfig):
    """Config of :class:`FlowMatchingEnhancer`."""

    process: Annotated[Component, Of("process")] = Field(description="from noise to clean spectrograms")
    sampler: Annotated[Component, Of("sampler")] = Field(description="how the flow is followed")
    estimator_target: Literal["conditional_vector_field", "data"] = Field(
        "conditional_vector_field", description="what the estimator gives"
    )
    p_cond: float = Field(
        1.0,
        ge=0,
        le=1,
        description="probability in training that the estimator is told the noisy spectrogram",
    )
    ssl_pretrain_masking: Annotated[Component | None, Of("augmentation", optional=True)] = Field(
        None, description="hides parts of the condition, for training in advance on clean speech"
    )

    @model_validator(mode="after")
    def _right_process(self) -> Self:
        check_part(self.process, (OptimalTransportFlow,), "process", "FlowMatchingEnhancer")
        check_part(self.sampler, (ConditionalFlowMatchingEulerSampler,), "sampler", "FlowMatchingEnhancer")
        if self.ssl_pretrain_masking is not None:
            check_part(
                self.ssl_pretrain_masking, (MaskPatches,), "ssl_pretrain_masking", "FlowMatchingEnhancer"
            )
        return self

    def build(self) -> FlowMatchingEnhancer:
        """Make the net."""
        process = self.process.build()
        data = self.estimator_target == "data"
        hide = self.ssl_pretrain_masking
        return FlowMatchingEnhancer(
            process=process,
            sampler=self.sampler.build(process, estimates_data=data),
            estimates_data=data,
            p_cond=self.p_cond,
            ssl_pretrain_masking=None if hide is None else hide.build(),
            **self.parts(),
        )
