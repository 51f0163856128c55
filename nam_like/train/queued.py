"""A Lightning module whose optimizer steps a queue may do.

Lightning still counts every batch as a step and drives schedules, validations and checkpoints. The queue is
emptied before anyone looks at the weights: with the last batch of an epoch, before the module is put into
evaluation mode, and before its state is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.optim import Optimizer

from nam_like.train.step_queue import StepQueue

__all__ = ["QueuedSteps"]


class QueuedSteps(pl.LightningModule):
    """Leaves backward pass and optimizer step to :attr:`queue`, while there is one.

    Its ``training_step`` pushes the batch then.
    """

    queue: StepQueue | None = None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Nothing to do when the queue goes back itself."""
        if self.queue is None:
            super().backward(loss, *args, **kwargs)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Nothing to do when the queue does it itself."""
        if self.queue is None:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Hand the batch to the queue (the closure calls ``training_step``), which steps when it is full."""
        if self.queue is None:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        elif optimizer_closure is not None:
            optimizer_closure()
            if self.trainer.is_last_batch:
                self.queue.flush()

    def on_validation_model_eval(self) -> None:
        """Do what waits while the module still trains."""
        self.flush()
        super().on_validation_model_eval()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The state after all steps."""
        self.flush()
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        return state

    def flush(self) -> None:
        """Do all steps that wait."""
        if self.queue is not None:
            self.queue.flush()
