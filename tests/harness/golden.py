"""Recorded outputs of the realtime engine: those in tests/data, or all where they are at hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
#: Samples to play of each input.
LENGTH = 8_000


def folder() -> Path:
    """The full set beside the repository, or the part that is in it."""
    for parent in ROOT.parents:
        full = parent / "shared" / "golden" / "engine"
        if (full / "manifest.json").exists():
            return full
    return ROOT / "tests" / "data" / "golden"


@dataclass(frozen=True)
class Golden:
    """One model that the engine played (or refused).

    Attributes:
        name: of its folder.
        status: ``match``, ``mismatch``, ``core_rejects``, …
        architecture: as the manifest says.
        config: what it was trained from, or None.
        path: its file.
    """

    name: str
    status: str
    architecture: str
    config: dict[str, Any] | None
    path: Path

    def envelope(self) -> dict[str, Any]:
        """Content of the file."""
        content: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return content

    def recordings(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """What was played, and what the engine made of it, both ``(L,)``."""
        pairs = []
        for source in ("pluck", "sine"):
            recorded = self.path.parent / f"core_{source}.npy"
            if recorded.exists():
                played = np.load(self.path.parents[1] / "inputs" / f"{source}.npy")
                wanted = np.load(recorded)
                length = min(len(played), len(wanted), LENGTH)
                pairs.append((played[:length], wanted[:length]))
        return pairs


def entries(*statuses: str) -> list[Golden]:
    """The models with one of the statuses whose file is there."""
    base = folder()
    found = []
    for entry in json.loads((base / "manifest.json").read_text(encoding="utf-8"))["models"]:
        path = base / entry["name"] / "model.nam"
        if entry["status"] in statuses and path.exists():
            found.append(
                Golden(entry["name"], entry["status"], entry["architecture"], entry.get("config"), path)
            )
    return found


def entry(name: str) -> Golden:
    """One model by name."""
    every = entries("match", "mismatch", "core_rejects", "core_only", "peer_error")
    return next(golden for golden in every if golden.name == name)


def assert_plays(played: NDArray[Any], wanted: NDArray[np.float32]) -> None:
    """Hold audio to the stated tolerance: max|d| ≤ 3e-6·max(1, peak) and ESR ≤ 1e-10."""
    difference = played.astype(np.float64) - wanted
    peak = float(np.abs(wanted).max())
    assert float(np.abs(difference).max()) <= 3e-6 * max(1.0, peak)
    assert float(np.sum(difference**2)) <= 1e-10 * float(np.sum(wanted.astype(np.float64) ** 2))
