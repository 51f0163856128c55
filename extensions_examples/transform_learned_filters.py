"""Transforms: filters that are learned in place of the short-time Fourier transform, and their counterpart.

    "encoder": {"name": "LearnedAnalysis", "config": {"filters": 64, "length": 32}},
    "mask_estimator": {"name": "MaskEstimatorRNN", "config": {"num_outputs": 1, "num_subbands": 64, …}},
    "decoder": {"name": "LearnedSynthesis", "config": {"filters": 64, "length": 32}}

An encoder gives a representation and its valid frames, a decoder audio and its valid samples. Where they have
`fft_length` in their config, the parts of a net are checked against it; these have none.

Source: Y. Luo and N. Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 27(8), 2019, §II-B.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nam_like.models.enhancement.lengths import mask_frames
from nam_like.registry import TRANSFORMS


def _even(filters: int, length: int) -> None:
    if filters < 1 or length < 2 or length % 2:
        raise ValueError(f"expected `filters` from 1 and an even `length`, but got {filters} and {length}")


@TRANSFORMS.register("LearnedAnalysis", summary="learned filters, half overlapping, without negative values")
class LearnedAnalysis(nn.Module):
    """Encoder: ``relu(filters ∗ x)``, every half of a filter.

    Args:
        filters: how many.
        length: of each (samples), even.
    """

    def __init__(self, filters: int = 64, length: int = 32) -> None:
        super().__init__()
        _even(filters, length)
        self.hop_length = length // 2
        self.filters = nn.Conv1d(1, filters, length, stride=self.hop_length, bias=False)

    def forward(self, audio: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``(B, C, T)`` → ``(B, C, filters, N)`` with N = T // hop + 1; valid frames ``(B,)``."""
        batch, channels, samples = audio.shape
        padded = F.pad(audio.reshape(batch * channels, 1, samples), (self.hop_length, self.hop_length))
        found = torch.relu(self.filters(padded))
        found = found.reshape(batch, channels, found.shape[-2], found.shape[-1])
        if lengths is None:
            return found, torch.full((batch,), found.shape[-1], dtype=torch.long, device=audio.device)
        frames = torch.div(lengths, self.hop_length, rounding_mode="floor") + 1
        return mask_frames(found, frames), frames


@TRANSFORMS.register("LearnedSynthesis", summary="the counterpart of LearnedAnalysis")
class LearnedSynthesis(nn.Module):
    """Decoder: learned waveforms, added up where the frames lie.

    Args:
        filters: as in the encoder.
        length: as in the encoder (samples).
    """

    def __init__(self, filters: int = 64, length: int = 32) -> None:
        super().__init__()
        _even(filters, length)
        self.hop_length = length // 2
        self.filters = nn.ConvTranspose1d(filters, 1, length, stride=self.hop_length, bias=False)

    def forward(
        self, spectrogram: Tensor, frames: Tensor | None = None, samples: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """``(B, C, filters, N)`` → ``(B, C, samples)``, whole hops unless given; valid samples ``(B,)``."""
        batch, channels, bands, count = spectrogram.shape
        hop = self.hop_length
        length = (count - 1) * hop if samples is None else samples
        made = self.filters(spectrogram.reshape(batch * channels, bands, count))[..., hop:]
        made = F.pad(made, (0, max(0, length - made.shape[-1])))[..., :length].reshape(
            batch, channels, length
        )
        if frames is None:
            return made, torch.full((batch,), length, dtype=torch.long, device=made.device)
        return made, (frames - 1) * hop
