"""Small nets in TorchScript files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nam_like.models.enhancement.mask_rnn import MaskEstimatorRNN
from nam_like.models.enhancement.masked import MaskEnhancer
from nam_like.models.enhancement.masking import MaskReferenceChannel, MixtureConsistencyProjection
from nam_like.models.enhancement.spectrogram import AudioToSpectrogram, SpectrogramToAudio


class Same(nn.Module):
    """Answers with what it hears, times a factor."""

    def __init__(self, factor: float = 1.0, sample_rate: float = 8000.0, in_channels: int = 1) -> None:
        super().__init__()
        self.factor = factor
        self.sample_rate = sample_rate
        self.in_channels = in_channels
        self.num_outputs = 1

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return x * self.factor


class First(nn.Module):
    """The first channel of any number; says nothing about itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1]


class Noisy(nn.Module):
    """Adds random numbers."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return x + 0.1 * torch.randn_like(x)


class Loud(nn.Module):
    """Not finite where the input is loud."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return torch.where(x > 0.9, torch.full_like(x, float("nan")), x)


def mask_net(**config: Any) -> MaskEnhancer:
    """A small causal mask net."""
    torch.manual_seed(0)
    shape = {"fft_length": 64, "hop_length": 16, **config.pop("shape", {})}
    estimator = {
        "num_outputs": config.get("num_outputs", 1),
        "num_subbands": 33,
        "num_features": 12,
        "num_layers": 2,
        "bidirectional": False,
        **config.pop("estimator", {}),
    }
    if config.pop("consistent", False):
        config["mixture_consistency"] = MixtureConsistencyProjection(weighting="power")
    return MaskEnhancer(
        encoder=AudioToSpectrogram(**shape),
        mask_estimator=MaskEstimatorRNN(**estimator),
        mask_processor=config.pop("mask_processor", MaskReferenceChannel()),
        decoder=SpectrogramToAudio(**shape),
        sample_rate=8000.0,
        **config,
    ).eval()


def save(net: nn.Module, path: Path, metadata: dict[str, Any] | None = None) -> Path:
    """Script a net into a file."""
    scripted: Any = torch.jit.script(net)
    extra = {} if metadata is None else {"nam_like.json": json.dumps(metadata)}
    torch.jit.save(scripted, str(path), _extra_files=extra)
    return path
