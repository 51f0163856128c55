#!/usr/bin/env python3
"""What the training loop costs besides the training: milliseconds per step, and per epoch.

    python bin/bench_loop.py [--peer /path/to/peer/venv/bin/python] [--seconds 180] [--epochs 4] [--json FILE]

Each side trains a net of next to no arithmetic (a filter of two taps) on three minutes of audio, batches of
16 × 8192, with its own command and in its own interpreter. The time from one optimizer step to the next, less
that of training itself (the module's ``training_step``, the backward pass, the optimizer's arithmetic), is
what data, loop and logging cost. Between the last step of an epoch and the first of the next there are the
validation (of the last eighteenth of the recordings), the checkpoints, and the rest. Figures are medians,
without the first epoch. The last line is the ratio of the costs per step, or ours without ``--peer``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench_startup import RATE, write_capture, write_jsons
from benchlib.nets import LEARNING_RATE, MSE, linear_model, peer_model
from benchlib.sides import SideSpec, our_side, peer_side

BIN = Path(__file__).resolve().parent
Json = dict[str, Any]
BATCH, NY, TAPS = 16, 8192, 2
TRAINING = ("forward", "backward", "optimizer")
EPOCH = ("validation", "checkpoint")


def make_model() -> Json:
    """A filter of two taps, with the optimizer of the presets."""
    return {
        **linear_model(TAPS),
        "loss": MSE,
        "optimizer": {"name": "Adam", "config": {"lr": LEARNING_RATE}},
        "lr_scheduler": {"name": "ExponentialLR", "config": {"gamma": 0.993}},
    }


def run_trainer(spec: SideSpec, arguments: list[str], report: Path, threads: int) -> Json:
    """Train with a side's command; returns the times of its steps, validations and checkpoints."""
    limits = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    done = subprocess.run(
        [spec.python, "-m", "benchlib.pace", str(report), spec.name, *arguments],
        check=False,
        capture_output=True,
        cwd=BIN,
        env={**os.environ, **limits, **spec.environment, "MPLBACKEND": "agg"},
    )
    if not report.exists() or not json.loads(report.read_text())["steps"]:
        raise SystemExit(f"the side '{spec.name}' did not train:\n{done.stderr.decode()[-3000:]}")
    figures: Json = json.loads(report.read_text())
    return figures


def costs(trained: Json, per_epoch: int) -> Json:
    """Milliseconds per step and per epoch.

    Args:
        trained: of :func:`run_trainer`.
        per_epoch: steps.
    """
    steps, spans = trained["steps"], trained["spans"]
    epochs = [steps[at : at + per_epoch] for at in range(0, len(steps), per_epoch)][1:]
    periods = [(step, later) for epoch in epochs for step, later in itertools.pairwise(epoch)]
    gaps = [(one[-1], two[0]) for one, two in itertools.pairwise(epochs)]
    training = [inside(spans, TRAINING, period) for period in periods]
    step = statistics.median(end - begin for begin, end in periods)
    others = zip(periods, training, strict=True)
    overhead = statistics.median(end - begin - trained for (begin, end), trained in others)
    between = {name: statistics.median(inside(spans, (name,), gap) for gap in gaps) for name in EPOCH}
    whole = statistics.median(end - begin for begin, end in gaps)
    between["the rest"] = whole - step - sum(between.values())
    return {
        "step": 1e3 * step,
        "training": 1e3 * statistics.median(training),
        "overhead": 1e3 * overhead,
        "epoch": {name: 1e3 * seconds for name, seconds in between.items()},
    }


def inside(spans: Json, names: tuple[str, ...], period: tuple[float, float]) -> float:
    """Seconds of a period that the spans of some names take together; they may lie within each other."""
    begin, end = period
    seconds, reached = 0.0, begin
    for start, stop in sorted(span for name in names for span in spans[name] if span[1] > begin):
        if start >= end:
            break
        seconds += max(0.0, min(stop, end) - max(start, reached))
        reached = max(reached, stop)
    return seconds


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Json]:
    """All figures, by side."""
    data, model = write_capture(folder, arguments.seconds), make_model()
    specs = [our_side("ours", "auto")] + ([peer_side(arguments.peer)] if arguments.peer else [])
    per_epoch = (data["train"]["stop_samples"] - TAPS + 1) // NY // BATCH
    figures = {}
    for spec in specs:
        content = peer_model(model) if spec.name == "peer" else model
        line = write_jsons(folder / spec.name, data, content)
        learning = folder / spec.name / "learning.json"
        settings = json.loads(learning.read_text())
        settings["trainer"]["max_epochs"] = arguments.epochs
        learning.write_text(json.dumps(settings))
        trained = run_trainer(spec, line, folder / f"{spec.name}.json", arguments.threads)
        figures[spec.name] = costs(trained, per_epoch)
    return figures


def main() -> int:
    """Measure both sides and print the table; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the peer's Python interpreter")
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the recordings")
    parser.add_argument("--epochs", type=int, default=4, help="at least 3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_loop_") as name:
        figures = measure(arguments, Path(name))
    print(f"{'':5s} {'step':>9s} {'training':>10s} {'overhead':>9s}   ms   | per epoch, ms")
    for name, found in figures.items():
        epoch = ", ".join(f"{part} {value:.1f}" for part, value in found["epoch"].items())
        step = f"{found['step']:9.3f} {found['training']:10.3f} {found['overhead']:9.3f}"
        print(f"{name:5s} {step}        | {epoch}")
    ours = figures["ours"]["overhead"]
    ratio = figures["peer"]["overhead"] / ours if arguments.peer else None
    if arguments.json:
        written = {"sides": figures, "ratio": ratio, "recordings": arguments.seconds * RATE}
        arguments.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(f"overhead per step: {ours:.3f} ms" if ratio is None else f"ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
