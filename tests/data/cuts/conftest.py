"""Cuts made of synthesised audio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from nam_like.data.base import DatasetContext

RATE = 16000


def counted(samples: int, start: int = 0) -> np.ndarray:
    """A signal whose samples tell their number, exactly in 16-bit PCM."""
    return ((np.arange(start, start + samples) % 65521) - 32760) / 32768


class Studio:
    """Writes recordings and manifests into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def wav(self, name: str, samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.asarray(samples).T, rate, subtype=subtype)
        return path

    def recording(self, name: str, samples: Any, rate: int = RATE, subtype: str = "PCM_16") -> Any:
        from lhotse import Recording

        return Recording.from_file(self.wav(f"{name}.wav", samples, rate, subtype), name)

    def cut(
        self, name: str, samples: Any, target: Any = None, rate: int = RATE, target_rate: int | None = None
    ) -> Any:
        recording = self.recording(name, samples, rate)
        cut = recording.to_cut()
        cut.id = name
        if target is not None:
            cut.target_recording = self.recording(f"{name}-target", target, target_rate or rate)
        return cut

    def cuts(self, *cuts: Any, name: str = "cuts.jsonl.gz") -> str:
        from lhotse import CutSet

        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        CutSet.from_cuts(cuts).to_file(path)
        return str(path)

    def counted_cuts(self, number: int, seconds: float = 0.1, prefix: str = "c") -> list[Any]:
        """Cuts of different samples each; the target is the input, negated."""
        samples = round(seconds * RATE)
        signals = [counted(samples, 37 * samples * index) for index in range(number)]
        return [self.cut(f"{prefix}{index}", x, -x) for index, x in enumerate(signals)]

    def shar(self, name: str, number: int, per_shard: int, prefix: str = "c", seconds: float = 0.1) -> Path:
        from lhotse import CutSet

        folder = self.folder / name
        folder.mkdir(parents=True)
        CutSet.from_cuts(self.counted_cuts(number, seconds, prefix)).to_shar(
            folder, fields={"recording": "flac", "target_recording": "flac"}, shard_size=per_shard
        )
        return folder


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Any]:
    """Builds a dataset of its keys."""
    from nam_like.data.cuts import CutsDatasetConfig

    def make(split: Any = "train", run_seed: int = 0, **keys: Any) -> Any:
        context = DatasetContext(nx=1, folders=(tmp_path,), split=split, seed=run_seed)
        return CutsDatasetConfig(**keys).build(context)

    return make
