"""Optimizer steps that a queue does: whether a run can have them, and the line in the log that says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    BaseFinetuning,
    Callback,
    Checkpoint,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelPruning,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
)
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from nam_like.train.callbacks.curriculum import EpochLengths
from nam_like.train.callbacks.ema import Ema
from nam_like.train.callbacks.evaluated import EvaluatedWeights
from nam_like.train.lightning_module import LightningModule
from nam_like.train.recording import CudaGraphs, Recorder
from nam_like.train.step_queue import Batch, Clipping, DirectSteps, StepProgram, StepQueue

__all__ = ["STEPS_ON_CUDA", "StepsPerLaunch"]

log = logging.getLogger(__name__)

#: Steps per launch on CUDA devices, unless configured: beyond it, little is left to gain.
STEPS_ON_CUDA = 8
#: Hooks between the batches, after which weights or gradients may have been looked at.
STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "on_train_batch_end",
)
#: Those of them that lie within a step; where steps do not wait, the others find everything as it should be.
INNER_HOOKS = STEP_HOOKS[1:-1]
#: Callbacks that look at neither there, or know about the queue.
BLIND = (Checkpoint, EarlyStopping, EpochLengths, EvaluatedWeights, LearningRateMonitor, ProgressBar, Timer)
#: Callbacks that change what a step is while the run goes on.
MEDDLERS = (BaseFinetuning, GradientAccumulationScheduler, ModelPruning, StochasticWeightAveraging)
#: What a task may not change about a step that the queue does.
MODULE_HOOKS = (
    *STEP_HOOKS,
    "backward",
    "configure_gradient_clipping",
    "optimizer_step",
    "optimizer_zero_grad",
    "train_loss",
    "training_step",
)


class StepsPerLaunch(Callback):
    """Gives the module a :class:`StepQueue` where the run can have one.

    Args:
        size: steps per launch; with 1 none waits for another. None takes :data:`STEPS_ON_CUDA` on CUDA
            devices, and 1 elsewhere.
        recorder: makes what records the launches, for a CUDA device.
    """

    def __init__(self, size: int | None = None, recorder: Callable[[], Recorder] = CudaGraphs) -> None:
        self.size = size
        self.make_recorder = recorder

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide, and say so."""
        on_cuda = trainer.strategy.root_device.type == "cuda"
        size = self.size or (STEPS_ON_CUDA if on_cuda else 1)
        if size == 1:
            if isinstance(pl_module, LightningModule) and not any(obstacles(trainer, pl_module, INNER_HOOKS)):
                pl_module.queue = DirectSteps(step_program(trainer, pl_module))
            return
        why_not = next(obstacles(trainer, pl_module), "")
        if why_not or not isinstance(pl_module, LightningModule):
            level = logging.WARNING if self.size else logging.INFO
            log.log(level, "optimizer steps: one per launch, because %s", why_not)
            return
        program = step_program(trainer, pl_module)
        why_not = program.why_not_recorded() if on_cuda else ""
        recorder = self.make_recorder() if on_cuda and not why_not else None
        pl_module.queue = StepQueue(program, size, recorder)
        how = "recorded as CUDA graphs" if recorder else f"not recorded: {why_not or 'the device is no GPU'}"
        log.info("optimizer steps: %d per launch, %s", size, how)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do what waits, and let Lightning step again."""
        if isinstance(pl_module, LightningModule):
            pl_module.flush()
            pl_module.queue = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Let the steps that wait go: what is worth keeping has been saved."""
        if isinstance(pl_module, LightningModule):
            pl_module.queue = None


def step_program(trainer: pl.Trainer, module: LightningModule) -> StepProgram:
    """One step of a run, as Lightning would do it."""

    def loss(batch: Batch) -> Tensor:
        with trainer.precision_plugin.train_step_context():
            return module.train_loss(batch)

    by_value = str(trainer.gradient_clip_algorithm or "norm").lower().endswith("value")
    averages = [callback for callback in _callbacks(trainer) if isinstance(callback, Ema)]
    clipping = Clipping(trainer.gradient_clip_val, by_value)
    return StepProgram(loss, trainer.optimizers[0], clipping, averages)


def obstacles(
    trainer: pl.Trainer, module: pl.LightningModule, hooks: Sequence[str] = STEP_HOOKS
) -> Iterator[str]:
    """Why the steps of a run cannot be left to a queue.

    Args:
        trainer: of the run, in training.
        module: what is trained.
        hooks: those that a queue passes over, or calls while steps wait.
    """
    if not isinstance(module, LightningModule):
        yield f"{type(module).__name__} does not keep its sums on the device"
        return
    for name in MODULE_HOOKS:
        if getattr(type(module), name) is not getattr(LightningModule, name):
            yield f"{type(module).__name__} has a `{name}` of its own"
    if not module.automatic_optimization or len(trainer.optimizers) != 1:
        yield f"{type(module).__name__} does not have one optimizer that is stepped automatically"
        return
    if isinstance(trainer.optimizers[0], torch.optim.LBFGS):
        yield "LBFGS evaluates the loss several times per step"
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        yield "several processes train together"
    if trainer.accumulate_grad_batches != 1:
        yield f"gradients are accumulated over {trainer.accumulate_grad_batches} batches"
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        yield f"precision {trainer.precision} scales the loss step by step"
    for callback in _callbacks(trainer):
        if isinstance(callback, MEDDLERS):
            yield f"the callback {type(callback).__name__} changes what a step is"
        hook = _step_hook(callback, hooks)
        if hook:
            yield f"the callback {type(callback).__name__} has a `{hook}`, which may look at every step"


def _step_hook(callback: Callback, hooks: Sequence[str]) -> str:
    """A hook by which a callback may look at a step; empty where there is none."""
    if isinstance(callback, BLIND):
        return ""
    own = {name: getattr(getattr(callback, name), "__func__", None) for name in hooks}
    return next((name for name, hook in own.items() if hook is not getattr(Callback, name)), "")


def _callbacks(trainer: pl.Trainer) -> list[Callback]:
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    return list(callbacks)
