"""What a trainer spends until its first optimizer step: ``python -m benchlib.probe REPORT SIDE arguments…``.

Runs the command of a side in this process, notes how long each phase takes, and ends the process when an
optimizer has made its first step. It knows nothing of nam_like, and imports nothing that is measured.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

#: Set by who starts the process: the time of its start (s since the epoch).
STARTED = "BENCH_STARTED"

#: Commands: module and function.
COMMANDS = {"ours": ("nam_like.cli.full", "main"), "peer": ("nam.cli", "nam_full")}
IMPORTS = {"torch": "import torch", "pytorch_lightning": "import Lightning"}
#: Functions whose time is a phase of its own, less that of phases within.
FUNCTIONS = {
    "nam_like.config.reading": {"read_files": "read and check the JSONs"},
    "nam_like.config.run": {"check_run": "read and check the JSONs"},
    "nam_like.train.prepare": {"prepare": "net, recordings, checks"},
    "nam_like.train.fit": {"fit": "trainer"},
    "nam_like.train.lightning_module": {"LightningModule.training_step": "first step"},
    "nam.train.lightning_module": {"LightningModule.init_from_config": "net, recordings, checks"},
    "nam.data": {"init_dataset": "net, recordings, checks"},
    "pytorch_lightning.trainer.trainer": {"Trainer.__init__": "trainer", "Trainer.fit": "trainer"},
    "pytorch_lightning.strategies.strategy": {
        "Strategy.validation_step": "sanity check",
        "Strategy.training_step": "first step",
    },
}
BEFORE = "Python itself"
REST = "imports and everything else"


class Phases:
    """Gives each moment to the innermost phase that is open."""

    def __init__(self) -> None:
        now = time.time()
        self.seconds = {BEFORE: now - float(os.environ.get(STARTED, now))}
        self._open = [REST]
        self._mark = now

    def _turn(self) -> None:
        now, name = time.time(), self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._mark
        self._mark = now

    @contextmanager
    def phase(self, name: str) -> Any:
        """While it is open, time is that of `name`."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def wrapped(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """`function`, whose time is that of `name`."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                result = function(*args, **kwargs)
            if name == "first step":  # backward pass and optimizer follow
                self._turn()
                self._open.append(name)
            return result

        return timed

    def finish(self, path: Path) -> None:
        """Write the report and end the process."""
        self._turn()
        report = {"phases": self.seconds, "cpu": time.process_time()}
        path.write_text(json.dumps(report), encoding="utf-8")
        os._exit(0)


class Watch(MetaPathFinder):
    """Notices the import of the modules that are timed."""

    def __init__(self, phases: Phases, report: Path) -> None:
        self.phases, self.report = phases, report

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module as others find it, with a loader that times it."""
        if fullname not in IMPORTS and fullname not in FUNCTIONS and fullname != "torch.optim.optimizer":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Timed(spec.loader, self)
                return spec
        return None


class _Timed(Loader):
    def __init__(self, loader: Any, watch: Watch) -> None:
        self.loader, self.watch = loader, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        phases, name = self.watch.phases, module.__name__
        if name in IMPORTS:
            with phases.phase(IMPORTS[name]):
                self.loader.exec_module(module)
        else:
            self.loader.exec_module(module)
        for path, phase in FUNCTIONS.get(name, {}).items():
            owner: Any = module
            *outer, last = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            found = vars(owner)[last]
            if isinstance(found, classmethod):
                setattr(owner, last, classmethod(phases.wrapped(found.__func__, phase)))
            else:
                setattr(owner, last, phases.wrapped(found, phase))
        if name == "torch.optim.optimizer":
            module.register_optimizer_step_post_hook(lambda *_: phases.finish(self.watch.report))


def main() -> None:
    """Run the command."""
    report, side, *arguments = sys.argv[1:]
    phases = Phases()
    sys.meta_path.insert(0, Watch(phases, Path(report)))
    module, function = COMMANDS[side]
    sys.argv = [module, *arguments]
    sys.exit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    main()
