"""What the machine is, and the batch that every side gets."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np


def describe_machine() -> dict[str, Any]:
    """Processor, cores and load, for the report."""
    return {
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "vectors": [flag for flag in ("avx512f", "avx2", "fma", "neon", "asimd") if flag in _cpu_flags()],
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_info(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> list[str]:
    return (_cpu_info("flags") or _cpu_info("Features")).split()


def make_batch(path: Path, batch: int, nx: int, ny: int, seed: int = 0) -> None:
    """Write a seeded batch: coloured noise in, the same distorted out.

    Args:
        path: the ``.npz`` with `x` ``(B, nx + ny − 1)`` and `y` ``(B, ny)``, float32.
        batch: B.
        nx: receptive field of the net.
        ny: target samples per item.
        seed: of the noise.
    """
    white = np.random.default_rng(seed).standard_normal((batch, nx + ny))
    x = 0.2 * (white[:, 1:] + 0.9 * white[:, :-1])
    y = 0.3 * np.tanh(3.0 * x[:, nx - 1 :])
    np.savez(path, x=x.astype(np.float32), y=y.astype(np.float32))
