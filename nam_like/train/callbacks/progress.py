"""What is shown while training: a live bar on a terminal, one line per validation elsewhere."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from torch import Tensor

from nam_like.train.callbacks.curriculum import optimizer_steps

__all__ = ["RunProgress", "clock"]

log = logging.getLogger(__name__)

#: Seconds between two updates of the live bar; reading a loss waits for the device.
REFRESH = 0.25


def clock(seconds: float) -> str:
    """A duration as ``m:ss`` or ``h:mm:ss``; ``–`` when unknown."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class RunProgress(ProgressBar):
    """Shows epoch, losses, ESR, the best so far, samples per second and the time left.

    Args:
        live: draw a bar; None draws it where stderr is a terminal.
    """

    def __init__(self, live: bool | None = None) -> None:
        super().__init__()
        self.live = sys.stderr.isatty() if live is None else live
        self._enabled = True
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._drawn = 0.0
        self._started = 0.0
        self._first_batch = 0
        self._samples = 0
        self._best: tuple[float, int] | None = None

    def disable(self) -> None:
        """Show nothing; Lightning calls this in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show again."""
        self._enabled = True

    @property
    def samples_per_second(self) -> float:
        """Target samples trained on per second since training began, in this process; 0 before."""
        elapsed = time.monotonic() - self._started
        return self._samples / elapsed if self._started and elapsed > 0 else 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and the bar."""
        self._started = time.monotonic()
        self._first_batch = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if self._enabled and self.live:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[text]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self._bar.start()
            self._task = self._bar.add_task("", total=None, text="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count samples; redraw the bar now and then."""
        self._samples += _samples(batch)
        now = time.monotonic()
        if self._bar is None or self._task is None or now - self._drawn < REFRESH:
            return
        self._drawn = now
        mean = getattr(pl_module, "train_mean", None)
        parts = [f"train_loss {mean:.3e}"] if mean is not None else []
        self._bar.update(
            self._task,
            description=_epoch(trainer),
            total=_finite(trainer.num_training_batches),
            completed=batch_idx + 1,
            text="  ".join([*parts, *self._facts(trainer)]),
        )
        self._bar.refresh()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One line per validation, which stays on the screen."""
        if trainer.sanity_checking:
            return
        values = getattr(pl_module, "validated", {})
        ranked = values.get("val_loss", math.nan)
        if math.isfinite(ranked) and (self._best is None or ranked < self._best[0]):
            self._best = (ranked, trainer.current_epoch)
        if not self._enabled:
            return
        mean = getattr(pl_module, "train_mean", None)
        shown = {} if mean is None else {"train_loss": mean}
        shown |= {name: value for name, value in values.items() if name not in ("MSE", "ESR")}
        shown |= {name: values[name] for name in ("MSE", "ESR") if name in values}
        parts = [f"{name} {_number(name, value)}" for name, value in shown.items()]
        self._say("  ".join([_epoch(trainer), f"step {trainer.global_step}", *parts, *self._facts(trainer)]))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away."""
        self._close()

    def _facts(self, trainer: pl.Trainer) -> list[str]:
        facts = []
        if self._best is not None:
            facts.append(f"best {_number('val_loss', self._best[0])} (epoch {self._best[1] + 1})")
        rate = self.samples_per_second * trainer.world_size
        return [*facts, f"{rate:.3g} samples/s", f"left {clock(self._seconds_left(trainer))}"]

    def _seconds_left(self, trainer: pl.Trainer) -> float:
        """Extrapolated from the batches since the start (validations included); 0 once training is over."""
        if trainer.state.fn != "fit":  # averaged weights are validated then; no loader to count the steps by
            return 0.0
        done = trainer.fit_loop.epoch_loop.total_batch_idx + 1 - self._first_batch
        total = _finite(optimizer_steps(trainer))
        if done <= 0 or total is None:
            return math.nan
        ahead = total * trainer.accumulate_grad_batches - trainer.fit_loop.epoch_loop.total_batch_idx - 1
        return max(ahead, 0) * (time.monotonic() - self._started) / done

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, soft_wrap=True)
        else:
            log.info("%s", line)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _epoch(trainer: pl.Trainer) -> str:
    last = trainer.max_epochs
    return f"epoch {trainer.current_epoch + 1}" + (f"/{last}" if last and last > 0 else "")


def _finite(count: float | None) -> int | None:
    return int(count) if count is not None and math.isfinite(count) and count >= 0 else None


def _number(name: str, value: float) -> str:
    """A logged value: losses and errors in powers of ten, scores and decibels as they are spoken."""
    small = name in ("MSE", "ESR") or 0.0 < value < 1.0
    return f"{value:.3e}" if small else f"{value:.4g}"


def _samples(batch: Any) -> int:
    """Target samples of a batch ``(x, *conditions, y)`` or of named signals; 0 for other batches."""
    if isinstance(batch, dict):
        lengths = batch.get("target_length")
        return int(lengths.sum()) if isinstance(lengths, Tensor) else 0
    target = batch[-1] if isinstance(batch, list | tuple) and batch else None
    return target.numel() if isinstance(target, Tensor) else 0
