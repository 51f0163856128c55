"""What ``nam_like check`` does for named signals: how fast the loader is, and examples to listen to."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nam_like.data.speech_batch import Example
    from nam_like.train.prepare import Job

__all__ = ["examples_of", "is_speech", "render_examples", "throughput"]

#: How long the loader is watched (seconds).
WATCHED = 2.0


def is_speech(job: Job) -> bool:
    """Whether the examples of a run are named signals."""
    from nam_like.train.tasks.enhancement import Enhancement

    return isinstance(job.task, Enhancement)


def throughput(job: Job) -> dict[str, float]:
    """How fast the training loader is, and how long its first batch takes, on this machine and just now."""
    started = time.monotonic()
    batches = _endless(job.train_loader)
    next(batches)
    first = time.monotonic() - started
    started, elapsed = time.monotonic(), 0.0
    examples = samples = 0
    while elapsed < WATCHED:
        lengths = next(batches)["input_length"]
        examples, samples = examples + len(lengths), samples + int(lengths.sum())
        elapsed = time.monotonic() - started
    job.train_loader.set_epoch(0)
    rate = float(job.datasets.train.sample_rate or 16_000.0)
    return {
        "first_batch_seconds": first,
        "examples_per_second": examples / elapsed,
        "times_realtime": samples / rate / elapsed,
    }


def _endless(loader: Any) -> Iterator[Any]:
    """The batches of one epoch after the other."""
    for epoch in itertools.count():
        loader.set_epoch(epoch)
        yield from loader


def examples_of(dataset: Any, count: int) -> list[Example]:
    """The first training examples, as an epoch would begin with them."""
    if getattr(dataset, "streamed", False):
        return [example for example, _ in zip(dataset.stream(0, 1, 0), range(count), strict=False)]
    dataset.set_epoch(0)
    return [dataset[index] for index in range(min(count, len(dataset)))]


def render_examples(job: Job, count: int, folder: Path) -> list[Path]:
    """Write training examples as they are trained on: a WAV for each channel of each signal.

    Args:
        job: the run.
        count: how many.
        folder: where to; made if it is not there.

    Returns:
        The files.
    """
    from nam_like.audio.io import write_audio

    rate = round(float(job.datasets.train.sample_rate or 16_000.0))
    written = []
    for number, example in enumerate(examples_of(job.datasets.train, count), start=1):
        for name, signal in example.signals.items():
            for channel, samples in enumerate(signal.numpy(), start=1):
                which = f"_{channel}" if len(signal) > 1 else ""
                path = folder / f"{number:02d}_{name.removesuffix('_signal')}{which}.wav"
                write_audio(path, samples, rate, subtype="FLOAT")
                written.append(path)
    return written
