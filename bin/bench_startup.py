#!/usr/bin/env python3
"""How long until something happens: help, a mistake in a JSON told, the first training step done.

    python bin/bench_startup.py [--peer /path/to/peer/venv/bin/python] [--runs 5] [--net a1] [--json FILE]

- ``--help`` and ``nam_like list``: the whole command.
- mistake: the whole command, given a learning.json whose ``max_epochs`` is misspelt.
- first step: from the start of the process until an optimizer has made its first step, on three minutes of
  audio; what each phase costs is printed. An import counts where it happens first.

All commands run in turn, so that both sides meet the same machine; seconds are medians. Processor seconds, of
all threads together, do not depend on what else the machine does. The last line is the ratio of the times to
the first step, or our time without ``--peer``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchlib.nets import make_case, peer_model
from benchlib.probe import STARTED

from nam_like.audio.writing import write_audio

BIN = Path(__file__).resolve().parent
RATE = 48_000
Json = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that is timed; `report` is where its probe writes, if it has one."""

    line: list[str]
    code: int = 0
    report: Path | None = None


def write_capture(folder: Path, seconds: float) -> Json:
    """Write two recordings; returns the data.json of both sides."""
    rng = np.random.default_rng(0)
    x = np.convolve(0.1 * rng.standard_normal(round(seconds * RATE)), [1.0, 0.9], "same").astype(np.float32)
    for name, samples in (("dry", x), ("wet", (0.5 * np.tanh(3.0 * x)).astype(np.float32))):
        write_audio(folder / f"{name}.wav", samples, RATE, subtype="PCM_24")
    stop = len(x) - len(x) // 18
    paths = {"x_path": str(folder / "dry.wav"), "y_path": str(folder / "wet.wav"), "delay": 0}
    return {
        "common": {**paths, "require_input_pre_silence": None},
        "train": {"stop_samples": stop, "ny": 8192},
        "validation": {"start_samples": stop, "ny": None},
    }


def write_jsons(folder: Path, data: Json, model: Json, epochs: str = "max_epochs") -> list[str]:
    """Write the three JSONs and make a folder for what comes out; returns the command line's arguments."""
    learning = {
        "train_dataloader": {"batch_size": 16, "shuffle": True, "drop_last": True, "num_workers": 0},
        "val_dataloader": {},
        "trainer": {"accelerator": "cpu", "devices": 1, epochs: 1},
    }
    (folder / "out").mkdir(parents=True)
    paths = []
    for name, content in (("data", data), ("model", model), ("learning", learning)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        paths.append(str(folder / f"{name}.json"))
    return [*paths, str(folder / "out"), "--no-show", "--no-plots"]


def make_commands(arguments: argparse.Namespace, folder: Path) -> dict[str, Command]:
    """What is timed, by name."""
    data = write_capture(folder, arguments.seconds)
    # The peer has one optimizer and always needs a schedule.
    model = make_case(arguments.net, loss="preset").model
    model["lr_scheduler"] = {"name": "ExponentialLR", "config": {"gamma": 0.993}}
    sides = {"ours": (sys.executable, "nam_full", [sys.executable, "-m", "nam_like.cli.full"], model)}
    if arguments.peer:
        script = [arguments.peer, str(Path(arguments.peer).parent / "nam-full")]
        sides["peer"] = (arguments.peer, "peer", script, peer_model(model))
    commands = {"nam_like list": Command([sys.executable, "-m", "nam_like", "list"])}
    for side, (python, name, program, content) in sides.items():
        commands[f"{name} --help"] = Command([*program, "--help"])
        wrong = write_jsons(folder / side / "wrong", data, content, "max_epocs")
        commands[f"{name}, mistake"] = Command([*program, *wrong], 2 if side == "ours" else 1)
        right = write_jsons(folder / side / "right", data, content)
        report = folder / f"{side}.json"
        line = [python, "-m", "benchlib.probe", str(report), side, *right]
        commands[f"{name}, first step"] = Command(line, report=report)
    return commands


def run(command: Command, cache: Path) -> Json:
    """One run: ``wall`` and ``cpu`` seconds, and the ``phases`` of a probe."""
    path = os.pathsep.join(filter(None, (str(BIN.parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "NAM_LIKE_CACHE": str(cache), "MPLBACKEND": "agg"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.time()
    done = subprocess.run(
        command.line,
        check=False,
        capture_output=True,
        cwd=BIN,
        env={**environment, STARTED: repr(started)},
    )
    wall = time.time() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != command.code:
        raise SystemExit(f"{command.line} ended with {done.returncode}:\n{done.stderr.decode()[-3000:]}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    figures: Json = {"wall": wall, "cpu": cpu}
    if command.report is not None:
        figures["phases"] = json.loads(command.report.read_text())["phases"]
    return figures


def print_phases(name: str, runs: list[Json]) -> dict[str, float]:
    """Print what each phase costs (medians, in the order in which they begin); returns it."""
    names = dict.fromkeys(phase for one in runs for phase in one["phases"])
    phases = {phase: statistics.median(one["phases"].get(phase, 0.0) for one in runs) for phase in names}
    print(f"\n{name}:")
    for phase, seconds in phases.items():
        print(f"  {phase:32s} {seconds:7.3f} s")
    return phases


def main() -> int:
    """Run everything in turn and print medians; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the peer's Python interpreter; its nam-full lies beside it")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--net", default="a1", help="a net of bench_train.py")
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the recordings")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_startup_") as temporary:
        folder = Path(temporary)
        commands = make_commands(arguments, folder)
        runs: dict[str, list[Json]] = {name: [] for name in commands}
        for command in commands.values():
            run(command, folder / "cache")  # warms the file cache
        for _ in range(arguments.runs):
            for name, command in commands.items():
                runs[name].append(run(command, folder / "cache"))
    medians = {name: statistics.median(one["wall"] for one in each) for name, each in runs.items()}
    for name, each in runs.items():
        wall, cpu = [one["wall"] for one in each], statistics.median(one["cpu"] for one in each)
        print(
            f"{name:22s} median {medians[name]:7.3f} s   min {min(wall):7.3f}   max {max(wall):7.3f}"
            f"   CPU {cpu:7.3f}"
        )
    phases = {name: print_phases(name, each) for name, each in runs.items() if "phases" in each[0]}
    ours = medians["nam_full, first step"]
    ratio = medians["peer, first step"] / ours if arguments.peer else None
    if arguments.json:
        figures = {"runs": runs, "medians": medians, "phases": phases, "ratio": ratio}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"\nfirst step: {ours:.2f} s" if ratio is None else f"\nratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
