"""Enhancement in one pass over a spectrogram: what predictive and mask-based nets have in common."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nam_like.models.enhancement.enhancer import Enhancer, View, full_lengths, peak_of
from nam_like.models.enhancement.lengths import mask_frames

__all__ = ["SpectralEnhancer"]


class SpectralEnhancer(Enhancer):
    """``decoder(estimate(x))``, where a subclass says how to estimate the clean spectrogram.

    Args:
        encoder: from audio to spectrograms, such as
            :class:`~nam_like.models.enhancement.spectrogram.AudioToSpectrogram`.
        decoder: from spectrograms to audio.
        num_outputs: channels of the answer.
        in_channels: channels that the net hears; None for any number.
        normalize_input: divide each item by its peak before the net hears it, and multiply the answer again.
        sample_rate: Hz.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        decoder: nn.Module,
        num_outputs: int,
        in_channels: int | None,
        normalize_input: bool,
        sample_rate: float | None,
    ) -> None:
        super().__init__(num_outputs, in_channels, sample_rate)
        self.encoder = encoder
        self.decoder = decoder
        self.normalize_input = normalize_input

    def estimate(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The clean spectrogram of normalised audio ``(B, C, T)``.

        Returns:
            ``(B, num_outputs, F, N)``, and the valid frames ``(B,)``.
        """
        raise NotImplementedError("expected a net with a method `estimate`, but got the base class")

    def enhance(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """See :class:`Enhancer`."""
        peak = peak_of(audio, self.normalize_input)
        estimate, frames = self.estimate(audio / peak, lengths)
        made: Tensor = self.decoder(estimate, frames, audio.shape[-1])[0]
        return made * peak

    @torch.jit.unused
    def in_training(self, audio: Tensor) -> Tensor:
        """What a training step hears of the input ``(B, C, T)``; all of it, unless defined."""
        return audio

    @torch.jit.unused
    def views(
        self, input_signal: Tensor, input_length: Tensor, target_signal: Tensor, domains: Sequence[str]
    ) -> dict[str, View]:
        """The answer against the target: as audio, and as spectrograms of normalised audio."""
        lengths = full_lengths(input_signal, input_length)
        if self.training:
            input_signal = self.in_training(input_signal)
        peak = peak_of(input_signal, self.normalize_input)
        estimate, frames = self.estimate(input_signal / peak, lengths)
        views = {}
        if "encoded" in domains:
            views["encoded"] = (estimate, self.encoder(target_signal / peak, lengths)[0], frames)
        if "time" in domains:
            made, _ = self.decoder(estimate, frames, input_signal.shape[-1])
            views["time"] = (mask_frames(made * peak, lengths), target_signal, lengths)
        return views
