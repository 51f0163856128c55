"""Enhancement in one step: a net maps the spectrogram of the noisy audio to that of the clean audio."""

from typing import Annotated, Any

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, PositiveFloat
from nam_like.config.component import Component, Of
from nam_like.models.enhancement.encoded import EnhancerConfig, check_pair
from nam_like.models.enhancement.spectral import SpectralEnhancer

__all__ = ["PredictiveEnhancer", "PredictiveEnhancerConfig"]


class PredictiveEnhancer(SpectralEnhancer):
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
        super().__init__(
            encoder=encoder,
            decoder=decoder,
            num_outputs=int(outputs),
            in_channels=getattr(estimator, "in_channels", None),
            normalize_input=normalize_input,
            sample_rate=sample_rate,
        )
        self.estimator = estimator

    def estimate(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`SpectralEnhancer`."""
        spectrogram, frames = self.encoder(audio, lengths)
        return self.estimator(spectrogram, frames), frames


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
