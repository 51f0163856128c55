"""The one orchestrator: three JSONs in, a run folder with a proven model out."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from nam_like.config.run import RunConfig
from nam_like.files import sha256_file, write_text_atomic
from nam_like.models.audio_net import AudioNet
from nam_like.train.callbacks.stop import SignalFlag
from nam_like.train.errors import DivergedError
from nam_like.train.finish import HandedOn, hand_on, show_results
from nam_like.train.fit import Fitted, fit
from nam_like.train.heap import keep_freed_memory
from nam_like.train.loaders import mixture_of
from nam_like.train.prepare import RESUME_VARIABLE, Job, is_main_process, prepare
from nam_like.train.quiet import quiet_lightning
from nam_like.train.run_folder import RunFolder, command_line, host, versions

__all__ = ["RunResult", "run"]

log = logging.getLogger(__name__)

#: Tells the processes that a distributed run starts where the first one writes.
FOLDER_VARIABLE = "NAM_LIKE_RUN_FOLDER"


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: where everything is.
        interrupted: whether a signal ended it.
        handed_on: the exported model; None in the helping processes of a distributed run, and where
            nothing was trained before the interruption.
    """

    folder: Path
    interrupted: bool = False
    handed_on: HandedOn | None = None


def run(
    config: RunConfig,
    outdir: Path | str,
    *,
    show: bool = True,
    plots: bool = True,
    resume: str | None = None,
    command: Sequence[str] = (),
) -> RunResult:
    """Train a net and export it.

    Args:
        config: the three JSONs.
        outdir: the run gets a new folder in it.
        show: open the plots in windows.
        plots: make plots and report.
        resume: ``"last"``, ``"best"``, a run folder or a checkpoint to continue from.
        command: the command line, for the record.

    Raises:
        UserError: something is wrong with what the user gave; nothing was written.
        Exception: the run failed; its checkpoints stay, nothing is exported, the log says how to resume.
    """
    flag = SignalFlag()
    keep_freed_memory()
    with quiet_lightning():
        job = prepare(config, Path(outdir), resume)
        with _shared_folder(job, Path(outdir), command) as folder, flag.installed():
            started = time.monotonic()
            fitted = fit(job, folder.path, flag, _Begin(folder))
            if not is_main_process():
                return RunResult(folder.path)
            result = hand_on(job, fitted, folder)  # before anything that is only nice to have
            _close(folder, fitted, time.monotonic() - started)
        if result is not None and plots:
            show_results(job, result, fitted, folder, show=show and not fitted.interrupted)
        for dataset in (job.datasets.train, job.datasets.validation):
            dataset.teardown()
    return RunResult(folder.path, bool(fitted.interrupted), result)


@contextmanager
def _shared_folder(job: Job, outdir: Path, command: Sequence[str]) -> Iterator[RunFolder]:
    """Make the run folder, tell helping processes about it, and write down how a failed run can go on."""
    if not is_main_process():
        yield RunFolder(Path(os.environ.get(FOLDER_VARIABLE, outdir / "latest")))
        return
    folder = RunFolder.create(outdir)
    folder.write_configs(job.config.canonical())
    mixture = mixture_of(job.datasets.train)
    if mixture is not None:
        log.info("the training data is drawn from:\n%s", mixture.table())
        write_text_atomic(folder.path / "data_mixture.json", json.dumps(mixture.as_dict(), indent=2) + "\n")
    folder.update(**_beginning(job, command))
    log.info("run folder: %s", folder.path)
    os.environ[FOLDER_VARIABLE] = str(folder.path)
    os.environ[RESUME_VARIABLE] = str(job.resume or "")
    try:
        yield folder
    except BaseException as error:
        folder.update(status="failed", error=f"{type(error).__name__}: {error}", finished=_now())
        write_text_atomic(folder.path / "traceback.txt", "".join(traceback.format_exception(error)))
        error.run_folder = folder.path  # type: ignore[attr-defined]  # the command line shows where it is
        best = folder.checkpoints / "best.ckpt"
        if isinstance(error, DivergedError):  # its last checkpoint is of no use
            if best.is_file():
                log.error("the best weights are in %s; `checkpoint_path` starts from them", best)  # noqa: TRY400
        elif (folder.checkpoints / "last.ckpt").is_file():
            log.error("the run failed; --resume %s continues it", folder.path)  # noqa: TRY400
        raise
    finally:
        os.environ.pop(FOLDER_VARIABLE, None)
        os.environ.pop(RESUME_VARIABLE, None)


def _beginning(job: Job, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says from the start."""
    sources = {name: str(document.path) for name, document in job.config.sources.items()}
    audio = {
        source.path: source
        for split in (job.datasets.train, job.datasets.validation)
        for source in split.sources
    }
    return {
        "status": "running",
        "started": _now(),
        "command": command_line(command),
        "overrides": list(job.config.overrides),
        "configs": {name: {"path": path, "sha256": sha256_file(path)} for name, path in sources.items()},
        "audio": [source.as_dict() for source in audio.values()],
        "lists": [
            {"path": str(path), "sha256": sha256_file(path)}
            for split in (job.datasets.train, job.datasets.validation)
            for part in split.base_datasets()
            for path in part.lists
        ],
        "seed": job.config.learning.seed,
        "started_from": None if job.started_from is None else job.started_from.as_dict(),
        "resumed_from": None if job.resume is None else str(job.resume),
        "receptive_field": job.net.receptive_field,
        "parameters": sum(parameter.numel() for parameter in job.net.parameters()),
        "sample_rate": job.datasets.train.sample_rate,
        "versions": versions(),
        "host": host(),
    }


def _close(folder: RunFolder, fitted: Fitted, seconds: float) -> None:
    """What run.json says at the end."""
    folder.update(
        status="interrupted" if fitted.interrupted else "finished",
        finished=_now(),
        epochs=fitted.epochs,
        steps=fitted.steps,
        seconds={"fit": round(fitted.seconds, 3), "all": round(seconds, 3)},
        samples_per_second=round(fitted.samples_per_second, 1) or None,
    )


class _Begin(Callback):
    """When training starts: tells what plays the net, and moves ``outdir/latest``."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log and note what plays the net; all processes have read what they resume from."""
        if not trainer.is_global_zero:
            return
        net: Any = pl_module.net
        if isinstance(net, AudioNet):
            runs_on = net.runs_on(pl_module.device)
            log.info("%s: %s", type(net).__name__, runs_on)
            self.folder.update(runs_on=runs_on)
        self.folder.point_latest()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
