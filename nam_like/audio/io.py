"""The one reader of audio files; :mod:`nam_like.audio.writing` is the one writer.

Integer PCM WAV goes through wavio; everything else (float WAV, WAVE_FORMAT_EXTENSIBLE, FLAC, OGG, MP3, …)
through soundfile. What is longer than half a minute is decoded block by block, with the same result and in
a fifth of the time: wavio would hold it several times over, and reads no file of more than 4 GiB. Samples are
floats in [−1, 1): an integer sample is divided by 2^(bits − 1), and that is undone exactly on writing.
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError, reason
from nam_like.audio.pcm import Encoding, Layout, MappedFile, layout_of
from nam_like.audio.resample import resample as resample_samples
from nam_like.audio.riff import PCM, WaveHeader, read_wave_header
from nam_like.audio.writing import Subtype, write_audio

__all__ = [
    "Audio",
    "AudioError",
    "AudioInfo",
    "Subtype",
    "audio_info",
    "audio_layout",
    "check_rate",
    "decoded_blocks",
    "read_audio",
    "write_audio",
]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]

WAV_PCM_SUBTYPES: Final = {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
SUBTYPES: Final[dict[Encoding, str]] = {
    "u8": "PCM_U8",
    "i16": "PCM_16",
    "i24": "PCM_24",
    "i32": "PCM_32",
    "f32": "FLOAT",
    "f64": "DOUBLE",
}
BLOCK: Final = 1 << 18
"""Frames that long files are decoded in at a time."""
WAVIO_BYTES: Final = 1 << 22
"""Bytes of audio up to which a WAV file goes through wavio."""
WAV_WRAP: Final = 1 << 32
"""Sizes in a WAV header have 32 bits."""


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
    if sample_rate is not None and not resample:
        check_rate(path, info.sample_rate, sample_rate)
    layout = None if header is None else layout_of(path, header, channel or 0)
    if header is None:
        samples = _read_soundfile(path, info, channel or 0, dtype)
    elif layout is None or (header.container == "RIFF" and header.data_size <= WAVIO_BYTES):
        samples = _read_wavio(path, header, channel or 0, dtype)
    else:
        samples = _read_layout(layout, dtype)
    if (layout is None or layout.may_hold_nan) and not np.isfinite(samples).all():
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


def audio_layout(path: Path | str, channel: int | None = None) -> tuple[AudioInfo, Layout | None]:
    """Read the header of an audio file, and where its samples stand if they can be used without decoding.

    Args:
        path: the file.
        channel: which channel, counted from 0; None requires a file with one channel.

    Returns:
        What the header says, and the layout; None where the samples are compressed or of an odd kind.

    Raises:
        AudioError: as :func:`audio_info`, or there are several channels and none was chosen, or no such one.
    """
    path = Path(path)
    info, _ = _inspect(path)
    _check_channel(path, info.channels, channel)
    header = read_wave_header(path)
    layout = None if header is None else layout_of(path, header, channel or 0)
    return info, layout if layout is not None and layout.frames == info.frames else None


def decoded_blocks(
    path: Path | str, channel: int | None = None, block: int = BLOCK
) -> Iterator[npt.NDArray[np.float32]]:
    """Decode one channel of any audio file block by block: the samples that :func:`read_audio` gives.

    Args:
        path: the file.
        channel: which channel, counted from 0; None requires a file with one channel.
        block: samples per block; the last one may be shorter.

    Yields:
        `(n,)` each; a block is valid until the next one is asked for.

    Raises:
        AudioError: as :func:`read_audio`.
    """
    path = Path(path)
    info, layout = audio_layout(path, channel)
    chunks = (
        _soundfile_chunks(path, info, "float32", block) if layout is None else _layout_chunks(layout, block)
    )
    first = 0
    for chunk in chunks:
        samples = chunk if chunk.ndim == 1 else chunk[:, channel or 0]
        if not np.isfinite(samples).all():
            where = first + int(np.flatnonzero(~np.isfinite(samples))[0])
            raise AudioError(f"{path}: expected finite samples, but got NaN or infinity at sample {where}")
        first += samples.shape[0]
        yield samples


def check_rate(path: Path, got: int, wanted: int) -> None:
    """Raise :class:`AudioError` where a file of the rate `got` was expected to have another one (Hz)."""
    if got != wanted:
        raise AudioError(
            f"{path}: expected a sample rate of {wanted} Hz, but got {got} Hz (`resample: true` converts it)"
        )


def _inspect(path: Path) -> tuple[AudioInfo, WaveHeader | None]:
    """Read the header; also return the one of WAV files that are not soundfile's."""
    _check_file(path)
    try:
        header = read_wave_header(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror or error}") from error
    if header is not None:
        _check_wave_size(path, header)
    subtype = None if header is None else _own_subtype(path, header)
    if header is not None and subtype is not None:
        file_format = "WAV" if header.container == "RIFF" else header.container
        info = AudioInfo(header.sample_rate, header.frames, header.channels, subtype, file_format)
    else:
        info = _soundfile_info(path)
        header = None
    if info.frames == 0:
        raise AudioError(f"{path}: holds no samples, only a header")
    return info, header


def _own_subtype(path: Path, header: WaveHeader) -> str | None:
    """The subtype of a file that is read without soundfile; None for those that are its."""
    if header.container == "RIFF":
        own = header.format_tag == PCM and not header.streamed
        return WAV_PCM_SUBTYPES.get(header.bits) if own else None
    layout = layout_of(path, header, 0)
    return None if layout is None else SUBTYPES[layout.encoding]


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
    beyond = header.data_held - header.data_size
    if header.container == "RIFF" and not header.streamed and beyond >= WAV_WRAP:
        raise AudioError(
            f"{path}: the header promises {header.data_size} bytes of audio, but {header.data_held} follow: "
            "a WAV file cannot say that it is larger than 4 GiB; save it as RF64 or W64"
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
        raise AudioError(f"{path}: not an audio file that can be read: {reason(error)}") from error
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
        raise AudioError(f"{path}: not a readable WAV file: {reason(error)}") from error
    if data.shape[0] < header.frames:
        raise AudioError(f"{path}: truncated: expected {header.frames} samples, but got {data.shape[0]}")
    integers = data[:, channel].astype(np.float64)
    if header.bits == 8:
        integers -= 128
    scaled: FloatArray = (integers / 2.0 ** (header.bits - 1)).astype(dtype)
    return scaled


def _read_layout(layout: Layout, dtype: npt.DTypeLike) -> FloatArray:
    """Read a long WAV file, or one of its 64-bit kin."""
    samples: FloatArray = np.empty(layout.frames, dtype=dtype)
    file = MappedFile(layout)
    for start in range(0, layout.frames, BLOCK):
        file.read_into(start, samples[start : start + BLOCK])
    return samples


def _layout_chunks(layout: Layout, block: int) -> Iterator[FloatArray]:
    """Decode what needs no library, `(n,)` at a time."""
    file = MappedFile(layout)
    for start in range(0, layout.frames, block):
        samples = np.empty(min(block, layout.frames - start), dtype=np.float32)
        file.read_into(start, samples)
        yield samples
    file.release()


def _read_soundfile(path: Path, info: AudioInfo, channel: int, dtype: npt.DTypeLike) -> FloatArray:
    """Read any format libsndfile knows."""
    single = np.dtype(dtype).itemsize <= 4
    samples: FloatArray = np.empty(info.frames, dtype=dtype)
    at = 0
    for chunk in _soundfile_chunks(path, info, "float32" if single else "float64", BLOCK):
        samples[at : at + chunk.shape[0]] = chunk[:, channel]
        at += chunk.shape[0]
    return samples


def _soundfile_chunks(path: Path, info: AudioInfo, dtype: str, block: int) -> Iterator[FloatArray]:
    """Decode any format libsndfile knows, `(n, channels)` at a time."""
    import soundfile

    at = 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            while at < info.frames:
                chunk = file.read(min(block, info.frames - at), dtype=dtype, always_2d=True)
                if chunk.shape[0] == 0:
                    break
                at += chunk.shape[0]
                yield chunk
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: truncated or damaged: {reason(error)}") from error
    if at < info.frames:
        raise AudioError(f"{path}: truncated: expected {info.frames} samples, but got {at}")
