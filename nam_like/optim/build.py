"""Make the optimizer and the learning-rate schedule of a run from their components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nam_like.config.component import Component
from nam_like.config.model import lacks_total_steps, steps_argument
from nam_like.config.signature import given
from nam_like.errors import UserError

__all__ = ["OptimizerError", "Schedule", "build_optimizer", "build_scheduler", "needs_total_steps"]


#: Optimizers that have a fused implementation on the CPU.
FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)
#: Arguments that choose an implementation, or need another one than the fused.
IMPLEMENTATIONS = frozenset({"fused", "foreach", "capturable", "differentiable"})


class OptimizerError(UserError):
    """An optimizer or a schedule that does not accept its config."""


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule and when it steps.

    Attributes:
        scheduler: the component of the scheduler.
        interval: ``"epoch"`` or ``"step"``.
        frequency: it steps every so many intervals.
        monitor: the metric that a plateau scheduler watches.
    """

    scheduler: Component
    interval: str = "epoch"
    frequency: int = 1
    monitor: str = "val_loss"


def build_optimizer(optimizer: Component, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Make an optimizer of all parameters that are trained.

    Raises:
        OptimizerError: nothing is trained, or the optimizer refuses its config.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise OptimizerError("expected the net to have trainable parameters, but got none")
    fused = {"fused": True} if _can_fuse(optimizer, trained) else {}
    try:
        built: Optimizer = optimizer.build(params=trained, **fused)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptimizerError(
            f"model.optimizer: expected a config that {optimizer.name} accepts, but it says: {error}"
        ) from error
    return built


def _can_fuse(optimizer: Component, parameters: list[nn.Parameter]) -> bool:
    """Whether one kernel can update all parameters, and the config leaves open how they are updated.

    On the CPU alone: there torch otherwise goes through the parameters one by one, a dozen small operations
    each; on GPUs its own default updates them together.
    """
    if optimizer.entry.load() not in FUSED or given(optimizer.config).keys() & IMPLEMENTATIONS:
        return False
    return all(p.device.type == "cpu" and p.dtype == torch.float32 and not p.is_sparse for p in parameters)


def needs_total_steps(schedule: Schedule) -> bool:
    """Whether the schedule goes over all batches, and its config does not say how many there are."""
    return lacks_total_steps(schedule.scheduler, schedule.interval)


def build_scheduler(
    schedule: Schedule, optimizer: Optimizer, total_steps: int | None = None
) -> dict[str, Any]:
    """Make a scheduler and say how Lightning drives it.

    Args:
        schedule: the scheduler's component and when it steps.
        optimizer: whose learning rate it sets.
        total_steps: optimizer steps of the whole run, where :func:`needs_total_steps`.

    Returns:
        Lightning's ``lr_scheduler_config``.

    Raises:
        OptimizerError: the scheduler refuses its config.
    """
    component = schedule.scheduler
    argument = steps_argument(component, schedule.interval)
    context: dict[str, Any] = {}
    if argument and total_steps is not None:
        context[argument] = max(1, total_steps // schedule.frequency)
    try:
        scheduler = component.build(optimizer=optimizer, **context)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptimizerError(
            f"model.lr_scheduler: expected a config that {component.name} accepts, but it says: {error}"
        ) from error
    config = {"scheduler": scheduler, "interval": schedule.interval, "frequency": schedule.frequency}
    if isinstance(scheduler, ReduceLROnPlateau):
        config |= {"monitor": schedule.monitor, "reduce_on_plateau": True}
    return config
