#!/usr/bin/env python3
"""Time the MRSTFT loss with its gradient: the native kernels against the same loss on PyTorch, in turn.

    python bin/bench_loss.py [--peer /path/to/peer/venv/bin/python] [--batch 16] [--ny 8192] [--threads 1]

Three resolutions as in the presets, pre-emphasis 0.85. Plain is our own formula on PyTorch, which transforms
the samples under the window only; with ``--peer`` the peer's loss (that of the package `auraloss`) is timed
in its interpreter. Values of all sides must agree. The last line is the ratio of the medians of the wall
times, to the peer's where it is given.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nam_like.losses.spectral import MRSTFT
from nam_like.native import library

EMPHASIS = 0.85
TOLERANCE = 1e-3
Json = dict[str, Any]

#: Runs in the peer's interpreter: file, threads, runs, emphasis → value and seconds of each run, as JSON.
PEER = """
import json, sys, time
import numpy as np, torch
from nam.models.losses import multi_resolution_stft_loss
from nam.models.losses import apply_pre_emphasis_filter
path, threads, runs, emphasis = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
torch.set_num_threads(threads)
pair = np.load(path)
p, t = torch.from_numpy(pair["p"]).requires_grad_(), torch.from_numpy(pair["t"])
seconds = []
for _ in range(runs):
    start = time.perf_counter()
    filtered = [apply_pre_emphasis_filter(signal, emphasis) for signal in (p, t)]
    loss = multi_resolution_stft_loss(*filtered)
    loss.backward()
    p.grad = None
    seconds.append(time.perf_counter() - start)
print(json.dumps({"value": float(loss), "seconds": seconds}))
"""


def time_ours(loss: Any, prediction: torch.Tensor, target: torch.Tensor, runs: int) -> Json:
    """Value and seconds of each run of a loss and its gradient."""
    p, seconds, value = prediction.clone().requires_grad_(), [], 0.0
    for _ in range(runs):
        start = time.perf_counter()
        made = loss(p, target)
        made.backward()
        p.grad = None
        seconds.append(time.perf_counter() - start)
        value = made.item()
    return {"value": value, "seconds": seconds}


def time_peer(python: str, path: Path, threads: int, runs: int) -> Json:
    """The same in the peer's interpreter."""
    command = [python, "-c", PEER, str(path), str(threads), str(runs), str(EMPHASIS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer's loss could not be timed:\n{done.stderr[-2000:]}")
    figures: Json = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Json]:
    """All sides in turn."""
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.standard_normal((arguments.batch, arguments.ny)), axis=1) * 0.01
    t = np.tanh(y).astype(np.float32)
    p = (t + 0.01 * rng.standard_normal(t.shape)).astype(np.float32)
    np.savez(folder / "pair.npz", p=p, t=t)
    prediction, target = torch.from_numpy(p), torch.from_numpy(t)
    torch.set_num_threads(arguments.threads)
    loss, runs = MRSTFT(EMPHASIS), arguments.runs
    sides = {
        "native": lambda: time_ours(loss, prediction, target, runs),
        "plain": lambda: time_ours(loss.plain, prediction, target, runs),
    }
    if arguments.peer:
        sides["peer"] = lambda: time_peer(arguments.peer, folder / "pair.npz", arguments.threads, runs)
    figures: dict[str, Json] = {}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            found = side()
            figures.setdefault(name, {"value": found["value"], "seconds": []})
            figures[name]["seconds"] += found["seconds"][1:]  # the first one warms up
    return figures


def main() -> int:
    """Print medians; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the peer's Python interpreter")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ny", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=6, help="of each side in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    print(library.status())
    with tempfile.TemporaryDirectory(prefix="bench_loss_") as name:
        figures = measure(arguments, Path(name))
    values = {name: found["value"] for name, found in figures.items()}
    for name, found in figures.items():
        found["median"] = statistics.median(found["seconds"])
        best = min(found["seconds"])
        print(
            f"{name:7s} median {1e3 * found['median']:8.2f} ms   min {1e3 * best:8.2f}   "
            f"value {values[name]:.6f}"
        )
    if max(values.values()) - min(values.values()) > TOLERANCE * max(values.values()):
        print(f"error: expected the sides to compute the same, but got {values}", file=sys.stderr)
        return 2
    against = "peer" if arguments.peer else "plain"
    ratio = figures[against]["median"] / figures["native"]["median"]
    if arguments.json:
        written = {"sides": figures, "against": against, "ratio": ratio}
        arguments.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(f"ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
