"""Stop early: at a signal, or when the ESR is good enough."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint

from nam_like.train.callbacks.checkpoints import BestAndLast
from nam_like.train.errors import Interrupted

__all__ = ["SignalFlag", "StopAtEsr", "StopOnSignal"]

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalFlag:
    """Remembers that SIGINT or SIGTERM came; a second one ends the process at once.

    Attributes:
        received: name of the signal, or empty.
    """

    def __init__(self) -> None:
        self.received = ""
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self.received)

    @contextmanager
    def installed(self) -> Iterator[SignalFlag]:
        """Handle the signals inside the block (in the main thread; elsewhere it does nothing)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.install()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def install(self) -> None:
        """Take the signals; done again when a fit begins, for Lightning sets handlers of its own then."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.received = signal.Signals(number).name
        log.warning("%s: stopping after this batch; again to stop at once", self.received)


class StopOnSignal(Checkpoint):
    """Ends the fit with :class:`Interrupted` at the first point where the run can be resumed exactly.

    Such points are: after a batch, unless gradients are being accumulated or a validation follows at once;
    and after a validation, whose checkpoint is already written then: Lightning calls checkpoint callbacks
    last, in their order, which is why this is one of them.

    Args:
        flag: raised by the signals.
        checkpoints: writes last.ckpt.
    """

    def __init__(self, flag: SignalFlag, checkpoints: BestAndLast) -> None:
        super().__init__()
        self.flag = flag
        self.checkpoints = checkpoints

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals back from Lightning."""
        self.flag.install()

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing is trained yet."""
        self._stop_if_asked(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals back from Lightning."""
        self.flag.install()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop, if asked."""
        if not self._asked(trainer) or _validation_follows(trainer, batch_idx):
            return
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.checkpoints.save_last(trainer)
            raise Interrupted(self.flag.received)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop, if asked, after the checkpoint of a validation has been written."""
        if not trainer.sanity_checking:
            self._stop_if_asked(trainer)

    def _asked(self, trainer: pl.Trainer) -> bool:
        """Whether any process got a signal; all processes must stop at the same batch."""
        if trainer.world_size == 1:
            return bool(self.flag)
        return bool(trainer.strategy.reduce_boolean_decision(bool(self.flag), all=False))

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        if self._asked(trainer):
            raise Interrupted(self.flag.received)


def _validation_follows(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether the end of the epoch or a validation comes before the next batch."""
    if batch_idx + 1 >= trainer.num_training_batches:
        return True
    every = trainer.val_check_batch
    if not isinstance(every, int) or every < 1:
        return False
    index = trainer.fit_loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return bool((index + 1) % every == 0)


class StopAtEsr(Callback):
    """Ends the run when a validation reaches an ESR.

    Args:
        threshold: the run ends when ESR <= threshold.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare."""
        if trainer.sanity_checking:
            return
        esr = trainer.callback_metrics.get("ESR")
        if esr is not None and float(esr) <= self.threshold:
            log.info("ESR %.3g has reached the threshold %.3g", float(esr), self.threshold)
            trainer.should_stop = True
