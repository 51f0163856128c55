"""Between audio and spectrograms whose magnitudes are compressed.

    X ← scale · |X|^power · e^{j∠X}

Compressed magnitudes are nearer to what is heard than linear ones, and nets learn them better (J. Richter et
al., "Speech Enhancement and Dereverberation with Diffusion-Based Generative Models", 2023, §III-A).
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveFloat, PositiveInt
from nam_like.models.enhancement.lengths import frame_mask, mask_frames

__all__ = [
    "AudioToSpectrogram",
    "AudioToSpectrogramConfig",
    "SpectrogramToAudio",
    "SpectrogramToAudioConfig",
    "scale_magnitude",
]


def scale_magnitude(spectrogram: Tensor, power: float, scale: float) -> Tensor:
    """``scale · |X|^power · e^{j∠X}``; phases stay, and the gradient is finite at zero.

    Args:
        spectrogram: complex, any shape.
        power: above 0.
        scale: above 0.
    """
    if power != 1.0:
        # A power below 1 has an infinite slope at zero. (TorchScript knows no constants of modules.)
        spectrogram = spectrogram * spectrogram.abs().clamp_min(1e-12).pow(power - 1.0)
    if scale != 1.0:
        spectrogram = spectrogram * scale
    return spectrogram


def _check(fft_length: int, hop_length: int, magnitude_power: float, scale: float) -> None:
    if fft_length % 2 != 0:
        raise ValueError(f"fft_length = {fft_length} must be divisible by 2")
    if not 0 < hop_length <= fft_length:
        raise ValueError(f"expected hop_length from 1 to fft_length ({fft_length}), but got {hop_length}")
    if magnitude_power <= 0:
        raise ValueError(f"Magnitude power needs to be positive: current value {magnitude_power}")
    if scale <= 0:
        raise ValueError(f"Scale needs to be positive: current value {scale}")


class _Framed(nn.Module):
    """What both directions have: a periodic Hann window, and how magnitudes are compressed.

    Args:
        fft_length: samples per frame, even.
        hop_length: samples from frame to frame.
        magnitude_power: exponent of the magnitudes.
        scale: factor of the magnitudes after that.

    Raises:
        ValueError: an argument is out of range.
    """

    window: Tensor

    def __init__(
        self, *, fft_length: int, hop_length: int, magnitude_power: float = 1.0, scale: float = 1.0
    ) -> None:
        super().__init__()
        _check(fft_length, hop_length, magnitude_power, scale)
        self.fft_length = fft_length
        self.hop_length = hop_length
        self.magnitude_power = float(magnitude_power)
        self.scale = float(scale)
        self.num_subbands = fft_length // 2 + 1
        self.register_buffer("window", torch.hann_window(fft_length), persistent=False)


class AudioToSpectrogram(_Framed):
    """Short-time Fourier transform with a periodic Hann window, and compressed magnitudes.

    Frames are centred: frame n covers the samples around ``n · hop_length``, and zeros lie before the first
    and after the last sample. Whatever the precision of training, it is computed in float32.
    Arguments are those of the base.
    """

    def forward(self, audio: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Transform a batch.

        Args:
            audio: ``(B, C, T)``.
            lengths: valid samples per item, ``(B,)``; None when all are.

        Returns:
            The spectrogram ``(B, C, F, N)``, complex64, with ``N = T // hop_length + 1``, zero behind the
            valid frames; and the number of valid frames, ``(B,)``.
        """
        batch, channels, samples = audio.shape
        frames = torch.stft(
            audio.reshape(batch * channels, samples).float(),
            n_fft=self.fft_length,
            hop_length=self.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        found = frames.reshape(batch, channels, frames.shape[-2], frames.shape[-1])
        found = scale_magnitude(found, self.magnitude_power, self.scale)
        if lengths is None:
            return found, torch.full((batch,), found.shape[-1], dtype=torch.long, device=audio.device)
        valid = torch.div(lengths, self.hop_length, rounding_mode="floor") + 1
        return mask_frames(found, valid), valid

    @torch.jit.export
    def analyze(self, frames: Tensor) -> Tensor:
        """The same for frames that a stream was cut into: ``(B, C, N, fft_length)`` → ``(B, C, F, N)``."""
        found = torch.fft.rfft(frames.float() * self.window).transpose(-1, -2)
        return scale_magnitude(found, self.magnitude_power, self.scale)


class SpectrogramToAudio(_Framed):
    """The inverse of :class:`AudioToSpectrogram` with the same arguments."""

    def forward(
        self, spectrogram: Tensor, frames: Tensor | None = None, samples: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform a batch back.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``; None when all are.
            samples: length of the audio; None makes whole hops, ``(N − 1) · hop_length``.

        Returns:
            The audio ``(B, C, T)``, zero behind the valid samples; and the number of valid samples, ``(B,)``.

        Raises:
            ValueError: the spectrogram is not complex, or has another number of frequencies.
        """
        if not spectrogram.is_complex():
            raise ValueError("Expected `input` to be complex dtype.")
        batch, channels, subbands, count = spectrogram.shape
        if subbands != self.num_subbands:
            raise ValueError(
                f"Number of subbands F={subbands} not matching self.num_subbands={self.num_subbands}"
            )
        linear = scale_magnitude(
            spectrogram if self.scale == 1.0 else spectrogram / self.scale, 1.0 / self.magnitude_power, 1.0
        )
        length = (count - 1) * self.hop_length if samples is None else samples
        linear = linear.reshape(batch * channels, subbands, count)
        audio = self._single(linear, length) if count == 1 else self._overlapped(linear, length)
        audio = audio.reshape(batch, channels, length)
        if frames is None:
            return audio, torch.full((batch,), length, dtype=torch.long, device=audio.device)
        valid = (frames - 1).clamp_min(0) * self.hop_length
        if samples is None:
            return mask_frames(audio, valid), valid
        if bool((frames < count).any()):
            audio = audio * self._of_valid_frames(frames, count, length)
        return audio, valid

    def _of_valid_frames(self, frames: Tensor, count: int, length: int) -> Tensor:
        """What audio is multiplied by so that frames of padding count for nothing, ``(B, 1, T)``.

        The inverse transform divides by the sum of all squared windows, also of frames that are zero because
        the item ends before them; the end of such an item would fade out.
        """
        counted = frame_mask(torch.cat((frames, frames.new_full((1,), count))), count)
        window = self.window.square().reshape(1, 1, self.fft_length)
        sums = F.conv_transpose1d(counted.unsqueeze(1).to(window.dtype), window, stride=self.hop_length)
        half = self.fft_length // 2
        sums = F.pad(sums, (0, max(0, length + half - sums.shape[-1])))[..., half : half + length]
        return torch.where(
            sums[:-1] > 1e-6, sums[-1:] / sums[:-1].clamp_min(1e-6), torch.zeros_like(sums[:-1])
        )

    @torch.jit.export
    def synthesize(self, spectrogram: Tensor) -> Tensor:
        """Windowed frames for a stream to add up, ``(B, C, F, N)`` → ``(B, C, N, fft_length)``.

        Their sum is to be divided by the sum of the squared windows.
        """
        linear = scale_magnitude(
            spectrogram if self.scale == 1.0 else spectrogram / self.scale, 1.0 / self.magnitude_power, 1.0
        )
        made: Tensor = torch.fft.irfft(linear.transpose(-1, -2), n=self.fft_length) * self.window
        return made

    def _overlapped(self, frames: Tensor, length: int) -> Tensor:
        return torch.istft(
            frames,
            n_fft=self.fft_length,
            hop_length=self.hop_length,
            window=self.window,
            center=True,
            length=length,
        )

    def _single(self, frames: Tensor, length: int) -> Tensor:
        """A signal shorter than a hop has one frame, whose second half it is; torch.istft refuses that."""
        half = self.fft_length // 2
        made = torch.fft.irfft(frames[:, :, 0], n=self.fft_length)[:, half:] / self.window[half:]
        return F.pad(made, (0, length - half))


class AudioToSpectrogramConfig(Config):
    """Config of :class:`AudioToSpectrogram`."""

    fft_length: PositiveInt = Field(description="samples per frame, even")
    hop_length: PositiveInt = Field(description="samples from frame to frame")
    magnitude_power: PositiveFloat = Field(1.0, description="exponent of the magnitudes")
    scale: PositiveFloat = Field(1.0, description="factor of the magnitudes after that")

    def build(self) -> AudioToSpectrogram:
        """Make the encoder."""
        return AudioToSpectrogram(**self.model_dump())


class SpectrogramToAudioConfig(AudioToSpectrogramConfig):
    """Config of :class:`SpectrogramToAudio`."""

    def build(self) -> SpectrogramToAudio:  # type: ignore[override]
        """Make the decoder."""
        return SpectrogramToAudio(**self.model_dump())
