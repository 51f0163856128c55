"""The one reader and writer of audio files.

Integer PCM WAV goes through wavio; everything else (float WAV, WAVE_FORMAT_EXTENSIBLE, FLAC, OGG, MP3, …)
through soundfile. Samples are floats in [−1, 1): an integer sample is divided by 2^(bits − 1), and that is
undone exactly on writing.
"""

from __future__ import annotations

import logging
import struct
import wave
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.resample import resample as resample_samples
from nam_like.audio.riff import PCM, WaveHeader, read_wave_header
from nam_like.files import atomic_path

__all__ = ["Audio", "AudioError", "AudioInfo", "Subtype", "audio_info", "read_audio", "write_audio"]

LOGGER = logging.getLogger(__name__)

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Subtype: TypeAlias = Literal["PCM_16", "PCM_24", "PCM_32", "FLOAT", "VORBIS"]

WAV_PCM_SUBTYPES: Final = {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
PCM_BITS: Final = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
WRITABLE: Final[dict[str, tuple[str, ...]]] = {
    # suffix -> subtypes, the default first
    ".wav": ("PCM_24", "PCM_16", "PCM_32", "FLOAT"),
    ".flac": ("PCM_24", "PCM_16"),
    ".ogg": ("VORBIS",),
}


@dataclass(frozen=True)
class Audio:
    """One channel of an audio file.

    Attributes:
        samples: `(L,)`, full scale is ±1.
        sample_rate: Hz, of ``samples`` (after resampling, if any).
        path: where it was read.
        subtype: how the file stores a sample: `PCM_U8`, `PCM_16`, `PCM_24`, `PCM_32`, `FLOAT`, `VORBIS`, …
    """

    samples: FloatArray
    sample_rate: int
    path: Path
    subtype: str


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says.

    Attributes:
        sample_rate: Hz.
        frames: number of samples per channel.
        channels: number of channels.
        subtype: how a sample is stored, as in :class:`Audio`.
        format: `WAV`, `WAVEX`, `FLAC`, `OGG`, `MP3`, …
    """

    sample_rate: int
    frames: int
    channels: int
    subtype: str
    format: str


def audio_info(path: Path | str) -> AudioInfo:
    """Read the header of an audio file, not its samples.

    Args:
        path: the file.

    Raises:
        AudioError: the file is missing, a folder, empty, truncated, without samples, or not audio.
    """
    return _inspect(Path(path))[0]


def read_audio(
    path: Path | str,
    *,
    channel: int | None = None,
    sample_rate: int | None = None,
    resample: bool = False,
    dtype: npt.DTypeLike = np.float32,
) -> Audio:
    """Read one channel of an audio file.

    Args:
        path: the file.
        channel: which channel, counted from 0; None requires a file with one channel.
        sample_rate: the rate wanted, in Hz; None takes what the file has.
        resample: convert to ``sample_rate`` instead of raising an error where the file's rate differs.
        dtype: floating-point type of the samples; 32-bit PCM needs `float64` to be exact.

    Returns:
        The samples, their rate and how they were stored.

    Raises:
        AudioError: the file is missing, a folder, empty, truncated, without samples, not audio, holds NaN or
            infinity, has more channels and none was chosen, no such channel, or another rate.
        UserError: resampling is asked for and the package that does it is not installed.
    """
    path = Path(path)
    info, header = _inspect(path)
    _check_channel(path, info.channels, channel)
    if sample_rate is not None and sample_rate != info.sample_rate and not resample:
        raise AudioError(
            f"{path}: expected a sample rate of {sample_rate} Hz, but got {info.sample_rate} Hz "
            "(`resample: true` converts it)"
        )
    if header is not None and info.subtype in WAV_PCM_SUBTYPES.values() and header.format_tag == PCM:
        samples = _read_wavio(path, header, channel or 0, dtype)
    else:
        samples = _read_soundfile(path, info, channel or 0, dtype)
    if not np.isfinite(samples).all():
        bad = np.flatnonzero(~np.isfinite(samples))
        raise AudioError(
            f"{path}: expected finite samples, but got {bad.size} NaN or infinite ones, "
            f"the first at sample {bad[0]}"
        )
    audio = Audio(samples, info.sample_rate, path, info.subtype)
    if sample_rate is None or sample_rate == info.sample_rate:
        return audio
    converted = resample_samples(samples, info.sample_rate, sample_rate)
    return replace(audio, samples=converted, sample_rate=sample_rate)


def write_audio(
    path: Path | str, samples: FloatArray, sample_rate: int, *, subtype: Subtype | None = None
) -> None:
    """Write one channel of audio, whole or not at all.

    Args:
        path: the file; `.wav`, `.flac` or `.ogg` chooses the format.
        samples: `(L,)`, full scale is ±1. Integer subtypes clip beyond; a warning is logged with the count.
        sample_rate: Hz.
        subtype: `PCM_24` (the default), `PCM_16`, `PCM_32` or `FLOAT` in WAV, `PCM_24` or `PCM_16` in FLAC,
            `VORBIS` in OGG.

    Raises:
        AudioError: ``samples`` is empty, not one-dimensional or not finite, the suffix is none of the above,
            the format cannot hold the subtype, or the file cannot be written.
    """
    path = Path(path)
    samples = np.asarray(samples)
    chosen = _writable_subtype(path, subtype)
    if samples.ndim != 1 or samples.size == 0:
        raise AudioError(f"{path}: expected samples of shape (L,) with L >= 1, but got {samples.shape}")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: expected finite samples, but got NaN or infinity")
    try:
        with atomic_path(path) as temporary:
            if chosen in PCM_BITS:
                _write_integers(
                    temporary, _quantize(samples, PCM_BITS[chosen], path), sample_rate, PCM_BITS[chosen]
                )
            else:
                _write_blocks(temporary, samples.astype(np.float32), sample_rate, chosen)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror or error}") from error


def _inspect(path: Path) -> tuple[AudioInfo, WaveHeader | None]:
    """Read the header; also return the RIFF one for WAV files."""
    _check_file(path)
    try:
        header = read_wave_header(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error
    if header is not None:
        _check_wave_size(path, header)
    if (
        header is not None
        and header.format_tag == PCM
        and header.bits in WAV_PCM_SUBTYPES
        and not header.streamed
    ):
        subtype = WAV_PCM_SUBTYPES[header.bits]
        info = AudioInfo(header.sample_rate, header.frames, header.channels, subtype, "WAV")
    else:
        info = _soundfile_info(path)
        header = None
    if info.frames == 0:
        raise AudioError(f"{path}: holds no samples, only a header")
    return info, header


def _check_file(path: Path) -> None:
    """Raise where there is no file with at least one byte."""
    if path.is_dir():
        raise AudioError(f"{path}: expected an audio file, but got a folder")
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes)")


def _check_wave_size(path: Path, header: WaveHeader) -> None:
    """Raise where a WAV header does not agree with the file it stands in."""
    if not header.streamed and header.data_size > header.data_held:
        raise AudioError(
            f"{path}: truncated: the header promises {header.data_size} bytes of audio, "
            f"but the file holds only {header.data_held}"
        )
    if header.data_size == 0 and header.data_held > 0:
        raise AudioError(
            f"{path}: truncated: the header promises no audio, but {header.data_held} bytes follow it "
            "(was the recording stopped without closing the file?)"
        )
    if header.channels == 0 or header.sample_rate == 0 or header.block_align == 0:
        raise AudioError(
            f"{path}: not a readable WAV file: the header says {header.channels} channels, "
            f"{header.sample_rate} Hz, {header.block_align} bytes per frame"
        )


def _soundfile_info(path: Path) -> AudioInfo:
    """Read a header through soundfile."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: not an audio file that can be read: {_reason(error)}") from error
    return AudioInfo(int(info.samplerate), int(info.frames), int(info.channels), info.subtype, info.format)


def _check_channel(path: Path, channels: int, channel: int | None) -> None:
    """Raise where no channel, or one that does not exist, is chosen."""
    if channel is None:
        if channels != 1:
            raise AudioError(
                f"{path}: expected 1 channel, but got {channels} "
                f"(`channel: 0` chooses the first, up to `channel: {channels - 1}`)"
            )
    elif not 0 <= channel < channels:
        raise AudioError(f"{path}: expected `channel` to be from 0 to {channels - 1}, but got {channel}")


def _read_wavio(path: Path, header: WaveHeader, channel: int, dtype: npt.DTypeLike) -> FloatArray:
    """Read integer PCM; 8-bit samples are unsigned with 128 as zero."""
    import wavio

    try:
        data = wavio.read(str(path)).data
    except (wave.Error, EOFError, ValueError, struct.error, OSError) as error:
        raise AudioError(f"{path}: not a readable WAV file: {_reason(error)}") from error
    if data.shape[0] < header.frames:
        raise AudioError(f"{path}: truncated: expected {header.frames} samples, but got {data.shape[0]}")
    integers = data[:, channel].astype(np.float64)
    if header.bits == 8:
        integers -= 128
    scaled: FloatArray = (integers / 2.0 ** (header.bits - 1)).astype(dtype)
    return scaled


def _read_soundfile(path: Path, info: AudioInfo, channel: int, dtype: npt.DTypeLike) -> FloatArray:
    """Read any format libsndfile knows."""
    import soundfile

    single = np.dtype(dtype).itemsize <= 4
    try:
        data, _ = soundfile.read(str(path), dtype="float32" if single else "float64", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: truncated or damaged: {_reason(error)}") from error
    if data.shape[0] < info.frames:
        raise AudioError(f"{path}: truncated: expected {info.frames} samples, but got {data.shape[0]}")
    samples: FloatArray = np.ascontiguousarray(data[:, channel], dtype=dtype)
    return samples


def _writable_subtype(path: Path, subtype: Subtype | None) -> str:
    """Return the subtype to write, which the format of ``path`` must be able to hold."""
    choices = WRITABLE.get(path.suffix.lower())
    if choices is None:
        raise AudioError(
            f"{path}: expected the name to end in {', '.join(WRITABLE)}, but got {path.suffix!r}"
        )
    if subtype is None:
        return choices[0]
    if subtype not in choices:
        raise AudioError(
            f"{path}: expected `subtype` to be one of {', '.join(choices)} in a {path.suffix} file, "
            f"but got {subtype}"
        )
    return subtype


def _quantize(samples: FloatArray, bits: int, path: Path) -> npt.NDArray[np.int32]:
    """Round to integers of ``bits`` bits: the exact inverse of reading, `n = x · 2^(bits − 1)`."""
    clipped = int(np.count_nonzero(np.abs(samples) > 1.0))
    if clipped:
        LOGGER.warning("%s: %d of %d samples beyond full scale were clipped", path, clipped, samples.size)
    full_scale = 2.0 ** (bits - 1)
    integers = np.rint(samples.astype(np.float64) * full_scale)
    return np.clip(integers, -full_scale, full_scale - 1).astype(np.int32)


def _write_integers(path: Path, integers: npt.NDArray[np.int32], sample_rate: int, bits: int) -> None:
    """Write integer PCM: WAV through wavio, which leaves integers as they are; FLAC through soundfile."""
    if path.suffix.lower() == ".wav":
        import wavio

        wavio.write(str(path), integers, sample_rate, sampwidth=bits // 8)
        return
    # soundfile takes the highest bits of a 32-bit integer.
    _write_blocks(path, integers << (32 - bits), sample_rate, f"PCM_{bits}")


def _write_blocks(path: Path, data: npt.NDArray[Any], sample_rate: int, subtype: str) -> None:
    """Write through soundfile, a second at a time: one long Vorbis write overflows libvorbis' stack."""
    import soundfile

    file_format = path.suffix.lower().lstrip(".").upper()
    try:
        with soundfile.SoundFile(str(path), "w", sample_rate, 1, subtype, format=file_format) as file:
            for start in range(0, data.size, sample_rate):
                file.write(data[start : start + sample_rate])
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path.name}: cannot be written: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return the library's reason without the path it repeats."""
    if code := getattr(error, "error_string", ""):
        return str(code)
    return str(error) or type(error).__name__
