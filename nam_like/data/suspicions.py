"""What is suspicious about recordings, and no error: told while it is cheap to change."""

from __future__ import annotations

from nam_like.audio.checks import pair_warnings
from nam_like.audio.signal import read
from nam_like.data.base import AbstractDataset
from nam_like.data.paired import PairedDataset
from nam_like.data.samples import checkable

__all__ = ["suspicions"]

#: How much of each recording is listened to, from its middle (s).
SECONDS = 10.0


def suspicions(dataset: AbstractDataset) -> list[str]:
    """Offset, polarity, alignment and identity of each pair of recordings behind a dataset, in words.

    Args:
        dataset: of aligned recordings; of other data nothing is said.
    """
    found: list[str] = []
    for part in dataset.base_datasets():
        if not isinstance(part, PairedDataset) or len(part.sources) != len(("x", "y")):
            continue
        samples = min(len(part.x), round(SECONDS * (part.sample_rate or 48_000)))
        start = (len(part.x) - samples) // 2
        x, y = (read(checkable(signal), start, start + samples) for signal in (part.x, part.y))
        dry, wet = part.sources
        found += pair_warnings(x, y, (str(dry.path), str(wet.path)))
    return found
