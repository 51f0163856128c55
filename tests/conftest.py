"""What all tests share: a guard, one thread per process, and a tiny capture to train on."""

from __future__ import annotations

import importlib.metadata
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples in every run, so that a failure is never one of chance. To look for others:
# pytest --hypothesis-profile=default
settings.register_profile("reproducible", derandomize=True)
settings.load_profile("reproducible")

# Two processes run the tests side by side; nets this small are slower on several threads anyway.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("NAM_LIKE_EXTENSIONS", None)

MALICIOUS = {"2.6.2", "2.6.3"}  # GHSA-w37p-236h-pfx3: these steal credentials when they are imported


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to import a malicious release; reading the metadata does not import it."""
    for name in ("pytorch-lightning", "lightning"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if version in MALICIOUS:
            pytest.exit(f"{name} {version} is a malicious release: remove this environment", returncode=3)


@pytest.fixture(autouse=True)
def no_extensions_of_the_developer(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests never load what lies in ~/.nam_like."""
    monkeypatch.setattr("nam_like.extensions.default_folder", lambda: None)


@dataclass(frozen=True)
class Capture:
    """A dry and a wet recording of two seconds, and the folder they are in."""

    folder: Path
    x: Path
    y: Path
    sample_rate: int


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Half a second of silence, then noise bursts, through a soft clipper after a one-pole low-pass."""
    import numpy as np
    import soundfile
    from scipy.signal import lfilter

    rate = 48_000
    random = np.random.default_rng(7)
    bursts = random.uniform(-0.5, 0.5, 3 * rate // 2) * np.abs(np.sin(np.arange(3 * rate // 2) / 9000.0))
    x = np.concatenate([np.zeros(rate // 2), bursts])
    y = 0.5 * np.tanh(3.0 * lfilter([0.4], [1.0, -0.6], x))
    folder = tmp_path / "capture"
    folder.mkdir()
    for name, signal in (("x.wav", x), ("y.wav", y)):
        soundfile.write(folder / name, signal, rate, subtype="PCM_24")
    return Capture(folder, folder / "x.wav", folder / "y.wav", rate)


@dataclass
class Run:
    """Three JSONs of a run of seconds; change `data`, `model` or `learning` and call :meth:`write`."""

    folder: Path
    data: dict[str, Any]
    model: dict[str, Any]
    learning: dict[str, Any]

    def write(self) -> list[str]:
        """Write the three files and return the arguments of ``nam_full``."""
        paths = []
        for name in ("data", "model", "learning"):
            path = self.folder / f"{name}.json"
            path.write_text(json.dumps(getattr(self, name), indent=2), encoding="utf-8")
            paths.append(str(path))
        return [*paths, str(self.folder / "out")]


@pytest.fixture
def tiny_run(capture: Capture) -> Run:
    """Two epochs of a WaveNet of two layers on the capture."""
    layer_array = {
        "input_size": 1,
        "condition_size": 1,
        "channels": 2,
        "kernel_size": 3,
        "dilations": [1, 2],
        "activation": "Tanh",
        "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
    }
    return Run(
        capture.folder,
        data={
            "train": {"start_seconds": 0.5, "stop_seconds": 1.5, "ny": 2048},
            "validation": {"start_seconds": 1.5, "ny": None},
            "common": {"x_path": "x.wav", "y_path": "y.wav", "delay": 0, "require_input_pre_silence": None},
        },
        model={
            "net": {"name": "WaveNet", "config": {"layers_configs": [layer_array], "head_scale": 1.0}},
            "loss": {"val_loss": "esr"},
            "optimizer": {"lr": 0.01},
            "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.99}},
        },
        learning={
            "train_dataloader": {"batch_size": 4, "shuffle": True, "drop_last": True},
            "val_dataloader": {},
            "trainer": {"accelerator": "cpu", "max_epochs": 2},
            "seed": 1,
        },
    )
