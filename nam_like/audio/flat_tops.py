"""Runs of equal samples at full scale, found in a signal that comes in blocks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["FlatTops"]

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]


class FlatTops:
    """Counts the flat tops that a clipping converter leaves; a run may go on from one block to the next.

    Args:
        threshold: magnitude from which a sample is at full scale.
        min_run: how many equal samples in a row count.

    Attributes:
        count: runs that are long enough.
        first: sample at which the first of them begins.
        longest: length of the longest run (samples).
    """

    def __init__(self, threshold: float, min_run: int) -> None:
        self.threshold = threshold
        self.min_run = min_run
        self.count = 0
        self.first = 0
        self.longest = 0
        # The run that the last block ended in: its value, where it begins and how long it is by now.
        self._value = 0.0
        self._start = 0
        self._length = 0
        self._next = 0

    def close(self) -> None:
        """What follows does not go on with the run that the last block ended in, or nothing follows."""
        self._note(np.array([self._start]), np.array([self._length]))
        self._length = 0

    def add(self, start: int, block: FloatArray) -> None:
        """Go through the block `(n,)` whose first sample is sample `start` of the signal.

        Blocks come in order; those without any sample at full scale may be left out.
        """
        if start != self._next:
            self.close()
        self._next = start + block.size
        starts, lengths = _runs(block, self.threshold)
        if starts.size and starts[0] == 0 and self._length and float(block[0]) == self._value:
            self._length += int(lengths[0])
            if lengths[0] == block.size:
                return  # the whole block is the same run
            starts, lengths = starts[1:], lengths[1:]
        self.close()
        if starts.size and starts[-1] + lengths[-1] == block.size:
            self._value = float(block[-1])
            self._start, self._length = start + int(starts[-1]), int(lengths[-1])
            starts, lengths = starts[:-1], lengths[:-1]
        self._note(starts + start, lengths)

    def _note(self, starts: npt.NDArray[np.intp], lengths: npt.NDArray[np.intp]) -> None:
        """Count runs that are over; they come in order."""
        long = np.flatnonzero(lengths >= self.min_run)
        if long.size == 0:
            return
        if self.count == 0:
            self.first = int(starts[long[0]])
        self.count += long.size
        self.longest = max(self.longest, int(lengths.max()))


def _runs(samples: FloatArray, threshold: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return starts and lengths of the runs of equal samples at full scale."""
    top = np.abs(samples) >= threshold
    continues = np.zeros(samples.size + 1, dtype=bool)
    continues[1:-1] = top[1:] & (samples[1:] == samples[:-1])
    starts = np.flatnonzero(top & ~continues[:-1])
    ends = np.flatnonzero(top & ~continues[1:])
    return starts, ends - starts + 1
