"""The short way through a training step: what Lightning's loop does with a batch, without its detours.

For each batch, Lightning wraps the forward pass, the backward pass and the optimizer into closures of each
other, asks for every hook by name and inspects signatures. Where the step belongs to the queue
(:mod:`nam_like.train.step_queue`), none of that has an effect. What has one is done here in the same order:
counters (checkpoints contain them), hooks of callbacks, schedules, logging. Everything around it, from
validation to resumption, remains Lightning's.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.core.hooks import DataHooks
from pytorch_lightning.plugins import Precision
from pytorch_lightning.trainer import call

from nam_like.train.lightning_module import LightningModule

__all__ = ["ShortWay"]

log = logging.getLogger(__name__)

#: What is asked of Lightning's loop and trainer; a version without it goes its own way.
NEEDED = {
    "fit_loop.epoch_loop": (
        "advance",
        "restarting",
        "batch_idx",
        "batch_progress",
        "automatic_optimization",
        "val_loop",
        "update_lr_schedulers",
        "_num_ready_batches_reached",
    ),
    "fit_loop.epoch_loop.automatic_optimization": ("optim_progress", "_skip_backward"),
    "_logger_connector": ("on_batch_start", "on_batch_end", "update_train_step_metrics"),
    "strategy": ("precision_plugin", "batch_to_device"),
}
#: Hooks of the module between the loader and the step.
TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class ShortWay(Callback):
    """Replaces what the loop does with a batch, while the module has a queue."""

    def __init__(self) -> None:
        self._loop: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take it, where there is one."""
        if not isinstance(pl_module, LightningModule) or pl_module.queue is None:
            return
        if not is_known(trainer):
            log.debug("the loop of Lightning %s is another one than expected", version("pytorch_lightning"))
            return
        self._loop = trainer.fit_loop.epoch_loop
        vars(self._loop)["advance"] = _Advance(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the loop its own way back."""
        self._give_back()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the loop its own way back."""
        self._give_back()

    def _give_back(self) -> None:
        if self._loop is not None:
            vars(self._loop).pop("advance", None)
            self._loop = None


def is_known(trainer: pl.Trainer) -> bool:
    """Whether Lightning's loop has all that is asked of it."""
    for path, names in NEEDED.items():
        owner: Any = trainer
        for part in path.split("."):
            owner = getattr(owner, part, None)
        if not all(hasattr(owner, name) for name in names):
            return False
    return hasattr(call, "_call_callback_hooks")


class _Advance:
    """Trains on one batch; called in the place of the loop's ``advance``.

    Args:
        trainer: in training.
        module: has a queue.
    """

    def __init__(self, trainer: pl.Trainer, module: LightningModule) -> None:
        self.trainer: Any = trainer
        self.module = module
        self.loop: Any = trainer.fit_loop.epoch_loop
        self.lightnings = self.loop.advance
        self.known = self._facts()
        self.stays = self._stays()

    def __call__(self, fetcher: Any) -> None:
        """Fetch a batch and train on it.

        Raises:
            StopIteration: there is none.
        """
        if self.loop.restarting:
            self.lightnings(fetcher)
        elif self._facts() != self.known:  # somebody has changed what a step is
            self.module.flush()
            self.module.queue = None
            del vars(self.loop)["advance"]
            self.lightnings(fetcher)
        else:
            self._train(fetcher)

    def _train(self, fetcher: Any) -> None:
        trainer, loop, module = self.trainer, self.loop, self.module
        loop.val_loop.restarting = False
        batch = next(fetcher)[0]
        number, progress, connector = loop.batch_idx + 1, loop.batch_progress, trainer._logger_connector
        progress.is_last_batch = fetcher.done
        batch = self._moved(batch)
        progress.increment_ready()
        connector.on_batch_start(batch)
        call._call_callback_hooks(trainer, "on_train_batch_start", batch, number)
        progress.increment_started()
        outputs = {"loss": self._step(batch, number)}
        if progress.is_last_batch:
            module.flush()
        progress.increment_processed()
        if trainer.lr_scheduler_configs:
            loop.update_lr_schedulers("step", update_plateau_schedulers=False)
            if loop._num_ready_batches_reached():
                loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        call._call_callback_hooks(trainer, "on_train_batch_end", outputs, batch, number)
        connector.on_batch_end()
        progress.increment_completed()
        connector.update_train_step_metrics()

    def _step(self, batch: Any, number: int) -> Any:
        """Hand the batch to the queue and count as Lightning does; returns the loss, scalar."""
        done, module = self.loop.automatic_optimization.optim_progress.optimizer, self.module
        done.step.increment_ready()
        before, module._current_fx_name = module._current_fx_name, "training_step"
        loss = module.training_step(batch, number)
        module._current_fx_name = before
        done.zero_grad.increment_ready()
        done.zero_grad.increment_started()
        done.zero_grad.increment_completed()
        done.step.increment_completed()
        return loss

    def _facts(self) -> tuple[Any, ...]:
        """What the queue was made for."""
        trainer = self.trainer
        return (
            self.module.queue,
            trainer.optimizers[0],
            trainer.accumulate_grad_batches,
            trainer.gradient_clip_val,
            trainer.gradient_clip_algorithm,
            self.loop.automatic_optimization._skip_backward,
        )

    def _stays(self) -> bool:
        """Whether batches from the loader are already what and where the step wants them."""
        own = any(getattr(type(self.module), name) is not getattr(DataHooks, name) for name in TRANSFERS)
        plugin = type(self.trainer.strategy.precision_plugin)
        on_cpu = self.trainer.strategy.root_device.type == "cpu"
        return on_cpu and not own and plugin.convert_input is Precision.convert_input

    def _moved(self, batch: Any) -> Any:
        """The batch as Lightning hands it to the step."""
        if self.stays:
            return batch
        batch = self.trainer.precision_plugin.convert_input(batch)
        batch = self.module._on_before_batch_transfer(batch, dataloader_idx=0)
        return call._call_strategy_hook(self.trainer, "batch_to_device", batch, dataloader_idx=0)
