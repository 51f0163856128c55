"""What follows the training of an enhancement net: its export, the enhanced audio, and the report."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nam_like.audio.io import write_audio
from nam_like.data.base import AbstractDataset
from nam_like.data.segments import mix_seed
from nam_like.data.speech_batch import Example
from nam_like.export.metadata import build_metadata
from nam_like.models.enhancement.enhancer import Enhancer
from nam_like.train.evaluate import Excerpt
from nam_like.train.exporting import Ready
from nam_like.train.finish import HandedOn

if TYPE_CHECKING:
    from nam_like.train.fit import Fitted
    from nam_like.train.prepare import Job
    from nam_like.train.run_folder import RunFolder
    from nam_like.train.tasks.enhancement import Enhancement

__all__ = ["EnhancedFile", "play_examples", "ready_enhancer", "show_speech_results"]

#: How much audio an export is compared on (seconds).
PROOF_SECONDS = 2.0
#: Validation examples whose audio is kept.
MAX_FILES = 64


@dataclass(frozen=True)
class EnhancedFile:
    """A validation example, and what the net makes of it; all ``(C, T)``.

    Attributes:
        name: of the example.
        noisy: what the net hears.
        target: what it should answer.
        enhanced: what it answers.
        scores: metric → value before and after.
    """

    name: str
    noisy: NDArray[np.float32]
    target: NDArray[np.float32]
    enhanced: NDArray[np.float32]
    scores: dict[str, tuple[float, float]]


def ready_enhancer(job: Job, net: Enhancer, training: dict[str, Any]) -> Ready:
    """Make a trained enhancement net ready to export.

    Args:
        job: the run.
        net: of the run, on the CPU.
        training: the record of the training.
    """
    ready = copy.deepcopy(net).cpu().eval()
    user = job.config.data.metadata.model_dump(exclude_none=True)
    metadata = build_metadata(user, {}, training)
    example: Example = job.datasets.validation[0]
    noisy = example.signals["input_signal"][:, : round(PROOF_SECONDS * (net.sample_rate or 16_000.0))]
    x = np.ascontiguousarray(noisy.numpy(), dtype=np.float32)
    return Ready(ready, metadata, Excerpt(x, np.zeros_like(x)), x)


def play_examples(task: Enhancement, dataset: AbstractDataset, limit: int = MAX_FILES) -> list[EnhancedFile]:
    """Play the validation examples, the worst first.

    Args:
        task: its net is trained and on the CPU; its metrics score.
        dataset: the validation split.
        limit: at most so many examples.
    """
    net = task.enhancer.eval()
    played = []
    for index in range(min(len(dataset), limit)):
        example: Example = dataset[index]
        noisy, target = example.signals["input_signal"], task.target_of(example.signals)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix_seed(task.seed, index))
            enhanced = net.validation_answer(noisy[None], torch.tensor([noisy.shape[-1]]))[0]
        before = _as_many(noisy, len(target))
        scores = {
            name: (_score(metric, before, target), _score(metric, enhanced, target))
            for name, metric in task.val_metrics.items()
        }
        played.append(EnhancedFile(example.name, _array(noisy), _array(target), _array(enhanced), scores))
    first = next(iter(task.val_metrics.values()), None)
    turn = -1.0 if getattr(first, "higher_is_better", True) is False else 1.0
    return sorted(played, key=lambda file: turn * next(iter(file.scores.values()), (0.0, 0.0))[1])


def show_speech_results(
    job: Job, task: Enhancement, result: HandedOn, fitted: Fitted, folder: RunFolder, *, show: bool
) -> None:
    """Write the enhanced audio, the spectrograms before and after, and the report."""
    from nam_like.train.plot_enhancement import plot_enhancement
    from nam_like.train.results import summary_of, title_of
    from nam_like.train.speech_report import write_speech_report

    files = play_examples(task, job.datasets.validation)
    rate = float(job.datasets.validation.sample_rate or 16_000.0)
    for number, file in enumerate(files, start=1):
        for channel, signal in enumerate(file.enhanced, start=1):
            which = f"_{channel}" if len(file.enhanced) > 1 else ""
            name = f"{number:02d}_{_file_name(file.name)}{which}.wav"
            write_audio(folder.path / "enhanced" / name, signal, round(rate))
    folder.update(validation_files=[{"name": file.name, "scores": file.scores} for file in files])
    title = title_of(job, result, fitted)
    turned = [name for name, metric in task.metrics().items() if getattr(metric, "higher_is_better", None)]
    images = plot_enhancement(
        folder.path, files, rate, folder.metrics, title=title, show=show, larger_is_better=turned
    )
    write_speech_report(
        folder.path,
        title=title,
        files=files,
        sample_rate=rate,
        images=images,
        metrics_csv=folder.metrics,
        summary=summary_of(job, result, fitted),
        configs={f"config_{name}.json": value for name, value in job.config.canonical().items()},
        larger_is_better=turned,
    )


def _score(metric: Any, estimate: Tensor, target: Tensor) -> float:
    """One metric of one example alone."""
    alone = copy.deepcopy(metric).cpu()
    alone.reset()
    alone.update(estimate, target)
    return float(alone.compute())


def _as_many(signal: Tensor, channels: int) -> Tensor:
    """A signal ``(C, T)`` with another number of channels: its first ones, or its first one repeatedly."""
    return signal[:channels] if len(signal) >= channels else signal[:1].expand(channels, -1)


def _array(signal: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(signal.detach().float().numpy())


def _file_name(name: str) -> str:
    """A name as it may be written into a folder."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in Path(name).stem)
    return kept[:80] or "example"
