"""Enhancement by masks: a net says how much of each bin is wanted, and a processor applies it."""

from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, PositiveFloat, PositiveInt
from nam_like.config.component import Component, Of
from nam_like.config.lines import refusal
from nam_like.errors import HandshakeError
from nam_like.models.enhancement.encoded import EnhancerConfig, check_pair, check_subbands
from nam_like.models.enhancement.masking import (
    MixtureConsistencyProjection,
    MixtureConsistencyProjectionConfig,
)
from nam_like.models.enhancement.spectral import SpectralEnhancer

__all__ = ["MaskEnhancer", "MaskEnhancerConfig"]


class MaskEnhancer(SpectralEnhancer):
    """``decoder(processor(X, estimator(X)))``, with ``X = encoder(x)``.

    Args:
        encoder: from audio to spectrograms.
        mask_estimator: from spectrograms ``(B, C, F, N)`` and valid frames ``(B,)`` to masks
            ``(B, M, F, N)``.
        mask_processor: from spectrograms, valid frames and masks to spectrograms ``(B, M, F, N)``.
        decoder: from spectrograms to audio.
        mixture_consistency: what makes the answers add up to the reference channel; None for nothing.
        channel_augment: what chooses channels while training, ``(B, C, T)`` → ``(B, C', T)``; None for
            nothing.
        num_outputs: answers M.
        ref_channel: the channel that the answers add up to.
        normalize_input: divide each item by its peak before the net hears it, and multiply the answer again.
        sample_rate: Hz.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        mask_estimator: nn.Module,
        mask_processor: nn.Module,
        decoder: nn.Module,
        mixture_consistency: MixtureConsistencyProjection | None = None,
        channel_augment: nn.Module | None = None,
        num_outputs: int = 1,
        ref_channel: int = 0,
        normalize_input: bool = False,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(
            encoder=encoder,
            decoder=decoder,
            num_outputs=num_outputs,
            in_channels=None,
            normalize_input=normalize_input,
            sample_rate=sample_rate,
        )
        self.mask_estimator = mask_estimator
        self.mask_processor = mask_processor
        self.is_consistent = mixture_consistency is not None
        self.mixture_consistency = mixture_consistency or MixtureConsistencyProjection()
        self.channel_augment = channel_augment or nn.Identity()
        self.ref_channel = ref_channel

    @torch.jit.unused
    def check_example(self, channels: int, target_channels: int | None, where: str) -> None:
        """See :class:`Enhancer`; the reference channel must be there, too."""
        super().check_example(channels, target_channels, where)
        if self.ref_channel >= channels:
            raise HandshakeError(
                f"{where}: expected input_signal to have at least {self.ref_channel + 1} channels, because "
                f"the mask_processor has the ref_channel {self.ref_channel}, but got {channels}"
            )

    def estimate(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers as spectrograms ``(B, M, F, N)``, and their valid frames ``(B,)``."""
        spectrogram, frames = self.encoder(audio, lengths)
        masks = self.mask_estimator(spectrogram, frames)
        estimate = self.mask_processor(spectrogram, frames, masks)
        if self.is_consistent:
            mixture = spectrogram[:, self.ref_channel : self.ref_channel + 1]
            estimate = self.mixture_consistency(mixture, estimate)
        return estimate, frames

    @torch.jit.unused
    def in_training(self, audio: Tensor) -> Tensor:
        """Some of the channels, where they are chosen anew for each batch."""
        chosen: Tensor = self.channel_augment(audio)
        return chosen


class MaskEnhancerConfig(EnhancerConfig):
    """Config of :class:`MaskEnhancer`."""

    encoder: Annotated[Component, Of("transform")] = Field(description="from audio to spectrograms")
    mask_estimator: Annotated[Component, Of("estimator")] = Field(description="from spectrograms to masks")
    mask_processor: Annotated[Component, Of("mask_processor")] = Field(
        description="from spectrograms and masks to spectrograms"
    )
    decoder: Annotated[Component, Of("transform")] = Field(description="from spectrograms to audio")
    mixture_consistency: MixtureConsistencyProjectionConfig | None = Field(
        None, description="make the answers add up to the reference channel; null does not"
    )
    channel_augment: Annotated[Component | None, Of("augmentation", optional=True)] = Field(
        None, description="what chooses channels while training; null keeps them"
    )
    num_outputs: PositiveInt = Field(1, description="answers")
    normalize_input: Bool = Field(
        False, description="divide each item by its peak before the net hears it; undone in its answer"
    )
    sample_rate: PositiveFloat | None = Field(
        None, description="rate of the audio (Hz); null takes that of the data"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_pair(self.encoder, self.decoder)
        if self.mask_estimator.name == "MaskEstimatorGSS":
            raise refusal(
                "expected an estimator that needs the spectrogram alone, but got MaskEstimatorGSS, which "
                "must be told when who is active",
                ("mask_estimator", *self.mask_estimator.name_at),
                self.mask_estimator.name,
            )
        check_subbands(self.encoder, self.mask_estimator, "mask_estimator")
        check_subbands(self.encoder, self.mask_processor, "mask_processor")
        return self

    def build(self) -> MaskEnhancer:
        """Make the net."""
        consistency, augment = self.mixture_consistency, self.channel_augment
        ref_channel = getattr(self.mask_processor.config, "ref_channel", 0)
        return MaskEnhancer(
            encoder=self.encoder.build(),
            mask_estimator=self.mask_estimator.build(),
            mask_processor=self.mask_processor.build(),
            decoder=self.decoder.build(),
            mixture_consistency=None if consistency is None else consistency.build(),
            channel_augment=None if augment is None else augment.build(),
            num_outputs=self.num_outputs,
            ref_channel=ref_channel if isinstance(ref_channel, int) else 0,
            normalize_input=self.normalize_input,
            sample_rate=self.sample_rate,
        )
