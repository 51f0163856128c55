"""What one file asks of another: checks that need several files, but no audio."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nam_like.config.component import Component
from nam_like.config.init_from import init_entries
from nam_like.config.lines import Loc
from nam_like.config.logged import logged_names
from nam_like.lightning import defer_compiler
from nam_like.registry import did_you_mean

if TYPE_CHECKING:
    from nam_like.config.data import DataConfig
    from nam_like.config.learning import LearningConfig
    from nam_like.config.model import ModelConfig

__all__ = ["cross_problems"]

#: file, path inside it, message
Finding = tuple[str, Loc, str]


def cross_problems(
    data: DataConfig | None, model: ModelConfig | None, learning: LearningConfig | None
) -> list[Finding]:
    """Mistakes that only show when the files are seen together; a file that could not be read is None."""
    found: list[Finding] = []
    if model is not None:
        found += _optimizer_problems(model)
    if learning is not None:
        found += _callback_problems(learning)
        found += _average_problems(model, learning)
    if model is not None and learning is not None:
        found += _monitor_problems(model, learning)
        found += _start_problems(model, learning)
    return found


def _monitor_problems(model: ModelConfig, learning: LearningConfig) -> Iterator[Finding]:
    """Monitored values that nobody logs."""
    names = logged_names(model)
    if names is None:
        return
    places: list[tuple[str, Loc, Any]] = []
    if model.lr_scheduler is not None:
        places.append(("model", ("lr_scheduler", "monitor"), model.lr_scheduler.siblings.monitor))
    for at, callback in learning.located_callbacks():
        monitor = getattr(callback.config, "monitor", None)
        places.append(("learning", (*at, *callback.config_at, "monitor"), monitor))
    for root, loc, monitor in places:
        if isinstance(monitor, str) and monitor not in names:
            yield (
                root,
                loc,
                f"expected a value that is logged ({', '.join(names)}), "
                f"but got '{monitor}'{did_you_mean(monitor, names)}",
            )


def _start_problems(model: ModelConfig, learning: LearningConfig) -> Iterator[Finding]:
    """Weights to start from that both files name."""
    given = init_entries(learning)
    if given is None:
        return
    for key in ("checkpoint_path", "init_from_nam"):
        if getattr(model, key) is not None:
            yield "learning", (given[0],), f"expected `{given[0]}` or model.{key}, but got both"


def _optimizer_problems(model: ModelConfig) -> Iterator[Finding]:
    """What the optimiser and the scheduler themselves say to their arguments, asked with one parameter."""
    defer_compiler()
    import torch

    from nam_like.config.model import steps_argument

    parameters = [torch.nn.Parameter(torch.zeros(1))]
    try:
        optimizer = model.optimizer.build(parameters)
    except Exception as error:
        yield "model", ("optimizer", *model.optimizer.config_at), _refused(model.optimizer, error)
        return
    scheduler = model.lr_scheduler
    if scheduler is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            argument = steps_argument(scheduler, scheduler.siblings.interval)
            scheduler.build(optimizer, **({argument: 1000} if argument else {}))
    except Exception as error:
        yield "model", ("lr_scheduler", *scheduler.config_at), _refused(scheduler, error)


def _callback_problems(learning: LearningConfig) -> Iterator[Finding]:
    """What Lightning's own callbacks say to their arguments; those of users are built in the run only."""
    for at, callback in learning.located_callbacks():
        if not callback.entry.target_path.startswith("pytorch_lightning."):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                callback.build()
        except Exception as error:
            yield "learning", (*at, *callback.config_at), _refused(callback, error)


def _average_problems(model: ModelConfig | None, learning: LearningConfig) -> Iterator[Finding]:
    """Weights cannot be averaged twice, nor where no process has them whole."""
    if learning.ema is None:
        return
    if model is not None and model.optimizer.name == "ScheduleFreeAdamW":
        yield (
            "learning",
            ("ema",),
            "expected no `ema` with ScheduleFreeAdamW, which averages the weights itself, but got both",
        )
    for at, callback in learning.located_callbacks():
        if callback.name in ("StochasticWeightAveraging", "EMAWeightAveraging"):
            yield "learning", at, f"expected one average of the weights, but got `ema` and {callback.name}"
    strategy = getattr(learning.trainer, "strategy", None)
    if isinstance(strategy, str) and strategy.startswith(("fsdp", "deepspeed")):
        yield (
            "learning",
            ("ema",),
            f"expected a strategy that keeps the weights whole for `ema`, but got '{strategy}'",
        )


def _refused(component: Component, error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"expected arguments that {component.name} takes, but got {type(error).__name__}: {text}"
