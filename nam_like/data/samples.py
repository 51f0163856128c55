"""Recordings in memory and recordings in files, handled alike.

The samples of a dataset are a tensor `(L,)`, or a :class:`nam_like.audio.signal.Signal` that stays in its
file because all recordings of a run together are long. What is cut out of either is a tensor, with the same
samples to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from nam_like.audio.signal import BLOCK, Signal
from nam_like.audio.signal import Samples as ArrayOrSignal
from nam_like.data import segments

__all__ = ["Samples", "blocks", "checkable", "cut", "energy", "gather", "resident", "scaled"]

Samples: TypeAlias = Tensor | Signal


def blocks(samples: Samples, size: int = BLOCK) -> Iterator[Tensor]:
    """Yield `(n,)` tensors, one after the other, that make up `samples` `(L,)`.

    This is how a joint hook goes through the ``y`` of a dataset in memory that does not grow with its length.
    A block may be used until the next one is asked for, and must not be changed.
    """
    if isinstance(samples, Signal):
        for _, block in samples.blocks(size):
            yield torch.from_numpy(block)
    else:
        for start in range(0, len(samples), size):
            yield samples[start : start + size]


def energy(samples: Samples) -> float:
    """Σ x² of `(L,)`, in float64."""
    return math.fsum(float(block.double().square().sum()) for block in blocks(samples))


def cut(samples: Samples, start: int, stop: int) -> Tensor:
    """The samples from `start` to `stop`, `(stop − start,)`; a view where they are in memory."""
    if isinstance(samples, Signal):
        return torch.from_numpy(samples.read(start, stop))
    return samples[start:stop]


def gather(samples: Samples, starts: Tensor, length: int) -> Tensor:
    """Cut segments out of a signal: with one indexing operation in memory, decoded one by one from a file.

    Args:
        samples: `(L,)`, or a tensor `(K, L)`.
        starts: `(B,)`, from 0 to `L − length`.
        length: of each segment.

    Returns:
        `(B, length)` or `(B, K, length)`.
    """
    if isinstance(samples, Signal):
        rows = np.empty((len(starts), length), dtype=np.float32)
        for row, start in zip(rows, starts.tolist(), strict=True):
            samples.read_into(start, row)
        return torch.from_numpy(rows)
    return segments.gather(samples, starts, length)


def scaled(samples: Samples, gain: float) -> Samples:
    """`samples` times `gain`; the original is left alone. What is in a file is scaled when it is read."""
    return samples.scaled(gain) if isinstance(samples, Signal) else samples * gain


def resident(samples: Samples) -> Tensor:
    """All samples as a tensor `(L,)`, read if they are in a file."""
    return cut(samples, 0, len(samples)) if isinstance(samples, Signal) else samples


def checkable(samples: Samples) -> ArrayOrSignal:
    """As the functions of :mod:`nam_like.audio.checks` take it; nothing is read or copied."""
    return samples if isinstance(samples, Signal) else samples.numpy()
