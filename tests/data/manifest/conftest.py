"""Audio files and manifests that the tests of manifest datasets write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from harness.manifests import RATE, MakeDataset, MakeManifest, Write
from hypothesis import settings

from nam_like.data.base import DatasetContext
from nam_like.data.manifest import ManifestDataset, ManifestDatasetConfig

# A busy machine is no failure.
settings.register_profile("manifest", deadline=None)
settings.load_profile("manifest")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an audio file, `(T,)` or `(T, C)`, into the test's folder and returns its name."""

    def write(name: str, samples: Any, rate: int = RATE, subtype: str = "FLOAT") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.asarray(samples), rate, subtype=subtype)
        return name

    return write


@pytest.fixture
def manifest(tmp_path: Path) -> MakeManifest:
    """Writes a manifest of lines: objects, or text as it is."""

    def make(lines: Sequence[Mapping[str, Any] | str], name: str = "manifest.json") -> Path:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return tmp_path / name

    return make


@pytest.fixture
def dataset(manifest: MakeManifest) -> MakeDataset:
    """Makes a dataset of lines with keys of its config; without a target unless a key is given."""

    def make(
        lines: Sequence[Mapping[str, Any]], *, split: Any = "train", seed: int = 0, **keys: Any
    ) -> ManifestDataset:
        given = {"sample_rate": RATE, "target_key": None, **keys, "manifest_filepath": str(manifest(lines))}
        return ManifestDatasetConfig.model_validate(given).build(DatasetContext(1, split=split, seed=seed))

    return make
