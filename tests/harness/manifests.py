"""What tests of manifest datasets share: samples that tell where they come from, and types of fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nam_like.data.manifest import ManifestDataset

RATE = 16000

Write = Callable[..., str]
MakeManifest = Callable[..., Path]
MakeDataset = Callable[..., ManifestDataset]


def ramp(samples: int, first: int = 0) -> np.ndarray:
    """Samples that tell their own index, exactly in float32."""
    return (np.arange(first, first + samples) / 2**20).astype(np.float32)


def indices(signal: Any) -> list[int]:
    """The indices that samples of a :func:`ramp` tell."""
    return [round(float(value) * 2**20) for value in signal]
