"""Enhancement in one step: a net maps the spectrogram of the noisy audio to that of the clean audio."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, PositiveFloat
from nam_like.config.component import Component, Of
from nam_like.models.enhancement.encoded import EnhancerConfig, check_pair
from nam_like.models.enhancement.enhancer import Enhancer, View, full_lengths, peak_of
from nam_like.models.enhancement.lengths import mask_frames

__all__ = ["PredictiveEnhancer", "PredictiveEnhancerConfig"]


class PredictiveEnhancer(Enhancer):
    """``decoder(estimator(encoder(x)))``.

    Args:
        encoder: from audio to spectrograms, such as
            :class:`~nam_like.models.enhancement.spectrogram.AudioToSpectrogram`.
        estimator: from spectrogram to spectrogram; called with the spectrogram ``(B, C, F, N)`` and the valid
            frames ``(B,)``.
        decoder: from spectrograms to audio.
        normalize_input: divide each item by its peak before the net hears it, and multiply the answer again.
        sample_rate: Hz.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        estimator: nn.Module,
        decoder: nn.Module,
        normalize_input: bool = False,
        sample_rate: float | None = None,
    ) -> None:
        outputs: Any = getattr(estimator, "out_channels", 1)
        super().__init__(int(outputs), getattr(estimator, "in_channels", None), sample_rate)
        self.encoder = encoder
        self.estimator = estimator
        self.decoder = decoder
        self.normalize_input = normalize_input

    def enhance(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """See :class:`Enhancer`."""
        peak = peak_of(audio, self.normalize_input)
        spectrogram, frames = self.encoder(audio / peak, lengths)
        estimate = self.estimator(spectrogram, frames)
        made: Tensor = self.decoder(estimate, frames, audio.shape[-1])[0]
        return made * peak

    @torch.jit.unused
    def views(
        self, input_signal: Tensor, input_length: Tensor, target_signal: Tensor, domains: Sequence[str]
    ) -> dict[str, View]:
        """The answer against the target: as audio, and as spectrograms of normalised audio."""
        lengths = full_lengths(input_signal, input_length)
        peak = peak_of(input_signal, self.normalize_input)
        spectrogram, frames = self.encoder(input_signal / peak, lengths)
        estimate = self.estimator(spectrogram, frames)
        views = {}
        if "encoded" in domains:
            views["encoded"] = (estimate, self.encoder(target_signal / peak, lengths)[0], frames)
        if "time" in domains:
            made, _ = self.decoder(estimate, frames, input_signal.shape[-1])
            views["time"] = (mask_frames(made * peak, lengths), target_signal, lengths)
        return views


class PredictiveEnhancerConfig(EnhancerConfig):
    """Config of :class:`PredictiveEnhancer`."""

    encoder: Annotated[Component, Of("transform")] = Field(description="from audio to spectrograms")
    estimator: Annotated[Component, Of("estimator")] = Field(description="from spectrogram to spectrogram")
    decoder: Annotated[Component, Of("transform")] = Field(description="from spectrograms to audio")
    normalize_input: Bool = Field(
        False, description="divide each item by its peak before the net hears it; undone in its answer"
    )
    sample_rate: PositiveFloat | None = Field(
        None, description="rate of the audio (Hz); null takes that of the data"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_pair(self.encoder, self.decoder)
        return self

    def build(self) -> PredictiveEnhancer:
        """Make the net."""
        return PredictiveEnhancer(
            encoder=self.encoder.build(),
            estimator=self.estimator.build(),
            decoder=self.decoder.build(),
            normalize_input=self.normalize_input,
            sample_rate=self.sample_rate,
        )
