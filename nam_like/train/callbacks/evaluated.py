"""Validate, rank and save other weights than those that are trained: an average of them.

While a validation runs, the averages stand in the parameters' place; then the trained values come back, bit
by bit. A checkpoint's ``state_dict`` holds the averages, for they are what its metrics belong to and what is
exported; the trained values lie beside it, so that a resumed run goes on from them.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

__all__ = ["TRAINED", "EvaluatedWeights"]

#: Key of the trained weights in a checkpoint whose ``state_dict`` holds averages.
TRAINED = "nam_like.trained_weights"


class EvaluatedWeights(Callback):
    """Swaps the weights around validations and in checkpoints.

    This class takes the averages of an optimizer that makes some (``optimizer.averages()``, as that of
    :class:`nam_like.optim.schedule_free.ScheduleFreeAdamW`); with other optimizers it does nothing.
    """

    def __init__(self) -> None:
        self._trained: dict[str, Tensor] = {}

    def averages(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Tensor]:
        """What is validated in place of the trained values, by name in the module's state dict."""
        known = {id(parameter): name for name, parameter in pl_module.named_parameters()}
        return {
            known[id(parameter)]: average
            for optimizer in trainer.optimizers
            for parameter, average in getattr(optimizer, "averages", tuple)()
        }

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the averages in place."""
        averages = self.averages(trainer, pl_module)
        self._trained = _copies(pl_module, averages)
        _put(pl_module, averages)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the trained values back; checkpoints are written after this, see :meth:`on_save_checkpoint`."""
        _put(pl_module, self._trained)
        self._trained = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Exchange the weights in the checkpoint."""
        averages = self.averages(trainer, pl_module)
        if not averages:
            return
        checkpoint[TRAINED] = self._trained or _copies(pl_module, averages)
        checkpoint["state_dict"] = {
            **checkpoint["state_dict"],
            **{name: average.detach().clone() for name, average in averages.items()},
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with the trained values."""
        if trainer.state.fn == "fit":
            _put(pl_module, checkpoint.get(TRAINED, {}))


def _copies(pl_module: pl.LightningModule, names: dict[str, Tensor]) -> dict[str, Tensor]:
    state = pl_module.state_dict() if names else {}
    return {name: state[name].detach().clone() for name in names}


@torch.no_grad()
def _put(pl_module: pl.LightningModule, values: dict[str, Tensor]) -> None:
    state = pl_module.state_dict() if values else {}
    for name, value in values.items():
        state[name].copy_(value)
