"""Enhancement nets as one would write them down after their papers, for the sake of comparison.

Plain PyTorch throughout: ``torch.stft``, magnitudes and phases by ``abs``, ``angle`` and ``polar``, packed
sequences for the recurrent layers, group norm and ``F.silu``, bilinear ``F.interpolate`` wherever the size
changes, and masks multiplied after every block. Weights have the names of our nets'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["plain_net"]


class Spectrogram(nn.Module):
    """Audio ``(B, C, T)`` to spectrograms ``(B, C, F, N)`` with compressed magnitudes."""

    window: Tensor

    def __init__(
        self, fft_length: int, hop_length: int, magnitude_power: float = 1.0, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.fft_length, self.hop_length, self.power, self.scale = (
            fft_length,
            hop_length,
            magnitude_power,
            scale,
        )
        self.register_buffer("window", torch.hann_window(fft_length), persistent=False)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The spectrogram and its valid frames."""
        spectrogram = torch.stft(
            audio.flatten(0, 1),
            n_fft=self.fft_length,
            hop_length=self.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        spectrogram = spectrogram.reshape(*audio.shape[:2], *spectrogram.shape[1:])
        if self.power != 1.0:
            magnitude, phase = torch.abs(spectrogram), torch.angle(spectrogram)
            spectrogram = torch.polar(magnitude.pow(self.power), phase)
        if self.scale != 1.0:
            spectrogram = self.scale * spectrogram
        frames = lengths // self.hop_length + 1
        return masked(spectrogram, frames), frames


class Audio(nn.Module):
    """Spectrograms back to audio of `samples` samples."""

    window: Tensor

    def __init__(
        self, fft_length: int, hop_length: int, magnitude_power: float = 1.0, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.fft_length, self.hop_length, self.power, self.scale = (
            fft_length,
            hop_length,
            magnitude_power,
            scale,
        )
        self.register_buffer("window", torch.hann_window(fft_length), persistent=False)

    def forward(self, spectrogram: Tensor, samples: int) -> Tensor:
        """``(B, C, F, N)`` → ``(B, C, T)``."""
        if self.scale != 1.0:
            spectrogram = spectrogram / self.scale
        if self.power != 1.0:
            magnitude, phase = torch.abs(spectrogram), torch.angle(spectrogram)
            spectrogram = torch.polar(magnitude.pow(1 / self.power), phase)
        audio = torch.istft(
            spectrogram.flatten(0, 1),
            n_fft=self.fft_length,
            hop_length=self.hop_length,
            window=self.window,
            center=True,
            length=samples,
        )
        return audio.reshape(*spectrogram.shape[:2], samples)


def masked(x: Tensor, lengths: Tensor) -> Tensor:
    """Zeros behind the valid frames of ``(B, …, N)``."""
    mask = torch.arange(x.shape[-1], device=x.device)[None, :] < lengths[:, None]
    return x * mask.reshape(mask.shape[0], *[1] * (x.ndim - 2), mask.shape[1])


class MaskRNN(nn.Module):
    """Masks of one channel from recurrent layers in both directions."""

    def __init__(self, num_subbands: int, num_features: int, num_layers: int, num_outputs: int = 1) -> None:
        super().__init__()
        self.input_projection = nn.Linear(num_subbands, num_features)
        self.rnn = nn.LSTM(num_features, num_features, num_layers, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * num_features, num_features)
        self.norm = nn.LayerNorm(num_features)
        self.output_projections = nn.ModuleList(
            nn.Linear(num_features, num_subbands) for _ in range(num_outputs)
        )

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """``(B, 1, F, N)`` → masks ``(B, M, F, N)``."""
        magnitude = torch.sqrt(torch.mean(torch.abs(spectrogram) ** 2, dim=1))
        x = self.input_projection(magnitude.transpose(1, 2))
        packed = pack_padded_sequence(x, frames.cpu(), batch_first=True, enforce_sorted=False)
        h, _ = self.rnn(packed)
        h, _ = pad_packed_sequence(h, batch_first=True, total_length=x.shape[1])
        x = x + self.norm(self.fc(h))
        masks = torch.stack([torch.sigmoid(layer(x)) for layer in self.output_projections], dim=1)
        return masked(masks.transpose(2, 3), frames)


class ResidualBlock(nn.Module):
    """Two convolutions, each behind a group norm and SiLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.input_block = nn.ModuleList([self._norm(inputs)])
        self.middle_conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.output_block = nn.ModuleDict(
            {"0": self._norm(outputs), "3": nn.Conv2d(outputs, outputs, 3, padding=1)}
        )
        self.residual_projection = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    @staticmethod
    def _norm(channels: int) -> nn.GroupNorm:
        return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, F, N)`` → ``(B, outputs, F, N)``."""
        h = self.middle_conv(F.silu(self.input_block[0](x)))
        h = self.output_block["3"](F.silu(self.output_block["0"](h)))
        made: Tensor = (self.residual_projection(x) + h) / math.sqrt(2)
        return made


class UNet(nn.Module):
    """NCSN++ on real maps."""

    def __init__(self, maps: int, channels: Sequence[int], num_res_blocks: int) -> None:
        super().__init__()
        self.per_resolution, count = num_res_blocks, len(channels) - 1
        self.input_pyramid = nn.ModuleList(nn.Conv2d(maps, channels[r], 1) for r in range(count))
        self.input_blocks, self.output_blocks = nn.ModuleList(), nn.ModuleList()
        for r in range(count):
            for i in range(num_res_blocks):
                self.input_blocks.append(ResidualBlock(channels[r if i == 0 else r + 1], channels[r + 1]))
        for r in reversed(range(count)):
            for i in range(num_res_blocks):
                outputs = channels[r if i == num_res_blocks - 1 else r + 1]
                self.output_blocks.append(ResidualBlock(channels[r + 1], outputs))
        self.projection_blocks = nn.ModuleList(nn.Conv2d(channels[r], maps, 1) for r in range(count))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``(B, maps, F, N)`` → the same."""
        image, h, history = x, torch.zeros(1), []
        for i, block in enumerate(self.input_blocks):
            if i % self.per_resolution == 0:
                if i > 0:
                    image = F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=False)
                    h = F.interpolate(h, scale_factor=0.5, mode="bilinear", align_corners=False)
                    lengths = (lengths + 1) // 2
                h = masked((h + self.input_pyramid[i // self.per_resolution](image)) / math.sqrt(2), lengths)
            h = masked(block(h), lengths)
            history.append(h)
        outputs = []
        for i, block in enumerate(self.output_blocks):
            if i > 0 and i % self.per_resolution == 0:
                outputs.append(h)
                h = F.interpolate(h, scale_factor=2.0, mode="bilinear", align_corners=False)
                lengths = lengths * 2
                h = masked(h, lengths)
            h = masked((h + history.pop()) / math.sqrt(2), lengths)
            h = masked(block(h), lengths)
        outputs.append(h)
        made = torch.zeros_like(x)
        for project, h in zip(reversed(self.projection_blocks), outputs, strict=True):
            made = made + F.interpolate(project(h), size=x.shape[-2:], mode="nearest")
        return made


class NCSNpp(nn.Module):
    """NCSN++ on complex spectrograms of one channel."""

    def __init__(self, channels: Sequence[int], num_res_blocks: int, pad_time_to: int) -> None:
        super().__init__()
        self.pad_time_to, self.pad_dimension_to = pad_time_to, 2 ** (len(channels) - 1)
        self.ncsnpp = UNet(2, channels, num_res_blocks)
        self.output_projection = nn.Conv2d(2, 2, 1)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """``(B, 1, F, N)`` → the same."""
        subbands, count = spectrogram.shape[-2:]
        x = torch.cat((spectrogram.real, spectrogram.imag), dim=1)
        x = F.pad(x, (0, -count % self.pad_time_to, 0, -subbands % self.pad_dimension_to))
        x = self.output_projection(self.ncsnpp(x, frames))[..., :subbands, :count]
        return torch.complex(x[:, :1].contiguous(), x[:, 1:].contiguous())


class Enhancer(nn.Module):
    """A net around a mask estimator, or around one that estimates the spectrogram itself."""

    def __init__(self, encoder: Spectrogram, estimator: nn.Module, decoder: Audio, *, masks: bool) -> None:
        super().__init__()
        self.encoder, self.decoder, self.masks = encoder, decoder, masks
        self.name = "mask_estimator" if masks else "estimator"
        self.add_module(self.name, estimator)

    def forward(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """``(B, 1, T)`` → the same, zero behind the valid samples."""
        peak = torch.amax(torch.abs(audio), dim=(1, 2), keepdim=True) + 1e-8
        spectrogram, frames = self.encoder(audio / peak, lengths)
        estimate = self.get_submodule(self.name)(spectrogram, frames)
        if self.masks:
            estimate = torch.clamp(estimate, 1e-10, 1.0) * spectrogram
        return masked(self.decoder(masked(estimate, frames), audio.shape[-1]) * peak, lengths)


def plain_net(config: dict[str, Any], weights: dict[str, Tensor]) -> Enhancer:
    """The net of a preset.

    Args:
        config: of the component ``net``, references resolved; one channel, normalised input.
        weights: state dict of our net.
    """
    encoder, decoder = Spectrogram(**config["encoder"]["config"]), Audio(**config["decoder"]["config"])
    masks = "mask_estimator" in config
    of = dict(config["mask_estimator" if masks else "estimator"]["config"])
    for channels in ("in_channels", "out_channels"):
        of.pop(channels, None)
    estimator = MaskRNN(**of) if masks else NCSNpp(**of)
    net = Enhancer(encoder, estimator, decoder, masks=masks)
    net.load_state_dict(weights)
    return net
