"""Run Lightning's Trainer with the callbacks and loggers of a run."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ProgressBar, StochasticWeightAveraging
from pytorch_lightning.loggers import Logger

from nam_like.config.component import Component
from nam_like.config.importable import importable
from nam_like.config.signature import given
from nam_like.data.curriculum import StagedBatchSampler
from nam_like.data.loader import BatchLoader
from nam_like.train.callbacks.arithmetic import Arithmetic
from nam_like.train.callbacks.checkpoints import BestAndLast
from nam_like.train.callbacks.curriculum import EpochLengths
from nam_like.train.callbacks.device import DataOnDevice
from nam_like.train.callbacks.ema import Ema
from nam_like.train.callbacks.evaluated import EvaluatedWeights
from nam_like.train.callbacks.launches import StepsPerLaunch
from nam_like.train.callbacks.progress import RunProgress
from nam_like.train.callbacks.short_way import ShortWay
from nam_like.train.callbacks.skip_nan import SkipNanGradients
from nam_like.train.callbacks.stop import SignalFlag, StopAtEsr, StopOnSignal
from nam_like.train.callbacks.unheard import NoProfiler, Unheard
from nam_like.train.checkpoints import SafeCheckpointIO
from nam_like.train.errors import Interrupted
from nam_like.train.metrics_csv import MetricsCsv
from nam_like.train.prepare import Job
from nam_like.train.tensorboard import LateTensorBoard

__all__ = ["Fitted", "fit"]

DEFAULT_EPOCHS = 100


@dataclass
class Fitted:
    """How a fit ended.

    Attributes:
        checkpoints: what was kept.
        interrupted: name of the signal that ended it, or empty.
        epochs: epochs finished over the whole life of the run.
        steps: optimizer steps over the whole life of the run.
        seconds: duration.
        samples_per_second: target samples trained on per second, validations included.
    """

    checkpoints: BestAndLast
    interrupted: str = ""
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    ranking: list[dict[str, Any]] = field(default_factory=list)


def fit(job: Job, folder: Path, flag: SignalFlag, on_start: Callback | None = None) -> Fitted:
    """Train until the end, a signal, or an error (which passes through).

    Args:
        job: the run.
        folder: its folder.
        flag: raised by signals.
        on_start: called when the processes of the run have met.
    """
    learning = job.config.learning
    previous = job.resume.parent if job.resume is not None else None
    checkpoints = BestAndLast(folder / "checkpoints", top_k=learning.top_k, previous=previous)
    progress = RunProgress()
    with importable(job.config.folders):
        callbacks: list[Any] = [callback.build() for callback in learning.all_callbacks()]
        loggers = _loggers(job, folder, previous)
    arguments = _trainer_arguments(job)
    if arguments.get("enable_progress_bar", True) and not any(isinstance(c, ProgressBar) for c in callbacks):
        callbacks.append(progress)
    callbacks.append(DataOnDevice(job.train_loader, job.val_loader))
    ema = learning.ema
    callbacks.append(EvaluatedWeights() if ema is None else Ema(decay=ema.decay, warm_up=ema.warm_up))
    if isinstance(job.train_loader, BatchLoader) and isinstance(job.train_loader.batches, StagedBatchSampler):
        callbacks.append(EpochLengths(job.train_loader.batches))
    if learning.skip_nan_grad:
        callbacks.append(SkipNanGradients())
    callbacks += [Arithmetic(learning.tf32), StepsPerLaunch(learning.steps_per_launch), Unheard(), ShortWay()]
    if learning.threshold_esr is not None:
        callbacks.append(StopAtEsr(learning.threshold_esr))
    if on_start is not None:
        callbacks.append(on_start)
    trainer = pl.Trainer(
        **arguments,
        default_root_dir=str(folder),
        logger=loggers or False,
        callbacks=[*callbacks, checkpoints, StopOnSignal(flag, checkpoints)],
    )
    options = {
        key: value
        for key, value in given(learning.trainer_fit_kwargs).items()
        if key not in ("ckpt_path", "weights_only")  # found in prepare; always on
    }
    started = time.monotonic()
    result = Fitted(checkpoints)
    try:
        resume = None if job.resume is None else str(job.resume)
        trainer.fit(job.task, job.train_loader, job.val_loader, ckpt_path=resume, **options)
        if any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks):
            # It puts the average in place when training ends, after the last validation.
            trainer.validate(job.task, job.val_loader, verbose=False)
            checkpoints.rank(trainer, job.task)
    except Interrupted as error:
        result.interrupted = str(error)
    progressed: Any = trainer.fit_loop.epoch_progress.current
    result.epochs = progressed.processed
    result.steps = trainer.global_step
    result.seconds = time.monotonic() - started
    result.samples_per_second = progress.samples_per_second * trainer.world_size
    result.ranking = checkpoints.ranking
    result.interrupted = result.interrupted or flag.received
    return result


def _trainer_arguments(job: Job) -> dict[str, Any]:
    arguments = job.config.learning.trainer_arguments()
    if not {"max_epochs", "max_steps", "max_time"} & set(arguments):
        arguments["max_epochs"] = DEFAULT_EPOCHS
    arguments.setdefault("enable_model_summary", False)
    if arguments.get("profiler") is None:
        arguments["profiler"] = NoProfiler()
    # The loaders split the items among the processes themselves.
    arguments["use_distributed_sampler"] = False
    strategy = str(arguments.get("strategy", "auto"))
    if not strategy.startswith(("fsdp", "deepspeed", "ddp_spawn_fsdp")):  # those write sharded files
        arguments["plugins"] = [SafeCheckpointIO()]
    return arguments


def _loggers(job: Job, folder: Path, previous: Path | None) -> list[Logger]:
    learning = job.config.learning
    loggers: list[Logger] = []
    if learning.standard_loggers:
        earlier = None if previous is None else previous.parent / "metrics.csv"
        loggers.append(MetricsCsv(folder / "metrics.csv", earlier))
        loggers.append(LateTensorBoard(save_dir=folder, name="", version="tensorboard"))
    return [*loggers, *(_logger(component, folder) for component in learning.all_loggers())]


def _logger(component: Component, folder: Path) -> Logger:
    """Make a configured logger; what it writes goes into the run's folder, where it takes one."""
    takes_folder = (
        not component.entry.takes_dict
        and not hasattr(component.config, "build")
        and "save_dir" in inspect.signature(component.entry.load()).parameters
    )
    logger: Logger = component.build(**({"save_dir": str(folder)} if takes_folder else {}))
    return logger
