"""Play the validation files through a finished net, for the report and to check exports with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nam_like.data.base import AbstractDataset
from nam_like.metrics.esr import esr_per_item
from nam_like.models.base import Net
from nam_like.train.streaming import has_finite_memory, play

__all__ = ["Excerpt", "PlayedFile", "condition_sizes", "excerpt", "loudest", "play_validation"]


@dataclass(frozen=True)
class PlayedFile:
    """A validation file, and what the net makes of it; all ``(L,)`` and of one time axis.

    Attributes:
        name: of the file.
        x: input.
        y: target, at the recording's own level.
        y_hat: the net's output, at the same level.
        esr: error-to-signal ratio.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    y_hat: NDArray[np.float32]
    esr: float


@dataclass(frozen=True)
class Excerpt:
    """A piece of validation audio.

    Attributes:
        x: input ``(L,)``.
        y: target ``(L,)``, at the recording's own level.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]


def play_validation(net: Net, dataset: AbstractDataset) -> list[PlayedFile]:
    """Play each validation file.

    Args:
        net: trained, on the CPU.
        dataset: the validation split; what is not made of whole recordings is left out.
    """
    past = int(net.receptive_field) - 1
    played = []
    with torch.no_grad():
        for number, (part, x, y, conditions) in enumerate(_recordings(dataset), start=1):
            y_hat = play(net.eval(), x[None], *conditions)[0]
            target = y[past:]
            esr = float(esr_per_item(y_hat[None], target[None])[0])
            gain = part.output_gain
            arrays = (_array(x[past:]), _array(target / gain), _array(y_hat / gain))
            played.append(PlayedFile(_name(part, number), *arrays, esr))
    return played


def excerpt(net: Net, dataset: AbstractDataset, seconds: float = 10.0, slow_seconds: float = 3.0) -> Excerpt:
    """The loudest stretch of the validation audio, for comparing an export with its net.

    Args:
        net: decides how long it may be: recurrent nets are slow to read back.
        dataset: the validation split.
        seconds: at most so long.
        slow_seconds: at most so long for recurrent nets.
    """
    rate = float(net.sample_rate or 48_000.0)
    limit = max(1, round((seconds if has_finite_memory(net) else slow_seconds) * rate))
    for part, x, y, _ in _recordings(dataset):
        piece = loudest(x, limit)
        return Excerpt(_array(x[piece]), _array(y[piece] / part.output_gain))
    noise = np.random.default_rng(0).normal(0.0, 0.1, limit).astype(np.float32)
    return Excerpt(noise, np.zeros_like(noise))


def loudest(x: Tensor, samples: int) -> slice:
    """Where the stretch of so many samples lies whose energy is the largest.

    Args:
        x: audio ``(L,)``.
        samples: its length; all of shorter audio.
    """
    length = min(samples, len(x))
    energy = torch.cat((torch.zeros(1, dtype=torch.float64), x.double().square().cumsum(0)))
    start = int((energy[length:] - energy[:-length]).argmax())
    return slice(start, start + length)


def condition_sizes(dataset: AbstractDataset) -> tuple[int, ...]:
    """Values in each condition tensor of the first item; empty where the items are of another form."""
    item = dataset[0] if len(dataset) else ()
    conditions = item[1:-1] if isinstance(item, tuple | list) else ()
    if not all(isinstance(condition, Tensor) and condition.ndim in (1, 2) for condition in conditions):
        return ()
    return tuple(len(condition) for condition in conditions)


def _recordings(
    dataset: AbstractDataset,
) -> Iterator[tuple[AbstractDataset, Tensor, Tensor, tuple[Tensor, ...]]]:
    """The whole recordings behind a dataset: ``(dataset, x (L,), y (L,), conditions (1, …))``."""
    for part in dataset.base_datasets():
        x, y = getattr(part, "x", None), getattr(part, "y", None)
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape == y.shape and x.ndim == 1:
            conditions: Any = getattr(part, "_conditions_at", lambda start, stop: ())(0, len(x))
            yield part, x.cpu(), y.cpu(), tuple(condition[None].cpu() for condition in conditions)


def _array(x: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(x.detach().float().cpu().numpy())


def _name(part: AbstractDataset, number: int) -> str:
    sources = part.sources
    return sources[-1].path.name if sources else f"validation {number}"
