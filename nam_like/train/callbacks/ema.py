"""An exponential moving average of the weights, which is validated, ranked and exported in their place.

At a constant learning rate the weights wander around a minimum; their average is nearer to it, as if the rate
had been lowered, and training goes on undisturbed. Buffers that are no integers (running statistics) are
averaged with the weights they belong to.

Sources: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992; the warm-up is that
of TensorFlow's ExponentialMovingAverage.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from nam_like.train.callbacks.evaluated import TRAINED, EvaluatedWeights

__all__ = ["Ema", "decay_at"]


def decay_at(step: int, decay: float, warm_up: bool) -> float:
    """The share of the average that is kept in the update after `step` others."""
    return min(decay, (1 + step) / (10 + step)) if warm_up else decay


class Ema(EvaluatedWeights):
    """Averages the weights after each optimizer step.

    Args:
        decay: share of the average that is kept.
        warm_up: begin with a smaller share, so that the first weights are soon forgotten.
    """

    def __init__(self, decay: float = 0.999, warm_up: bool = True) -> None:
        super().__init__()
        self.decay = decay
        self.warm_up = warm_up
        self.updates = 0
        self._averages: dict[str, Tensor] = {}
        self._live: list[Tensor] = []
        self._step = -1

    @property
    def state_key(self) -> str:
        """Lightning keys the state by this; it must not depend on the decay."""
        return "nam_like.Ema"

    def state_dict(self) -> dict[str, Any]:
        """How often it was updated; the averages are the checkpoint's weights."""
        return {"updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.updates = state_dict["updates"]

    def averages(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Tensor]:
        """The averages, by name in the module's state dict; none before training."""
        return self._averages

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the averages from the checkpoint's weights."""
        if TRAINED in checkpoint:
            self._averages = {
                name: checkpoint["state_dict"][name].detach().clone() for name in checkpoint[TRAINED]
            }
        super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the present weights, unless the run was resumed."""
        state = pl_module.state_dict(keep_vars=True)
        live = {
            name: value
            for name, value in state.items()
            if name.startswith("net.") and value.is_floating_point()
        }
        self._averages = {
            name: self._averages.get(name, value).detach().to(value.device, copy=True)
            for name, value in live.items()
        }
        self._live = [value.detach() for value in live.values()]
        self._step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update, if the optimizer has stepped; a queue of steps calls :meth:`follow` itself."""
        if trainer.global_step == self._step or getattr(pl_module, "queue", None) is not None:
            return
        self._step = trainer.global_step
        self.follow(self.next_number())

    def next_number(self) -> float:
        """The share that the weights after the next step get."""
        share = 1.0 - decay_at(self.updates, self.decay, self.warm_up)
        self.updates += 1
        return share

    def follow(self, share: float | Tensor) -> None:
        """Move the averages by `share` towards the weights; a tensor is read when a recording is replayed."""
        averages = list(self._averages.values())
        if isinstance(share, Tensor):
            change = torch._foreach_sub(self._live, averages)
            torch._foreach_mul_(change, share)
            torch._foreach_add_(averages, change)
        else:
            torch._foreach_lerp_(averages, self._live, share)
