"""Inputs and weights in closed form, for outputs that were recorded elsewhere (tests/data/enhancement)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parents[1] / "data" / "enhancement"

__all__ = ["arrays", "fill", "scalars", "sig"]


def scalars() -> dict[str, Any]:
    """The recorded numbers."""
    found: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text())
    return found


def arrays() -> dict[str, Tensor]:
    """The recorded arrays."""
    with np.load(FOLDER / "golden.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def sig(batch: int, channels: int, samples: int, seed: int) -> Tensor:
    """A signal, ``(batch, channels, samples)`` float32."""
    b, c, t = np.ogrid[:batch, :channels, :samples]
    low = 0.3 * np.sin(2 * np.pi * (0.011 * (b + 1) + 0.017 * c) * t + seed)
    high = 0.1 * np.cos(2 * np.pi * (0.173 + 0.03 * b) * t * (1 + c) + 0.5 * seed)
    sweep = 0.05 * np.sin(0.9 * t.astype(np.float64) ** 1.2 / 10 + b + c + seed)
    return torch.from_numpy((low + high + sweep).astype(np.float32))


@torch.no_grad()
def fill(module: nn.Module) -> None:
    """Set all weights, in the order of the state dict."""
    for i, (name, value) in enumerate(module.state_dict().items()):
        if not value.is_floating_point():
            continue
        made = 0.1 * torch.sin(0.7 * torch.arange(value.numel(), dtype=torch.float64) + i).reshape(
            value.shape
        )
        if value.ndim == 1 and name.endswith("weight"):
            made += 1.0
        value.copy_(made)
