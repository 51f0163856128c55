"""The header of a RIFF/WAVE file, read without its samples.

Source: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991) and the
WAVEFORMATEXTENSIBLE note of 2001. Libraries disagree about files that are shorter than their header
promises (some return what is there, silently), so the promise is read here and compared with the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nam_like.audio.errors import AudioError

__all__ = ["PCM", "WaveHeader", "read_wave_header"]

PCM = 0x0001
STREAMED = 0xFFFFFFFF
"""The `data` size written by programs that cannot seek back: everything to the end of the file."""


@dataclass(frozen=True)
class WaveHeader:
    """What the `fmt` and `data` chunks of a WAV file say.

    Attributes:
        format_tag: 1 integer PCM, 3 IEEE float, 0xFFFE extensible, others are compressed.
        channels: number of channels.
        sample_rate: Hz.
        bits: bits per sample.
        block_align: bytes of one frame (a sample of every channel).
        data_size: bytes of audio that the header promises.
        data_held: bytes of audio that the file holds at most.
    """

    format_tag: int
    channels: int
    sample_rate: int
    bits: int
    block_align: int
    data_size: int
    data_held: int

    @property
    def streamed(self) -> bool:
        """True where the writer did not know the length."""
        return self.data_size == STREAMED

    @property
    def frames(self) -> int:
        """Number of frames promised (held, where the writer did not know)."""
        size = self.data_held if self.streamed else self.data_size
        return size // max(self.block_align, 1)


def read_wave_header(path: Path) -> WaveHeader | None:
    """Read the header of a WAV file.

    Args:
        path: an existing file.

    Returns:
        The header, or None where the file does not begin as RIFF/WAVE (RF64 and big-endian RIFX included).

    Raises:
        AudioError: it begins as a WAV file, but the `fmt` or the `data` chunk is missing or cut off.
    """
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or (len(start) == 12 and start[8:] != b"WAVE"):
            return None
        return _read_chunks(file, path, path.stat().st_size)


def _read_chunks(file: BinaryIO, path: Path, file_size: int) -> WaveHeader:
    """Walk the chunks from the first one until `data`."""
    fmt: tuple[int, int, int, int, int] | None = None
    while len(header := file.read(8)) == 8:
        chunk, size = header[:4], int.from_bytes(header[4:], "little")
        if chunk == b"data":
            if fmt is None:
                raise AudioError(
                    f"{path}: not a readable WAV file: the `data` chunk comes before the `fmt` chunk"
                )
            return WaveHeader(*fmt, data_size=size, data_held=file_size - file.tell())
        content_start = file.tell()
        if chunk == b"fmt ":
            content = file.read(16)
            if len(content) < 16:
                break
            tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", content)
            fmt = (tag, channels, rate, bits, align)
        file.seek(content_start + size + size % 2)  # chunks are padded to an even length
    missing = "`fmt` chunk" if fmt is None else "`data` chunk"
    raise AudioError(f"{path}: truncated WAV file: it ends after {file_size} bytes, before its {missing}")
