"""Knobs that run along with a recording: values at any stretch of it, computed when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nam_like.audio.signal import BLOCK
from nam_like.data.knobs import Interpolation, KnobCurves, check_range, curves_at

__all__ = ["KnobTrack"]


@dataclass(frozen=True)
class KnobTrack:
    """The values of all knobs over a recording, of which only the rows of the CSV are held.

    Attributes:
        names: the knobs, in order.
        curves: the knobs that move, normalised.
        constant: the knobs that do not move, normalised.
        start: sample of the input file that is sample 0 of the recording.
        length: samples of the recording.
        interpolation: see :func:`nam_like.data.knobs.curves_at`.

    Raises:
        KnobError: the rows of the CSV do not tell the values of all samples.
    """

    names: tuple[str, ...]
    curves: KnobCurves
    constant: Mapping[str, float]
    start: int
    length: int
    interpolation: Interpolation

    ndim = 2

    def __post_init__(self) -> None:
        check_range(self.curves, self.start, self.length, self.interpolation)

    @property
    def shape(self) -> tuple[int, int]:
        """`(K, L)`."""
        return len(self.names), self.length

    def read(self, start: int, stop: int) -> Tensor:
        """Values from sample `start` of the recording to `stop`: `(K, stop − start)` float32."""
        values = torch.empty(len(self.names), stop - start)
        for row, name in enumerate(self.names):
            if name in self.constant:
                values[row] = self.constant[name]
        moving = [self.names.index(name) for name in self.curves.names]
        for begin in range(start, stop, BLOCK):  # the curves are computed in float64 in blocks
            end = min(begin + BLOCK, stop)
            block = curves_at(self.curves, self.start + begin, end - begin, self.interpolation)
            values[moving, begin - start : end - start] = torch.from_numpy(block.astype(np.float32))
        return values

    def gather(self, starts: Tensor, length: int) -> Tensor:
        """Values of the segments that begin at `starts` `(B,)`: `(B, K, length)`."""
        return torch.stack([self.read(start, start + length) for start in starts.tolist()])
