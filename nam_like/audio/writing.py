"""The one writer of audio files.

WAV with integers goes through wavio, everything else through soundfile. An integer sample of `bits` bits is
the float times 2^(bits − 1), rounded: what :mod:`nam_like.audio.io` read is written back exactly.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError, reason
from nam_like.files import atomic_path

__all__ = ["Subtype", "write_audio"]

LOGGER = logging.getLogger(__name__)

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Subtype: TypeAlias = Literal["PCM_16", "PCM_24", "PCM_32", "FLOAT", "VORBIS"]

PCM_BITS: Final = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
WRITABLE: Final[dict[str, tuple[str, ...]]] = {
    # suffix -> subtypes, the default first
    ".wav": ("PCM_24", "PCM_16", "PCM_32", "FLOAT"),
    ".flac": ("PCM_24", "PCM_16"),
    ".ogg": ("VORBIS",),
}


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
        raise AudioError(f"{path.name}: cannot be written: {reason(error)}") from error
