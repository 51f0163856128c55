"""A rehearsal: a little of the data goes through net and losses, and what does not fit is found at once."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING

import torch

from nam_like.data.curriculum import StagedDataset
from nam_like.data.speech_batch import Example, collate
from nam_like.errors import UserError
from nam_like.models.audio_net import AudioNet

if TYPE_CHECKING:
    from nam_like.train.prepare import Job
    from nam_like.train.tasks.enhancement import Enhancement

__all__ = ["rehearse_aligned", "rehearse_enhancement"]

#: What of an example is played (seconds).
SECONDS = 0.25


def rehearse_aligned(job: Job) -> None:
    """Play one item of each split through the losses, and one through the net, without training.

    Raises:
        UserError: a segment is too short for a loss, or the net's output has not the target's shape.
    """
    if "pad_start" not in inspect.signature(job.net.forward).parameters:
        return  # a net of the user's own, which may want something else
    index = torch.zeros(1, dtype=torch.int64)
    generator_state = torch.get_rng_state()
    net = copy.deepcopy(job.net).train()  # burn-in and the like act in training only
    try:
        with torch.no_grad():
            for split in ("train", "validation"):
                x, *conditions, y = job.task.opening(getattr(job.datasets, split).batch(index))
                try:
                    job.task.objective(y, y, every_term=True)
                except UserError as error:
                    loc = job.config.sources["data"].key_at_fault((split,), "`ny`")
                    raise job.config.error("data", loc, str(error)) from error
                if split == "validation":
                    continue
                try:
                    output = net(x, *conditions, pad_start=False)
                except ValueError as error:  # how nets refuse an input
                    raise job.config.error("model", ("net", "config"), str(error)) from error
                if output.shape != y.shape:
                    raise UserError(
                        f"expected the net to answer {tuple(x.shape)} input samples with the target's "
                        f"{tuple(y.shape)}, but got {tuple(output.shape)}"
                    )
            _rehearse_stages(job, net)
    finally:
        torch.set_rng_state(generator_state)


def _rehearse_stages(job: Job, net: AudioNet) -> None:
    """The same for the segments of a curriculum, which may be too short where those of data.json are not."""
    dataset: object = job.train_loader.dataset
    if not isinstance(dataset, StagedDataset):
        return
    for number, stage in enumerate(dataset.stages):
        if stage.ny is None:
            continue
        x, *conditions, y = dataset.cuts[number].batch(torch.zeros(1, dtype=torch.int64))
        try:
            job.task.objective(y, y, every_term=True)
            net(x, *conditions, pad_start=False)
        except (UserError, ValueError) as error:
            raise job.config.error("learning", ("curriculum", number, "ny"), str(error)) from error


def rehearse_enhancement(job: Job, task: Enhancement) -> None:
    """Let net and losses hear the beginning of one example of each split.

    Raises:
        UserError: an example has no target or other channels than the net, or the net refuses it.
    """
    net = task.enhancer
    _check_rates(job, task)
    state = torch.get_rng_state()
    try:
        for split in ("train", "validation"):
            example = _first_example(getattr(job.datasets, split))
            if example is None:
                continue
            where = f"data.{split}: {example.name}"
            if "target_signal" not in example.signals and net.needs_target:
                raise UserError(f"{where}: expected a target_signal to train with, but got none")
            inputs, targets = len(example.signals["input_signal"]), len(task.target_of(example.signals))
            net.check_example(inputs, targets, where)
            batch = collate([_beginning(example, net.sample_rate)])
            try:
                with torch.no_grad():
                    task.losses(batch)
            except UserError as error:
                raise job.config.error("model", ("loss",), str(error)) from error
            except (ValueError, RuntimeError) as error:
                text = " ".join(str(error).split())
                raise job.config.error(
                    "model", ("net", "config"), f"expected a net that plays {example.name}, but {text}"
                ) from error
    finally:
        torch.set_rng_state(state)


def _check_rates(job: Job, task: Enhancement) -> None:
    """Refuse metrics that are told another sample rate than the validation has."""
    rate = job.datasets.validation.sample_rate
    for name, metric in task.val_metrics.items():
        told = getattr(metric, "fs", None)
        if rate is not None and told is not None and told != rate:
            raise job.config.error(
                "model",
                ("metrics",),
                f"expected `fs` of {name} to be the {rate:g} Hz of the validation, but got {told}",
            )


def _first_example(dataset: object) -> Example | None:
    """The first example of a split; None of one that is a stream, whose first one may be far away."""
    if getattr(dataset, "streamed", False):
        return None
    first = dataset[0]  # type: ignore[index]
    if not isinstance(first, Example):
        raise UserError(
            f"expected a dataset of examples with named signals, as those of type manifest, "
            f"but got items of type {type(first).__name__}"
        )
    return first


def _beginning(example: Example, sample_rate: float | None) -> Example:
    """The first part of an example."""
    samples = round(SECONDS * (sample_rate or 16_000.0))
    signals = {name: signal[:, :samples] for name, signal in example.signals.items()}
    return Example(example.name, signals, example.embedding, example.tags)
