"""The near end of a side: starts a worker in an interpreter, asks it, measures several of them in turn."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nam_like.errors import UserError

BIN = Path(__file__).resolve().parents[1]
#: Threads of a finished step spin for a few milliseconds; nobody is timed meanwhile (seconds).
SETTLE = 0.02


class SideError(UserError):
    """A worker that died or could not do what it was asked."""


@dataclass(frozen=True)
class SideSpec:
    """How a side is started.

    Attributes:
        name: what it is called in reports.
        python: its interpreter.
        module: the module that serves it.
        environment: variables set for it.
    """

    name: str
    python: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)


def our_side(name: str, isa: str) -> SideSpec:
    """Ourselves, with the kernels that `isa` allows (``$NAM_LIKE_NATIVE``)."""
    path = os.pathsep.join(filter(None, (str(BIN.parent), os.environ.get("PYTHONPATH"))))
    environment = {"NAM_LIKE_NATIVE": isa, "PYTHONPATH": path}
    return SideSpec(name, sys.executable, "benchlib.ours", environment)


def peer_side(python: str) -> SideSpec:
    """The peer in the interpreter `python`."""
    return SideSpec("peer", python, "benchlib.peer")


class Side:
    """A worker process and a line to it.

    Args:
        spec: how to start it.
        threads: threads that its libraries may use.
        log: what it prints goes here.
    """

    def __init__(self, spec: SideSpec, threads: int, log: Path) -> None:
        self.spec, self.log = spec, log
        limits = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [spec.python, "-m", spec.module],
                cwd=BIN,  # `-m` finds benchlib here
                env={**os.environ, **limits, **spec.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return self.spec.name

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            SideError: the worker ended or reports an error.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise SideError(f"expected the side '{self.name}' to answer, but it ended:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(f"the side '{self.name}' could not {do}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running(specs: Sequence[SideSpec], threads: int) -> Iterator[tuple[list[Side], Path]]:
    """Workers of several sides, and a folder for files that they share; both end with the block."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        sides = []
        for index, spec in enumerate(specs):
            side = Side(spec, threads, folder / f"log{index}.txt")
            stack.callback(side.close)
            sides.append(side)
        yield sides, folder


@dataclass
class Times:
    """Seconds of all timed runs of a side.

    Attributes:
        wall: by the clock.
        cpu: of all threads together.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, pairs: Sequence[Sequence[float]]) -> None:
        """Add (wall, cpu) pairs."""
        self.wall += [pair[0] for pair in pairs]
        self.cpu += [pair[1] for pair in pairs]

    def summary(self) -> dict[str, Any]:
        """Medians and minima, and all values."""
        return {
            kind: {"median": statistics.median(values), "min": min(values), "all": values}
            for kind, values in (("wall", self.wall), ("cpu", self.cpu))
        }


@dataclass(frozen=True)
class Contender:
    """Something that is timed.

    Attributes:
        side: the worker.
        do: the request, which takes ``runs`` and answers ``times``.
        options: further arguments of the request.
    """

    side: Side
    do: str = "time"
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, runs: int) -> list[tuple[float, float]]:
        """Wall and CPU seconds of each of so many runs."""
        times: list[tuple[float, float]] = self.side.ask(self.do, runs=runs, **self.options)["times"]
        return times


def time_in_turn(
    contenders: Mapping[str, Contender], rounds: int, *, warm_up: int = 1, turn: float = 0.25
) -> dict[str, Times]:
    """Time contenders in turn: A, B, A, B.

    A turn is as many runs as fill `turn` seconds, so that fast steps run with warm caches as in a training.

    Args:
        contenders: what is timed, by name.
        rounds: turns of each.
        warm_up: untimed runs before.
        turn: seconds of a turn, at least one run.
    """
    runs = {}
    for name, contender in contenders.items():
        contender.run(warm_up)
        fastest = min(wall for wall, _ in contender.run(2))
        runs[name] = max(1, math.ceil(turn / fastest))
    times = {name: Times() for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            time.sleep(SETTLE)
            times[name].add(contender.run(runs[name]))
    return times
