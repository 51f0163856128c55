"""Lightning without the hooks that nobody listens to: most of what it spends on a step of a small net.

Before and after everything that a step does, Lightning asks each callback and the module for a hook, and
enters and leaves a context of its profiler around it, also where the hook is the empty one of the base class.
It passes over hooks that are None.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.profilers import PassThroughProfiler

__all__ = ["HOOKS", "NoProfiler", "Unheard"]

#: Called with each batch; those of the module that return something are not among them.
HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "on_train_batch_end",
)
_NOTHING: AbstractContextManager[Any] = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Measures nothing, and does nothing to measure nothing."""

    def profile(self, action_name: str) -> Any:
        """A context that is always the same."""
        return _NOTHING


class Unheard(Callback):
    """Takes the empty hooks of all callbacks and of the module away while training runs."""

    def __init__(self) -> None:
        self._taken: list[tuple[Any, str]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take them; hooks that an instance has been given are left alone."""
        callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
        owners = [*((callback, Callback) for callback in callbacks), (pl_module, pl.LightningModule)]
        for owner, base in owners:
            for name in HOOKS:
                if getattr(type(owner), name) is getattr(base, name) and name not in vars(owner):
                    vars(owner)[name] = None
                    self._taken.append((owner, name))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give them back."""
        self._give_back()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give them back."""
        self._give_back()

    def _give_back(self) -> None:
        for owner, name in self._taken:
            del vars(owner)[name]
        self._taken.clear()
