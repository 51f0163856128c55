"""Compare a `.nam` file with a recording of the gear, block by block, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nam_like.audio.opening import open_signal
from nam_like.audio.signal import Signal
from nam_like.errors import UserError
from nam_like.export.nam_read import load_nam
from nam_like.export.player import load
from nam_like.export.render import RATE_TOLERANCE_HZ

__all__ = ["Comparison", "compare_files"]

_BLOCK = 65536

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """How far a model is from a recording.

    Attributes:
        samples: how many were compared.
        sample_rate: Hz.
        esr: energy of the difference over the energy of the recording, with the exact tanh.
        esr_fast_tanh: the same with the plugins' approximate tanh.
        path_taken: which player it was, in words.
    """

    samples: int
    sample_rate: int
    esr: float
    esr_fast_tanh: float
    path_taken: str


def compare_files(
    model_path: str | Path,
    x_path: str | Path,
    y_path: str | Path,
    *,
    slim: float | None = None,
    channel: int | None = None,
    start: int = 0,
    stop: int | None = None,
    delay: int = 0,
) -> Comparison:
    """Play the whole of x through a model and compare a part with y.

    Args:
        model_path: the `.nam` file.
        x_path: what was played.
        y_path: what came back.
        slim: size knob from 0 to 1, for models that have one.
        channel: which channel of both, from 0; None requires mono files.
        start: first sample compared.
        stop: sample after the last; negative counts from the end.
        delay: samples by which y lags x.

    Raises:
        NamFileError: the model cannot be used.
        UserError: the audio cannot be used, the rates differ, the part is empty or y is silent in it.
    """
    model = load_nam(model_path, slim=slim)
    x, about = open_signal(x_path, channel=channel)
    y, _ = open_signal(y_path, channel=channel, sample_rate=about.sample_rate)
    rate = model.sample_rate
    if rate is not None and abs(rate - about.sample_rate) > RATE_TOLERANCE_HZ:
        raise UserError(
            f"{x_path}: expected the model's sample rate, {rate:g} Hz, but got {about.sample_rate} Hz"
        )
    x, y = x[max(0, -delay) :], y[max(0, delay) :]
    length = min(len(x), len(y))
    first, last, _ = slice(start, stop).indices(length)
    if last <= first:
        asked = f"{start} to {'the end' if stop is None else stop}"
        raise UserError(f"expected a part of the {length} samples, but got {asked}")
    energy = sum(_energy(block) for _, block in _finite(y[first:last], y_path))
    if energy == 0.0:
        raise UserError(f"{y_path}: expected sound between samples {first} and {last}, but it is silent")
    players = [load(model, fast_tanh=fast) for fast in (False, True)]
    errors = [0.0, 0.0]
    for at, dry in _finite(x[:last], x_path):
        skipped = max(first - at, 0)  # samples of this block that are played but not compared
        played = [player.process(dry)[skipped:] for player in players]
        if skipped < len(dry):
            target = y.read(at + skipped, at + len(dry))
            errors = [error + _energy(wet - target) for error, wet in zip(errors, played, strict=True)]
    return Comparison(
        last - first, about.sample_rate, errors[0] / energy, errors[1] / energy, players[0].describe()
    )


def _energy(samples: Floats) -> float:
    """Sum of the squares, in float64."""
    wide = samples.astype(np.float64)
    return float(wide @ wide)


def _finite(signal: Signal, path: str | Path) -> Iterator[tuple[int, Floats]]:
    """Blocks, and where each begins.

    Raises:
        UserError: a sample is NaN or infinite.
    """
    for at, block in signal.blocks(_BLOCK):
        if not np.isfinite(block).all():
            bad = signal.offset + at + int(np.flatnonzero(~np.isfinite(block))[0])
            raise UserError(f"{path}: expected finite samples, but got NaN or infinity at sample {bad}")
        yield at, block
