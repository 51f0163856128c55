"""What an exporter is, and how an export is compared with the net it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exporter", "Verification", "compare"]


@dataclass(frozen=True)
class Verification:
    """How far an export is from its net.

    Attributes:
        max_abs: largest difference of a sample.
        esr: energy of the difference over the energy of the net's output; 0 where both are silent.
        peak: largest sample of the net's output.
        plays: whether the file was played; otherwise only its weights were compared.
    """

    max_abs: float
    esr: float
    peak: float
    plays: bool = True


@runtime_checkable
class Exporter(Protocol):
    """Writes a net into a file that something else can play.

    Attributes:
        name: what configs call it.
        suffix: of its files.
    """

    name: str
    suffix: str

    def obstacles(self, net: Any) -> list[str]:
        """Why the net cannot be exported so that it plays as it trains; empty when it can."""

    def write(self, net: Any, path: Path, metadata: dict[str, Any]) -> None:
        """Write the file, whole or not at all.

        Raises:
            ExportError: it cannot be written.
        """

    def verify(self, net: Any, path: Path, audio: NDArray[np.float32]) -> Verification:
        """Read the file back and compare it with the net on `audio`, ``(L,)`` or ``(C, T)``.

        Raises:
            ExportError: they disagree.
        """


def compare(played: NDArray[np.float32], wanted: NDArray[np.float32]) -> Verification:
    """Compare what an export plays with what the net plays, both ``(L,)``.

    Returns:
        Infinite differences where the lengths differ or something is not finite.
    """
    if played.shape != wanted.shape or not (np.isfinite(played).all() and np.isfinite(wanted).all()):
        return Verification(float("inf"), float("inf"), float("nan"))
    target = wanted.astype(np.float64)
    difference = played.astype(np.float64) - target
    energy, error = float(np.sum(target**2)), float(np.sum(difference**2))
    esr = error / energy if energy > 0.0 else 0.0 if error == 0.0 else float("inf")
    peak = float(np.max(np.abs(target), initial=0.0))
    return Verification(float(np.max(np.abs(difference), initial=0.0)), esr, peak)
