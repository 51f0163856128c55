"""Uncompressed samples as they stand in a file, and how they become floats.

A sample of `bits` bits is divided by 2^(bits − 1), exactly as :func:`nam_like.audio.io.read_audio` does: up
to 24 bits nothing is rounded; 32-bit integers and float64 are rounded once where float32 is wanted.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.riff import IEEE_FLOAT, PCM, WaveHeader

__all__ = ["Encoding", "Layout", "MappedFile", "decode", "layout_of"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Encoding: TypeAlias = Literal["u8", "i16", "i24", "i32", "f32", "f64"]

_ENCODINGS: dict[tuple[int, int], Encoding] = {
    (PCM, 8): "u8",
    (PCM, 16): "i16",
    (PCM, 24): "i24",
    (PCM, 32): "i32",
    (IEEE_FLOAT, 32): "f32",
    (IEEE_FLOAT, 64): "f64",
}
_WIDTHS: dict[Encoding, int] = {"u8": 1, "i16": 2, "i24": 3, "i32": 4, "f32": 4, "f64": 8}
_DTYPES: dict[Encoding, str] = {
    "u8": "u1",
    "i16": "<i2",
    "i24": "<i4",
    "i32": "<i4",
    "f32": "<f4",
    "f64": "<f8",
}
_FULL_SCALE: dict[Encoding, float] = {"u8": 2.0**7, "i16": 2.0**15, "i24": 2.0**31, "i32": 2.0**31}
PAGES_KEPT = 256 << 20
"""After so many bytes read here and there the mapped pages are handed back; the system keeps them cached."""
_CLEAR_LOWEST_BYTE = np.int32(-256)


@dataclass(frozen=True)
class Layout:
    """Where the samples of one channel stand in a file.

    Attributes:
        path: the file.
        start: position of the first sample (bytes), at least 1.
        stride: from one sample of the channel to the next (bytes).
        frames: how many samples there are.
        encoding: how a sample is stored.
    """

    path: Path
    start: int
    stride: int
    frames: int
    encoding: Encoding

    @property
    def may_hold_nan(self) -> bool:
        """Whether a sample can be NaN or infinite; integers cannot."""
        return self.encoding in ("f32", "f64")


def layout_of(path: Path, header: WaveHeader, channel: int) -> Layout | None:
    """Return where a WAV file's samples stand; None where they are not plain numbers of a known size.

    Args:
        path: the file.
        header: its header, found to agree with the size of the file.
        channel: counted from 0.
    """
    encoding = _ENCODINGS.get((header.sub_format, header.bits))
    width = header.bits // 8
    if encoding is None or header.block_align != header.channels * width:
        return None
    return Layout(path, header.data_start + channel * width, header.block_align, header.frames, encoding)


def decode(buffer: bytes | bytearray | mmap.mmap, layout: Layout, first: int, out: FloatArray) -> None:
    """Decode consecutive samples.

    Args:
        buffer: the whole file, or what stands for it.
        layout: where the samples stand.
        first: the first sample wanted.
        out: `(n,)`, receives the samples.
    """
    at = layout.start + first * layout.stride
    # A 24-bit sample is read as the upper three bytes of 32 bits: the byte before it belongs to the header or
    # to another sample, and is cleared. A strided view is several times faster than moving bytes.
    if layout.encoding == "i24":
        at -= 1
    stored: npt.NDArray[np.generic] = np.ndarray(
        out.shape, _DTYPES[layout.encoding], buffer, at, (layout.stride,)
    )
    if layout.encoding == "i24":
        stored = np.bitwise_and(stored, _CLEAR_LOWEST_BYTE)
    out[...] = stored
    if layout.encoding == "u8":
        out -= 128.0
    if layout.encoding in _FULL_SCALE:
        out *= np.float32(1.0 / _FULL_SCALE[layout.encoding])


class MappedFile:
    """One channel of a file, mapped into memory when the first sample is read.

    A file must not be shortened while it is used: the system ends a process that reads beyond its end.

    Copies sent to other processes map the file again. Pages that were read count as memory of the process
    until they are handed back, which is done now and then; they can be had again at no cost.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.peaks: npt.NDArray[np.float32] | None = None  # see nam_like.audio.peaks
        self._map: mmap.mmap | None = None
        self._touched = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_map": None, "_touched": 0}

    def read_into(self, first: int, out: FloatArray) -> None:
        """Decode the samples from `first` on into `out` `(n,)`."""
        decode(self._mapped(), self.layout, first, out)
        self._touched += out.size * self.layout.stride
        if self._touched > PAGES_KEPT:
            self.release()

    def release(self) -> None:
        """Hand the pages back to the system, where it can be told so."""
        self._touched = 0
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            path, end = self.layout.path, self._end()
            try:
                with path.open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise AudioError(f"{path}: cannot be mapped into memory: {error}") from error
            if len(mapped) < end:
                raise AudioError(
                    f"{path}: truncated: expected at least {end} bytes, but the file holds only {len(mapped)}"
                )
            self._map = mapped
        return self._map

    def _end(self) -> int:
        """The first byte that no sample needs."""
        layout = self.layout
        return layout.start + max(layout.frames - 1, 0) * layout.stride + _WIDTHS[layout.encoding]
