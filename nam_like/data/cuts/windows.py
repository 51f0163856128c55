"""Which part of a cut an example is made of."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

__all__ = ["OffsetType", "window"]

OffsetType: TypeAlias = Literal["random", "start", "end"]


def window(
    start: float,
    duration: float,
    longest: float | None,
    *,
    kind: OffsetType,
    grid: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Choose a window of a cut.

    Args:
        start: of the cut in its recording, seconds.
        duration: of the cut, seconds.
        longest: of the window, seconds; a cut that is not longer stays whole.
        kind: where the window lies: anywhere, at the beginning or at the end.
        grid: Hz; the window begins at a multiple of 1/grid in the recording. With the greatest common divisor
            of all sample rates, it begins at a whole sample of each.
        rng: what is random.

    Returns:
        Offset in the cut, and duration, in seconds.
    """
    if longest is None or duration <= longest:
        return 0.0, duration
    slack = duration - longest
    if kind == "start":
        return 0.0, longest
    offset = slack if kind == "end" else float(rng.uniform(0.0, slack))
    on_grid = math.floor((start + offset) * grid + 1e-6) / grid - start
    return max(on_grid, 0.0), longest
