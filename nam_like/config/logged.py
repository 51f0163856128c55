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
    metrics. Each term of the loss is logged as ``val_<label>`` and, unless its weight is 0, as
    ``train_<label>``; their sum in training is ``train_loss``. A task with a class method
    ``logged_names(model) -> list[str]`` says so itself.

    Returns:
        The names, or None where a task of the user's own does not say.
    """
    task = model.task.entry if model.task is not None else TASKS.find(model.net.entry.task or DEFAULT_TASK)
    if task.name != DEFAULT_TASK:
        declared = getattr(task.load(), "logged_names", None)
        return list(declared(model)) if declared is not None else None
    terms = list(model.loss.terms)
    trained = [label for label, term in model.loss.terms.items() if term.siblings.weight > 0]
    return [
        "val_loss",
        *ALWAYS_MEASURED.values(),
        *(name for name in model.metric_names() if name not in ALWAYS_MEASURED.values()),
        "train_loss",
        *(f"train_{label}" for label in trained),
        *(f"val_{label}" for label in terms),
        "lr",
    ]
