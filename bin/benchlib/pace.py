"""When a trainer makes its optimizer steps: ``python -m benchlib.pace REPORT SIDE arguments…``.

Runs the whole command of a side in this process and writes down the time of each optimizer step, how much of
it is training (the module's ``training_step``, the backward pass, the optimizer's arithmetic), and how long
validation steps and checkpoints take. It knows nothing of nam_like.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchlib.probe import COMMANDS

#: What is timed: module, class, method of PyTorch and Lightning → name in the report.
METHODS = {
    ("pytorch_lightning.strategies.strategy", "Strategy", "validation_step"): "validation",
    ("pytorch_lightning.trainer.trainer", "Trainer", "save_checkpoint"): "checkpoint",
    ("torch", "Tensor", "backward"): "backward",
}
Spans = list[tuple[float, float]]


def main() -> None:
    """Run the command."""
    report, side, *arguments = sys.argv[1:]
    module, function = COMMANDS[side]
    sys.argv = [module, *arguments]
    command = getattr(importlib.import_module(module), function)
    if side == "ours":  # Lightning as it is imported in a run
        importlib.import_module("nam_like.lightning").import_lightning()
    optimizer: Any = importlib.import_module("torch.optim.optimizer")
    steps: list[float] = []
    spans: dict[str, Spans] = {name: [] for name in (*METHODS.values(), "forward", "optimizer")}
    begun: list[float] = []

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arithmetic of a step begins when its closure has returned."""
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)

        def timed() -> Any:
            result = closure()
            begun[:] = [time.perf_counter()]
            return result

        begun[:] = [time.perf_counter()]  # where there is none
        return (args[:1], {"closure": timed}) if closure is not None else None

    def after(*_: Any) -> None:
        steps.append(time.perf_counter())
        spans["optimizer"].append((begun[0], steps[-1]))

    optimizer.register_optimizer_step_pre_hook(before)
    optimizer.register_optimizer_step_post_hook(after)
    for (path, owner, method), name in METHODS.items():
        holder = getattr(importlib.import_module(path), owner)
        setattr(holder, method, _timed(getattr(holder, method), spans[name]))
    strategy: Any = importlib.import_module("pytorch_lightning.strategies.strategy").Strategy
    attach = strategy.connect

    def connect(self: Any, model: Any) -> None:
        """The module's own step, without what Lightning does around it."""
        model.training_step = _timed(model.training_step, spans["forward"])
        attach(self, model)

    strategy.connect = connect
    atexit.register(_write, Path(report), steps, spans)
    sys.exit(command())


def _timed(method: Callable[..., Any], spans: Spans) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = method(*args, **kwargs)
        spans.append((start, time.perf_counter()))
        return result

    return timed


def _write(path: Path, steps: list[float], spans: dict[str, Spans]) -> None:
    path.write_text(json.dumps({"steps": steps, "spans": spans}), encoding="utf-8")


if __name__ == "__main__":
    main()
