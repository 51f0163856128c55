"""Recordings and configs that the tests of the data layer share."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from nam_like.audio.io import write_audio
from nam_like.config.component import component

RATE = 8000

# A busy machine is no failure.
settings.register_profile("data", deadline=None)
settings.load_profile("data")


def noise(length: int, seed: int = 0) -> np.ndarray:
    """Uniform noise that 16-bit PCM and 32-bit float both hold exactly."""
    return np.random.default_rng(seed).integers(-(2**14), 2**14, length) / 2**16


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """Writes a float WAV into the test's folder."""

    def write(name: str, samples: Any, rate: int = RATE) -> Path:
        write_audio(tmp_path / name, np.asarray(samples, dtype=np.float32), rate, subtype="FLOAT")
        return tmp_path / name

    return write


@pytest.fixture
def pair(wav: Callable[..., Path]) -> dict[str, str]:
    """Paths of two recordings of 1000 samples, as config keys."""
    return {
        "x_path": str(wav("x.wav", noise(1000, 1))),
        "y_path": str(wav("y.wav", noise(1000, 2))),
        "require_input_pre_silence": None,
    }


def spec(train: Any, validation: Any, joint: Any = (), name: str = "paired") -> Any:
    """A data config as `build_datasets` reads it."""

    def members(section: Any) -> list[Any]:
        entries = section if isinstance(section, list) else [section]
        return [
            component("dataset", {"name": entry.get("type", name), "config": _without_type(entry)})
            for entry in entries
        ]

    return types.SimpleNamespace(
        train=members(train),
        validation=members(validation),
        train_is_list=isinstance(train, list),
        validation_is_list=isinstance(validation, list),
        joint=[component("hook", hook) for hook in joint],
    )


def _without_type(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "type"}


@pytest.fixture
def make_spec() -> Callable[..., Any]:
    """The function :func:`spec`."""
    return spec
