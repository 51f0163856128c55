"""Audio files of several channels, in pieces: reading, conversion of the rate, writing.

What stands here never holds more than a few blocks: a recording of hours takes no more memory than one of
seconds. Blocks are ``(C, n)``, float32, full scale is ±1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError, reason
from nam_like.audio.io import audio_info
from nam_like.audio.resample import resample_blocks

__all__ = ["Block", "WavSubtype", "fitted", "read_blocks", "resample_channels", "write_blocks"]

Block: TypeAlias = npt.NDArray[np.float32]
WavSubtype: TypeAlias = Literal["FLOAT", "PCM_16", "PCM_24"]

BLOCK: Final = 1 << 16
"""Samples per channel that are read at a time."""
WAV_BYTES: Final = (1 << 32) - (1 << 16)
"""Bytes of samples up to which a WAV header can count them, with room for the rest of the file."""
_WIDTHS: Final = {"FLOAT": 4, "PCM_16": 2, "PCM_24": 3}


def read_blocks(
    path: Path | str, channels: Sequence[int] | None = None, block: int = BLOCK
) -> Iterator[Block]:
    """Decode a file piece by piece.

    Args:
        path: the file.
        channels: which ones, counted from 0, in this order; None takes all.
        block: samples per piece; the last one may be shorter.

    Yields:
        ``(C, n)`` each.

    Raises:
        AudioError: as :func:`nam_like.audio.io.read_audio`.
    """
    import soundfile

    path = Path(path)
    info = audio_info(path)
    for channel in channels or ():
        if not 0 <= channel < info.channels:
            raise AudioError(
                f"{path}: expected channels from 0 to {info.channels - 1}, but got {channel} among them"
            )
    at = 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            while at < info.frames:
                read = file.read(min(block, info.frames - at), dtype="float32", always_2d=True)
                if read.shape[0] == 0:
                    break
                chosen = read.T if channels is None else read.T[list(channels)]
                if not np.isfinite(chosen).all():
                    bad = at + int(np.flatnonzero(~np.isfinite(chosen).all(axis=0))[0])
                    raise AudioError(
                        f"{path}: expected finite samples, but got NaN or infinity at sample {bad}"
                    )
                at += read.shape[0]
                yield np.ascontiguousarray(chosen)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: truncated or damaged: {reason(error)}") from error
    if at < info.frames:
        raise AudioError(f"{path}: truncated: expected {info.frames} samples, but got {at}")


def resample_channels(
    blocks: Iterable[Block], channels: int, length: int, from_rate: int, to_rate: int
) -> Iterator[Block]:
    """Convert a signal that comes in pieces, as :func:`nam_like.audio.resample.resample_blocks` does.

    Args:
        blocks: ``(channels, n)`` each, one after the other.
        channels: how many.
        length: how many samples they are together.
        from_rate: Hz.
        to_rate: Hz.

    Yields:
        Blocks of any size, :func:`~nam_like.audio.resample.resampled_length` samples in all.

    Raises:
        UserError: a rate is not positive, or soxr is not installed.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    single = [resample_blocks(rows, length, from_rate, to_rate) for rows in _rows(iter(blocks), channels)]
    for together in zip(*single, strict=True):
        yield np.stack(together)


def _rows(blocks: Iterator[Block], channels: int) -> list[Iterator[Block]]:
    """An iterator per channel, ``(n,)`` each; itertools.tee would keep dozens of blocks."""
    waiting: list[deque[Block]] = [deque() for _ in range(channels)]

    def row(queue: deque[Block]) -> Iterator[Block]:
        while True:
            if not queue:
                block = next(blocks, None)
                if block is None:
                    return
                for other, samples in zip(waiting, block, strict=True):
                    other.append(samples)
            yield queue.popleft()

    return [row(queue) for queue in waiting]


def fitted(blocks: Iterable[Block], length: int) -> Iterator[Block]:
    """The same signal at exactly this length: cut, or with zeros behind it."""
    missing, channels = length, 1
    for block in blocks:
        channels = block.shape[0]
        if missing:
            yield block[:, :missing]
        missing -= min(missing, block.shape[1])
    if missing:
        yield np.zeros((channels, missing), dtype=np.float32)


def write_blocks(
    path: Path, blocks: Iterable[Block], sample_rate: int, *, channels: int, frames: int, subtype: WavSubtype
) -> tuple[int, float, int]:
    """Write a WAV piece by piece; as RF64 where a WAV header cannot count so far.

    Args:
        path: the file, which is written to directly.
        blocks: ``(channels, n)`` each.
        sample_rate: Hz.
        channels: how many.
        frames: samples per channel expected, which decides between WAV and RF64.
        subtype: ``FLOAT``, or integers, which are clipped at full scale.

    Returns:
        Samples per channel written, the largest absolute sample, and how many samples lay beyond full scale.

    Raises:
        AudioError: the file cannot be written.
    """
    import soundfile

    container = "WAV" if _WIDTHS[subtype] * channels * frames <= WAV_BYTES else "RF64"
    written, peak, beyond = 0, 0.0, 0
    try:
        with soundfile.SoundFile(str(path), "w", sample_rate, channels, subtype, format=container) as file:
            for block in blocks:
                peak = max(peak, float(np.abs(block).max(initial=0.0)))
                beyond += int(np.count_nonzero(np.abs(block) > 1.0))
                file.write((block if subtype == "FLOAT" else block.clip(-1.0, 1.0)).T)
                written += block.shape[1]
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path.name}: cannot be written: {reason(error)}") from error
    return written, peak, beyond
