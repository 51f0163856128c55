"""Tell Lightning's loops how many batches an epoch of a curriculum has; by themselves they count once."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from nam_like.data.curriculum import StagedBatchSampler

__all__ = ["EpochLengths", "optimizer_steps"]


def optimizer_steps(trainer: pl.Trainer) -> float:
    """Optimizer steps of the whole run, as far as its length is known; infinite without a limit.

    Lightning's own estimate takes all epochs to be as long as the first.
    """
    estimate = trainer.estimated_stepping_batches  # makes the loader, if there is none yet
    sampler = getattr(trainer.train_dataloader, "batch_sampler", None)
    if not isinstance(sampler, StagedBatchSampler) or not trainer.max_epochs or trainer.max_epochs < 0:
        return estimate
    every = trainer.accumulate_grad_batches
    batches = (_limited(sampler.batches_of(e), trainer) for e in range(trainer.max_epochs))
    steps = sum(math.ceil(count / every) for count in batches)
    return min(steps, trainer.max_steps) if trainer.max_steps != -1 else steps


class EpochLengths(Callback):
    """Sets the length of each epoch before it begins.

    Args:
        sampler: of the training loader.
    """

    def __init__(self, sampler: StagedBatchSampler) -> None:
        self.sampler = sampler

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch that is resumed does not begin anew."""
        self._tell(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The sampler knows the epoch by now."""
        self._tell(trainer)

    def _tell(self, trainer: pl.Trainer) -> None:
        count = _limited(self.sampler.batches_of(trainer.current_epoch), trainer)
        loop: Any = trainer.fit_loop
        loop.max_batches = count
        loop._combined_loader.limits = [count]
        loop._data_fetcher.length = count
        if isinstance(trainer.val_check_interval, float):
            trainer.val_check_batch = max(1, int(count * trainer.val_check_interval))


def _limited(count: int, trainer: pl.Trainer) -> int:
    """The batches of an epoch within ``limit_train_batches``."""
    limit = trainer.limit_train_batches
    return min(count, limit) if isinstance(limit, int) else int(count * limit)
