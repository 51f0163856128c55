"""The folder of a run: ``outdir/<date>_<time>/``, pointed to by ``outdir/latest``; it explains itself."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nam_like import __version__
from nam_like.files import write_json_atomic, write_text_atomic

__all__ = ["RunFolder", "host", "latest_run", "versions"]

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "numpy", "scipy", "soundfile")


@dataclass
class RunFolder:
    """One run on disk.

    Attributes:
        path: the folder.
        record: what ``run.json`` says; :meth:`update` writes it.
    """

    path: Path
    record: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, outdir: Path) -> RunFolder:
        """Make a new folder; two runs of one second get two folders."""
        outdir.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        for number in range(1, 10_000):
            path = outdir / (stamp if number == 1 else f"{stamp}_{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return cls(path)
        raise FileExistsError(f"no free name for a run folder in {outdir}")

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The log."""
        return self.path / "metrics.csv"

    def write_configs(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the three resolved JSONs."""
        for name, config in configs.items():
            write_json_atomic(self.path / f"config_{name}.json", config, indent=2)

    def update(self, **facts: Any) -> None:
        """Add to ``run.json`` and write it; facts that cannot be written are not kept."""
        record = {**self.record, **facts}
        write_json_atomic(self.path / "run.json", record, indent=2)
        self.record = record

    def point_latest(self) -> None:
        """Let ``outdir/latest`` be this run: a link, or a file with its name where links are not allowed."""
        latest = self.path.parent / "latest"
        temporary = latest.with_name(f".latest.{self.path.name}")
        try:
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(self.path.name, target_is_directory=True)
            temporary.replace(latest)
        except OSError:
            temporary.unlink(missing_ok=True)
            if not latest.is_dir():
                write_text_atomic(latest, self.path.name + "\n")


def latest_run(outdir: Path) -> Path | None:
    """The run that ``outdir/latest`` points to, or None."""
    latest = outdir / "latest"
    if latest.is_dir():
        return latest.resolve()
    if latest.is_file():
        named = outdir / latest.read_text(encoding="utf-8").strip()
        return named if named.is_dir() else None
    return None


def versions() -> dict[str, str]:
    """Versions of everything that a result depends on."""
    return dict(_versions())


@functools.cache
def _versions() -> dict[str, str]:
    found = {"nam_like": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def host() -> dict[str, Any]:
    """The machine."""
    facts: dict[str, Any] = {
        "name": socket.gethostname(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return facts


def command_line(command: Sequence[str]) -> list[str]:
    """The command of the run; what started Python where none is given."""
    return [str(part) for part in (command or sys.argv)]
