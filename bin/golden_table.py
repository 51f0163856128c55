"""Compare the `.nam` reader with recorded outputs of the realtime engine and print a Markdown table.

Usage: python bin/golden_table.py [FOLDER]

FOLDER holds one folder per model (`model.nam`, `core_*.npy`), `inputs/` and `manifest.json`; by default it is
`shared/golden/engine` beside or above the repository, or else the small set in tests/data/golden.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nam_like.errors import NamFileError  # noqa: E402
from nam_like.export.nam_read import load_nam  # noqa: E402

SMALL_SET = ROOT / "tests" / "data" / "golden"
MAX_DIFFERENCE = 3e-6  # of max(1, peak)
MAX_ESR = 1e-10
_RUN = re.compile(r"core_(?:slim(?P<slim>[\d.]+)_)?(?P<input>\w+)\.npy")


@dataclass(frozen=True)
class Row:
    """One model: how far the reader is from the engine, at worst, or why it was refused."""

    name: str
    status: str
    runs: int = 0
    difference: float = 0.0  # max |d| / max(1, peak)
    esr: float = 0.0
    refused: str = ""

    @property
    def good(self) -> bool:
        """Whether the reader did as the engine."""
        if self.status == "core_rejects":
            return bool(self.refused)
        return not self.refused and self.difference <= MAX_DIFFERENCE and self.esr <= MAX_ESR


def large_set() -> Path | None:
    """The whole set, if there is one beside or above the repository."""
    for parent in ROOT.parents:
        folder = parent / "shared" / "golden" / "engine"
        if (folder / "manifest.json").is_file():
            return folder
    return None


def entries(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, status) of each model of a set that has a file."""
    for model in json.loads((folder / "manifest.json").read_text("utf-8"))["models"]:
        if (folder / model["name"] / "model.nam").is_file():
            yield model["name"], model["status"]


def recordings(folder: Path, name: str) -> list[Path]:
    """The engine's outputs for a model; a legacy file plays as its newer namesake."""
    if name.startswith("legacy_"):
        newer = name.removeprefix("legacy_")
        name = newer if newer.startswith("lstm") else f"wn_{newer}"
    return sorted((folder / name).glob("core_*.npy"))


def compare(folder: Path, name: str, status: str) -> Row:
    """Play a model's recordings again and measure the worst difference."""
    path = folder / name / "model.nam"
    try:
        load_nam(path)
        worst, worst_esr, paths = 0.0, 0.0, recordings(folder, name)
        for recording in paths:
            run = _RUN.fullmatch(recording.name)
            expected = np.load(recording).astype(np.float64)
            x = np.load(folder / "inputs" / f"{run['input']}.npy")[: len(expected)]
            got = load_nam(path, slim=float(run["slim"]) if run["slim"] else None).process(x)
            error = got - expected
            worst = max(worst, np.abs(error).max() / max(1.0, np.abs(expected).max()))
            worst_esr = max(worst_esr, np.sum(error**2) / np.sum(expected**2))
        return Row(name, status, len(paths), float(worst), float(worst_esr))
    except NamFileError as error:
        return Row(name, status, refused=str(error).removeprefix(f"{path}: "))


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else large_set() or SMALL_SET
    rows = [compare(folder, name, status) for name, status in entries(folder)]
    print("| model | status | runs | worst max\\|d\\| / max(1, peak) | worst ESR | as the engine |")
    print("|-|-|-|-|-|-|")
    for row in rows:
        verdict = "yes" if row.good else "**no**"
        if row.refused:
            print(f"| {row.name} | {row.status} | – | refused: {row.refused} | – | {verdict} |")
        elif row.runs:
            cells = f"{row.runs} | {row.difference:.1e} | {row.esr:.1e}"
            print(f"| {row.name} | {row.status} | {cells} | {verdict} |")
        else:
            print(f"| {row.name} | {row.status} | 0 | loads; nothing recorded | – | {verdict} |")
    played = [row for row in rows if row.runs]
    difference, esr = max(r.difference for r in played), max(r.esr for r in played)
    print(
        f"\n{sum(r.good for r in rows)} of {len(rows)} as the engine; worst {difference:.1e}, ESR {esr:.1e}."
    )
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
