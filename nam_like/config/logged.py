"""The names under which a run logs its values: what can be monitored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nam_like.config.loss import ALWAYS_MEASURED
from nam_like.registry import DEFAULT_TASK, TASKS

if TYPE_CHECKING:
    from nam_like.config.model import ModelConfig

__all__ = ["logged_names"]


def logged_names(model: ModelConfig) -> list[str] | None:
    """What a run of this model logs.

    ``val_loss`` is the value of `loss.val_loss`; ``ESR`` and ``MSE`` come from validation, as do the further
    metrics; each term of the loss is logged as ``train_<label>`` and ``val_<label>``, their sum in training
    as ``train_loss``. A task with a class method ``logged_names(model) -> list[str]`` says so itself.

    Returns:
        The names, or None where a task of the user's own does not say.
    """
    task = model.task.entry if model.task is not None else TASKS.find(model.net.entry.task or DEFAULT_TASK)
    if task.name != DEFAULT_TASK:
        declared = getattr(task.load(), "logged_names", None)
        return list(declared(model)) if declared is not None else None
    terms = list(model.loss.terms)
    return [
        "val_loss",
        *ALWAYS_MEASURED.values(),
        *(name for name in model.metric_names() if name not in ALWAYS_MEASURED.values()),
        "train_loss",
        *(f"train_{label}" for label in terms),
        *(f"val_{label}" for label in terms),
        "lr",
    ]
