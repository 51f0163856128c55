"""Conversion between sample rates through soxr (band-limited interpolation, linear phase, sample-aligned)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.errors import UserError

__all__ = ["Quality", "resample", "resample_blocks", "resampled_length"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Quality: TypeAlias = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]


def resampled_length(length: int, from_rate: int, to_rate: int) -> int:
    """Return the number of samples after conversion: `length · to_rate / from_rate`, halves rounded up."""
    return (2 * length * to_rate + from_rate) // (2 * from_rate)


def resample(samples: FloatArray, from_rate: int, to_rate: int, quality: Quality = "HQ") -> FloatArray:
    """Convert samples to another rate.

    The first sample keeps its time, and the result has :func:`resampled_length` samples. Everything above
    half of the lower rate is suppressed by more than 100 dB with `HQ` (20 bits) and `VHQ` (28 bits).

    Args:
        samples: `(L,)`, `float32` or `float64`.
        from_rate: Hz.
        to_rate: Hz.
        quality: soxr's quality: `QQ` (quick, cubic), `LQ`, `MQ`, `HQ` or `VHQ`.

    Returns:
        `(L · to_rate / from_rate,)`, rounded, of the same type.

    Raises:
        UserError: a rate is not positive, or soxr is not installed.
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        return samples
    converted: FloatArray = _soxr(from_rate, to_rate).resample(samples, from_rate, to_rate, quality=quality)
    # soxr rounds the length its own way; the contract is one formula for everybody.
    length = resampled_length(samples.shape[0], from_rate, to_rate)
    if converted.shape[0] < length:
        converted = np.pad(converted, (0, length - converted.shape[0]))
    return converted[:length]


def resample_blocks(
    blocks: Iterable[npt.NDArray[np.float32]],
    length: int,
    from_rate: int,
    to_rate: int,
    quality: Quality = "HQ",
) -> Iterator[npt.NDArray[np.float32]]:
    """Convert a signal that comes in blocks: the samples that :func:`resample` gives, block by block.

    Args:
        blocks: `(n,)` each, one after the other.
        length: how many samples they are together.
        from_rate: Hz.
        to_rate: Hz.
        quality: see :func:`resample`.

    Yields:
        Blocks of any size, :func:`resampled_length` samples in all.

    Raises:
        UserError: a rate is not positive, or soxr is not installed.
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        yield from blocks
        return
    stream = _soxr(from_rate, to_rate).ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=quality)
    wanted, seen = resampled_length(length, from_rate, to_rate), 0
    for block in blocks:
        seen += block.shape[0]
        converted = stream.resample_chunk(block, last=seen >= length)[:wanted]
        wanted -= converted.shape[0]
        yield converted
    if wanted:
        yield np.zeros(wanted, dtype=np.float32)


def _check_rates(from_rate: int, to_rate: int) -> None:
    for name, rate in (("from_rate", from_rate), ("to_rate", to_rate)):
        if rate <= 0:
            raise UserError(f"expected `{name}` to be positive, but got {rate}")


def _soxr(from_rate: int, to_rate: int) -> ModuleType:
    try:
        import soxr
    except ImportError as error:
        raise UserError(
            f"resampling from {from_rate} Hz to {to_rate} Hz needs soxr: pip install 'nam_like[resample]'"
        ) from error
    module: ModuleType = soxr
    return module
