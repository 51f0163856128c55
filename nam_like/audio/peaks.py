"""Where a signal is loud: blocks that may reach a magnitude, found without reading the others again.

A long file is gone through once, on all cores, and the peak of each block is noted in the cache; ten hours of
audio give 26 KB. Later runs on the same file read the notes instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.cache import AudioCache, content_digest
from nam_like.audio.errors import AudioError
from nam_like.audio.signal import BLOCK, Samples, Signal, blocks
from nam_like.files import SAMPLED_ABOVE, write_bytes_atomic

__all__ = ["block_peak", "file_peaks", "loud_blocks"]

LOGGER = logging.getLogger(__name__)

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Float32Array: TypeAlias = npt.NDArray[np.float32]

MOST_THREADS = 4
"""More would wait for the disk."""
ROUNDING = 1.0 + 1e-5
"""By more than this factor, gains that are rounded to float32 one by one do not differ from their product."""


def loud_blocks(samples: Samples, threshold: float) -> Iterator[tuple[int, FloatArray]]:
    """Yield the blocks whose peak is not below `threshold`, or NaN, and where each begins.

    Args:
        samples: `(L,)`, an array or a signal.
        threshold: a magnitude; infinity finds what is not finite.

    Yields:
        First sample and samples of a block, which may be used until the next one is asked for.
    """
    if isinstance(samples, Signal) and samples.layout.frames * samples.layout.stride > SAMPLED_ABOVE:
        yield from _noted_blocks(samples, threshold)
        return
    for start, block in blocks(samples):
        if not block_peak(block) < threshold:
            yield start, block


def block_peak(block: FloatArray) -> float:
    """Return the largest magnitude of `(n,)` samples, n ≥ 1; NaN where one of them is."""
    return max(float(block.max()), -float(block.min()))


def _noted_blocks(signal: Signal, threshold: float) -> Iterator[tuple[int, FloatArray]]:
    """As :func:`loud_blocks`, of a signal in a long file; blocks begin where those of the file do."""
    gain = ROUNDING * float(np.prod(np.abs(signal.gains)))
    offset, stop = signal.offset, signal.offset + len(signal)
    loud = ~(gain * signal.peaks(file_peaks) < threshold)
    for number in np.flatnonzero(loud[: -(-stop // BLOCK)]).tolist():
        first, last = max(number * BLOCK, offset), min((number + 1) * BLOCK, stop)
        if first < last:
            block = signal.read(first - offset, last - offset)
            if not block_peak(block) < threshold:
                yield first - offset, block


def file_peaks(whole: Signal) -> Float32Array:
    """Return the peak of each block of :data:`nam_like.audio.signal.BLOCK` samples of a file.

    Args:
        whole: all samples of one channel of it, without gains.

    Returns:
        `(blocks,)`; NaN for a block that holds one. They come from the cache; what is not there is found, and
        kept there if that is possible.
    """
    layout = whole.layout
    count = -(-layout.frames // BLOCK)
    # Without notes the next run takes longer, which is no reason to stop this one.
    kept_as = None
    try:
        cache = AudioCache()
        kept_as = cache.folder / f"{content_digest(layout.path)}-{layout.start}-{layout.stride}-peaks.f32"
        if cache.find(kept_as.name, count) is not None:
            return np.fromfile(kept_as, dtype="<f4", count=count)
    except (OSError, AudioError) as error:
        LOGGER.debug("%s: nothing can be noted about it: %s", layout.path, error)
    peaks = _measured(whole)
    if kept_as is not None:
        try:
            write_bytes_atomic(kept_as, peaks.astype("<f4").tobytes())
        except OSError as error:
            LOGGER.debug("%s: its peaks cannot be kept: %s", layout.path, error)
    return peaks


def _measured(whole: Signal) -> Float32Array:
    """The peaks, from the samples."""
    LOGGER.info("%s: gone through once, for peaks (%.1f GiB)", whole.layout.path, _gib(whole))
    starts = range(0, len(whole), BLOCK)

    def peak_at(start: int) -> float:
        return block_peak(whole.read(start, min(start + BLOCK, len(whole))))

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return np.fromiter(pool.map(peak_at, starts), dtype=np.float32, count=len(starts))


def _gib(whole: Signal) -> float:
    return whole.layout.frames * whole.layout.stride / (1 << 30)
