"""Everything that can be wrong with a run is found here, before anything is written."""

from __future__ import annotations

import copy
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pytorch_lightning.utilities import rank_zero_only

from nam_like.config.component import Component
from nam_like.config.importable import importable
from nam_like.config.netcheck import check_net, exporters_for
from nam_like.config.run import RunConfig
from nam_like.config.signature import given
from nam_like.data.build import Datasets, build_datasets
from nam_like.data.loader import BatchLoader
from nam_like.data.store import find_file
from nam_like.data.stream_loader import StreamLoader
from nam_like.data.suspicions import suspicions
from nam_like.errors import UserError
from nam_like.losses.sum import WeightedSum
from nam_like.models.audio_net import AudioNet
from nam_like.optim.build import Schedule
from nam_like.train.ahead import reserve_memory
from nam_like.train.checkpoints import load_net_weights
from nam_like.train.init_from import Report, start_from
from nam_like.train.lightning_module import LightningModule
from nam_like.train.loaders import train_loader, val_loader
from nam_like.train.random_state import seed_everything
from nam_like.train.resume import WORDS, check_resumable, find_checkpoint
from nam_like.train.run_folder import versions

log = logging.getLogger(__name__)

__all__ = ["RESUME_VARIABLE", "Job", "is_main_process", "prepare"]

#: Tells the processes that a distributed run starts which checkpoint the first one resumes from.
RESUME_VARIABLE = "NAM_LIKE_RESUME"


def is_main_process() -> bool:
    """Whether this is the process that writes; Lightning knows the others by what they were started with."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


@dataclass
class Job:
    """A run that is ready to start.

    Attributes:
        config: the three JSONs.
        net: the net.
        datasets: both splits.
        task: the net with losses, metrics and optimizer.
        train_loader: training batches.
        val_loader: validation batches.
        exporters: the components of the exporters.
        resume: the checkpoint to continue from, or None.
        started_from: what of other models' weights it starts from; None for its own initialisation.
    """

    config: RunConfig
    net: AudioNet
    datasets: Datasets
    task: LightningModule
    train_loader: BatchLoader | StreamLoader
    val_loader: BatchLoader
    exporters: list[Component]
    resume: Path | None
    started_from: Report | None = None


def prepare(config: RunConfig, outdir: Path, resume: str | None = None) -> Job:
    """Build net, data and task, and let them meet.

    Raises:
        UserError: something does not fit; nothing was written.
    """
    learning = config.learning
    seed_everything(learning.seed)
    net = check_net(config)
    reserve_memory(config, net)
    checkpoint = _find_resume(config, outdir, resume)
    with importable(config.folders):
        started_from = _start_weights(config, net, resuming=checkpoint is not None)
        with config.placing_data_errors():
            datasets = build_datasets(config.data, net.receptive_field or 1, config.folders, learning.seed)
        _settle_rate(net, datasets)
        for dataset in (datasets.train, datasets.validation):
            dataset.handshake(net)
            handshake = getattr(net, "handshake", None)
            if handshake is not None:
                handshake(dataset)
        task = build_task(config, net)
        exporters = exporters_for(learning, net)
    _check_gain(net, datasets, exporters)
    _check_trainer(config)
    configs = config.canonical()
    rate = datasets.train.sample_rate
    task.record = {
        "configs": configs,
        "versions": versions(),
        "seed": learning.seed,
        "sample_rate": None if rate is None else float(rate),
        "output_gain": float(datasets.output_gain),
    }
    job = Job(
        config,
        net,
        datasets,
        task,
        train_loader(config, datasets),
        val_loader(config, datasets),
        exporters,
        checkpoint,
        started_from,
    )
    task.rehearse(job)
    if is_main_process():
        for text in suspicions(datasets.train):
            log.warning(text)
    if job.resume is not None:
        check_resumable(job.resume, task, configs)
    return job


def build_task(config: RunConfig, net: AudioNet) -> LightningModule:
    """The task that trains `net` as the model JSON says."""
    model = config.model
    terms = {name: (term.build(), term.siblings.weight) for name, term in model.loss.terms.items()}
    schedule = None
    if model.lr_scheduler is not None:
        siblings = model.lr_scheduler.siblings
        schedule = Schedule(
            model.lr_scheduler, siblings.interval, siblings.frequency, siblings.monitor or "val_loss"
        )
    metrics = {label: metric.build() for label, metric in model.metrics.items()}
    try:
        task = model.resolved_task().build(
            net,
            WeightedSum(terms, model.loss.mask_first),
            optimizer=model.optimizer,
            lr_scheduler=schedule,
            val_loss=model.loss.val_loss,
            metrics=metrics,
        )
    except UserError as error:
        raise config.error("model", ("loss", "val_loss"), str(error)) from error
    if not isinstance(task, LightningModule):
        raise UserError(f"expected the task to be a nam_like LightningModule, but got {type(task).__name__}")
    return task


def _start_weights(config: RunConfig, net: AudioNet, *, resuming: bool) -> Report | None:
    """Read the weights that training starts from, where the model or the learning JSON names them."""
    model = config.model
    report = start_from(config.learning, net, config.folders, resuming)
    if model.checkpoint_path is not None:
        load_net_weights(net, find_file(model.checkpoint_path, config.folders, "checkpoint_path"))
    if model.init_from_nam is not None:
        from nam_like.models.amp.from_nam import init_from_nam

        path = find_file(model.init_from_nam, config.folders, "init_from_nam")
        source = init_from_nam(path)
        try:
            net.load_state_dict(source.state_dict())
        except RuntimeError as error:
            ours = {name: tuple(value.shape) for name, value in net.state_dict().items()}
            theirs = {name: tuple(value.shape) for name, value in source.state_dict().items()}
            different = sorted(name for name, _ in ours.items() ^ theirs.items())
            raise config.error(
                "model",
                ("init_from_nam",),
                f"expected a {type(net).__name__} of this net's sizes, "
                f"but got a {type(source).__name__} whose weights differ in name or shape, "
                f"'{different[0]}' among them",
            ) from error
    return report


def _settle_rate(net: AudioNet, datasets: Datasets) -> None:
    """A net that states no sample rate gets that of its training data."""
    if getattr(net, "sample_rate", None) is None and datasets.train.sample_rate is not None:
        net.sample_rate = float(datasets.train.sample_rate)


def _check_gain(net: AudioNet, datasets: Datasets, exporters: list[Component]) -> None:
    """A gain that a joint hook gave the data must be undone on export."""
    if datasets.output_gain == 1.0 or not any(exporter.name == "nam" for exporter in exporters):
        return
    try:
        cast(Any, copy.deepcopy(net)).scale_output(1.0 / datasets.output_gain)
    except NotImplementedError as error:
        raise UserError(
            f"joint: expected a net whose output can be scaled back on export to .nam, but {error}"
        ) from error


def _check_trainer(config: RunConfig) -> None:
    """Refuse what would cost the result."""
    if getattr(config.learning.trainer, "enable_checkpointing", None) is False:
        raise config.error(
            "learning",
            ("trainer", "enable_checkpointing"),
            "expected true, because the best checkpoint is what is exported, but got false",
        )


def _find_resume(config: RunConfig, outdir: Path, resume: str | None) -> Path | None:
    """The checkpoint of ``--resume``, or of ``trainer_fit_kwargs.ckpt_path``."""
    settled = os.environ.get(RESUME_VARIABLE)
    if settled is not None and not is_main_process():
        return Path(settled) if settled else None
    if resume is not None:
        return find_checkpoint(resume, outdir)
    path = given(config.learning.trainer_fit_kwargs).get("ckpt_path")
    if path is None:
        return None
    if path in WORDS:
        return find_checkpoint(path, outdir)
    return find_file(path, config.folders, "trainer_fit_kwargs.ckpt_path")
