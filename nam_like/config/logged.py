"""The names under which a run logs its values: what can be monitored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nam_like.registry import OWNER

if TYPE_CHECKING:
    from nam_like.config.model import ModelConfig

__all__ = ["logged_names"]


def logged_names(model: ModelConfig) -> list[str] | None:
    """What a run of this model logs.

    ``val_loss`` is the value of `loss.val_loss`; what the task always measures (``ESR`` and ``MSE`` of a
    regression) comes from validation, as do the further metrics. Each term of the loss is logged as
    ``val_<label>`` and, unless its weight is 0, as ``train_<label>``; their sum in training is
    ``train_loss``. A task of the user's own with a class method ``logged_names(model) -> list[str]`` says so
    itself.

    Returns:
        The names, or None where a task of the user's own does not say.
    """
    task = model.resolved_task().entry
    if task.owner != OWNER:
        declared = getattr(task.load(), "logged_names", None)
        return list(declared(model)) if declared is not None else None
    terms = list(model.loss.terms)
    trained = [label for label, term in model.loss.terms.items() if term.siblings.weight > 0]
    always = [name.upper() for name in task.measures]
    return [
        "val_loss",
        *always,
        *(name for name in model.metrics if name not in always),
        "train_loss",
        *(f"train_{label}" for label in trained),
        *(f"val_{label}" for label in terms),
        "lr",
    ]
