"""Set gradients to zero where one of them is NaN or infinite, so that a bad batch does not end a run.

The optimizer still steps: averages decay, and so do weights where there is weight decay. A queue of steps,
which computes gradients itself, makes way for this callback (:mod:`nam_like.train.callbacks.launches`).
"""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

__all__ = ["SkipNanGradients", "all_finite"]

log = logging.getLogger(__name__)

#: Further ones are only counted.
WARNINGS = 3


def all_finite(gradients: list[Tensor]) -> bool:
    """Whether there is neither NaN nor an infinity; waits for the device once."""
    if not gradients:
        return True
    # The largest magnitude, unlike a sum of squares, does not overflow.
    largest = torch._foreach_norm(gradients, float("inf"))
    device = largest[0].device
    return bool(torch.stack([value.to(device) for value in largest]).isfinite().all())


class SkipNanGradients(Callback):
    """Looks at all gradients after each backward pass.

    Where a scaler guards the gradients (``trainer.precision`` 16-mixed), it skips such steps itself and needs
    to see them; the callback does nothing then.

    Attributes:
        skipped: after how many backward passes gradients were set to zero.
        passes: how many there were.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self.passes = 0
        self._scaled = False

    @property
    def state_key(self) -> str:
        """The key of the counts in checkpoints."""
        return "nam_like.SkipNanGradients"

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {"skipped": self.skipped, "passes": self.passes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped, self.passes = state_dict["skipped"], state_dict["passes"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find out whether there is a scaler."""
        self._scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if self._scaled:
            log.warning(
                "`skip_nan_grad` is without effect: trainer.precision %s skips such steps itself",
                trainer.precision,
            )

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look, and set them to zero; with several processes all of them see the same sums."""
        if self._scaled:
            return
        self.passes += 1
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        if all_finite(gradients):
            return
        self.skipped += 1
        torch._foreach_zero_(gradients)
        if self.skipped <= WARNINGS and trainer.is_global_zero:
            more = "; further ones are only counted" if self.skipped == WARNINGS else ""
            log.warning(
                "gradients of step %d are NaN or infinite: all are set to zero%s", trainer.global_step, more
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how often."""
        self._report(trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Say how often, until then."""
        self._report(trainer)

    def _report(self, trainer: pl.Trainer) -> None:
        if self.skipped and trainer.is_global_zero:
            log.warning(
                "gradients were NaN or infinite, and set to zero, in %d of %d steps",
                self.skipped,
                self.passes,
            )
