"""How good an exported enhancement net is on the examples of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.speech_batch import Example
from nam_like.errors import UserError
from nam_like.export.enhance.model import EnhancementModel
from nam_like.metrics.perceptual import PESQ, STOI
from nam_like.metrics.ratios import SISDR

__all__ = ["MEASURES", "Score", "measures", "score_examples"]

#: What can be measured, and the package that it needs.
MEASURES = {"sisdr": "", "pesq": "pesq", "estoi": "pystoi", "stoi": "pystoi"}


@dataclass(frozen=True)
class Score:
    """What an example scores.

    Attributes:
        name: of the example.
        seconds: its length.
        values: measure → before and after; NaN where it cannot be measured (silence, or too short).
    """

    name: str
    seconds: float
    values: Mapping[str, tuple[float, float]]


def measures(names: list[str] | None, rate: int) -> dict[str, Callable[[], Any]]:
    """What makes each measure anew.

    Args:
        names: of :data:`MEASURES`; None takes those whose packages are installed.
        rate: of the audio (Hz).

    Raises:
        UserError: a package is missing for one that was named, or it does not know the rate.
    """
    made: dict[str, Callable[[], Any]] = {
        "sisdr": SISDR,
        "pesq": lambda: PESQ(fs=rate, mode="wb" if rate == 16_000 else "nb"),
        "estoi": lambda: STOI(fs=rate, extended=True),
        "stoi": lambda: STOI(fs=rate),
    }
    chosen = names
    if chosen is None:
        known = [
            name for name in ("sisdr", "pesq", "estoi") if not MEASURES[name] or find_spec(MEASURES[name])
        ]
        chosen = [name for name in known if name != "pesq" or rate in (8_000, 16_000)]
    if "pesq" in chosen and rate not in (8_000, 16_000):
        raise UserError(f"expected audio of 8000 or 16000 Hz for PESQ, but got {rate} Hz")
    for name in chosen:
        made[name]()  # says what is missing
    return {name: made[name] for name in chosen}


def score_examples(
    model: EnhancementModel, dataset: AbstractDataset, made: Mapping[str, Callable[[], Any]]
) -> Iterator[Score]:
    """Play each example and measure it before and after.

    Args:
        model: the net.
        dataset: of examples with targets, at the net's rate.
        made: of :func:`measures`.

    Raises:
        UserError: the net cannot play an example.
        DataError: an example has no target, or another rate than the net.
    """
    rate = float(dataset.sample_rate or 0)
    if model.sample_rate is not None and rate != model.sample_rate:
        raise DataError(
            f"expected data of the net's sample rate, {model.sample_rate} Hz, but got {rate:g} Hz"
        )
    for index in range(len(dataset)):
        example: Example = dataset[index]
        noisy, target = example.signals["input_signal"], example.signals.get("target_signal")
        if target is None:
            raise DataError(f"{example.name}: expected a target_signal to score against, but got none")
        enhanced = torch.from_numpy(model.play(np.ascontiguousarray(noisy.numpy())))
        before = noisy[: len(target)] if len(noisy) >= len(target) else noisy[:1].expand(len(target), -1)
        values = {
            name: (_measured(make(), before, target), _measured(make(), enhanced, target))
            for name, make in made.items()
        }
        yield Score(example.name, target.shape[-1] / rate, values)


def _measured(metric: Any, estimate: Tensor, target: Tensor) -> float:
    metric.update(estimate, target)
    return float(metric.compute())
