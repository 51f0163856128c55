"""The header of a WAV file and of its 64-bit kin (RF64, BW64, W64), read without its samples.

Source: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991), the
WAVEFORMATEXTENSIBLE note of 2001, EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64) and Sony's "Wave64" note of
2003. Libraries disagree about files that are shorter than their header promises (some return what is there,
silently), so the promise is read here and compared with the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nam_like.audio.errors import AudioError

__all__ = ["EXTENSIBLE", "IEEE_FLOAT", "PCM", "WaveHeader", "read_wave_header"]

PCM = 0x0001
IEEE_FLOAT = 0x0003
EXTENSIBLE = 0xFFFE
STREAMED = 0xFFFFFFFF
"""The `data` size written by programs that cannot seek back: everything to the end of the file."""

_RIFF_CONTAINERS = {b"RIFF": "RIFF", b"RF64": "RF64", b"BW64": "BW64"}
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
"""What the GUIDs of W64 chunks end in; the first four bytes are the chunk's name in RIFF."""
_W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


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
        data_start: where in the file the audio begins (bytes).
        container: `RIFF`, `RF64`, `BW64` or `W64`.
        sub_format: what an extensible header says the format is; otherwise ``format_tag``.
    """

    format_tag: int
    channels: int
    sample_rate: int
    bits: int
    block_align: int
    data_size: int
    data_held: int
    data_start: int = 0
    container: str = "RIFF"
    sub_format: int = 0

    @property
    def streamed(self) -> bool:
        """True where the writer did not know the length."""
        return self.data_size == STREAMED and self.container == "RIFF"

    @property
    def frames(self) -> int:
        """Number of frames promised (held, where the writer did not know)."""
        size = self.data_held if self.streamed else self.data_size
        return size // max(self.block_align, 1)


@dataclass(frozen=True)
class _Chunk:
    """One chunk: its name, the size of its content, and where in the file that begins."""

    name: bytes
    size: int
    start: int


def read_wave_header(path: Path) -> WaveHeader | None:
    """Read the header of a WAV file.

    Args:
        path: an existing file.

    Returns:
        The header, or None where the file does not begin as RIFF/WAVE, RF64, BW64 or W64 (big-endian RIFX
        included).

    Raises:
        AudioError: it begins as a WAV file, but the `fmt` or the `data` chunk is missing or cut off.
    """
    with path.open("rb") as file:
        start = file.read(40)
        file_size = path.stat().st_size
        container = _RIFF_CONTAINERS.get(start[:4])
        if container is not None and (len(start) < 12 or start[8:12] == b"WAVE"):
            file.seek(12)
            return _read_chunks(file, path, file_size, container, _riff_chunks(file))
        if start[:16] == _W64_RIFF and start[24:40] == b"wave" + _W64_TAIL:
            return _read_chunks(file, path, file_size, "W64", _w64_chunks(file))
    return None


def _riff_chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """The chunks of RIFF and its 64-bit variants, which keep sizes that do not fit in `ds64`."""
    while len(header := file.read(8)) == 8:
        name, size = header[:4], int.from_bytes(header[4:], "little")
        start = file.tell()
        yield _Chunk(name, size, start)
        file.seek(start + size + size % 2)  # chunks are padded to an even length


def _w64_chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """The chunks of W64: a GUID, a 64-bit size that counts the 24 bytes of both, padded to 8 bytes."""
    file.seek(40)
    while len(header := file.read(24)) == 24:
        size = int.from_bytes(header[16:], "little")
        if header[4:16] != _W64_TAIL or size < 24:
            return
        start = file.tell()
        yield _Chunk(header[:4], size - 24, start)
        file.seek(start - 24 + size + -size % 8)


def _read_chunks(
    file: BinaryIO, path: Path, file_size: int, container: str, chunks: Iterator[_Chunk]
) -> WaveHeader:
    """Walk the chunks from the first one until `data`."""
    fmt: tuple[int, int, int, int, int] | None = None
    sub_format = 0
    long_data_size: int | None = None
    for chunk in chunks:
        if chunk.name == b"data":
            if fmt is None:
                raise AudioError(
                    f"{path}: not a readable WAV file: the `data` chunk comes before the `fmt` chunk"
                )
            size = chunk.size
            if container in ("RF64", "BW64") and size == STREAMED and long_data_size is not None:
                size = long_data_size
            held = file_size - chunk.start
            return WaveHeader(*fmt, size, held, chunk.start, container, sub_format)
        if chunk.name == b"ds64":
            content = file.read(16)
            if len(content) == 16:
                long_data_size = int.from_bytes(content[8:], "little")
        elif chunk.name == b"fmt ":
            content = file.read(min(chunk.size, 40))
            if len(content) < 16:
                break
            tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", content[:16])
            fmt = (tag, channels, rate, bits, align)
            sub_format = tag
            if tag == EXTENSIBLE and len(content) >= 26:
                sub_format = int.from_bytes(content[24:26], "little")
    missing = "`fmt` chunk" if fmt is None else "`data` chunk"
    raise AudioError(f"{path}: truncated WAV file: it ends after {file_size} bytes, before its {missing}")
