#!/usr/bin/env python3
"""How long until a capture is as good as the peer's after all its epochs?

    python bin/bench_quality.py dry.wav wet.wav --stop 4932379 --peer /path/to/peer/venv/bin/python
                                [--peer-epochs 100] [--target-esr 0.008] [--peer-seconds 3000]
                                [--peer-cpu-seconds 6000] [--seeds 3] [--first-seed 0]
                                [--threads 2] [--model MODEL.json] [--learning LEARNING.json] [--json FILE]

Training uses the samples before ``--stop``, validation those from there on. The peer trains the same net as a
user of it would: its ``nam-full`` with the classic recipe (Adam 0.004, gamma 0.993, batches of 16 × 8192).
The ESR to reach is the best that it has in ``--peer-epochs``, and its time is that of its run. With
``--target-esr`` that run is spared: the ESR is given, and the time is that of one epoch, measured here, times
the number of epochs. With ``--peer-seconds`` or ``--peer-cpu-seconds``, too, an earlier run of it is recorded
already (wall, CPU), and the peer need not be there.

Our time is that of the whole command ``nam_full`` with our default recipe, from its start until the exported
and verified model is there; it stops once a validation has the ESR (``threshold_esr``). The exported file is
then played by our independent reader. Runs of both sides alternate. On a busy machine CPU times (of all
threads, ``0`` on Windows) say more than wall times; both are written. The last line is the ratio of the wall
times where the peer's is known, else of the CPU times, of the median of our seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[1]
PRESETS = ROOT / "configs"
Json = dict[str, Any]


@dataclass(frozen=True)
class Spent:
    """What a command took: `wall` and `cpu` seconds, the latter of all its threads and processes."""

    wall: float
    cpu: float


def median(times: list[Spent]) -> Spent:
    """The medians of wall and CPU time."""
    return Spent(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))


def cpu_of_children() -> float:
    """CPU seconds of all commands so far."""
    times = os.times()
    return times.children_user + times.children_system


def command(program: list[str], files: dict[str, Json | Path], folder: Path, threads: int) -> Spent:
    """Write the JSONs that are not files yet, run a trainer, and return what it took."""
    folder.mkdir(parents=True)
    paths = []
    for kind in ("data", "model", "learning"):
        value = files[kind]
        if not isinstance(value, Path):
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(value))
            value = path
        paths.append(str(value))
    options = program[program.index("--") + 1 :] if "--" in program else []
    program = program[: program.index("--")] if "--" in program else program
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    cpu, start = cpu_of_children(), time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(
            [*program, *paths, str(folder / "out"), "--no-show", "--no-plots", *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SystemExit(
            f"{program[0]} ended with {done.returncode}:\n{(folder / 'log.txt').read_text()[-2000:]}"
        )
    return Spent(time.perf_counter() - start, cpu_of_children() - cpu)


class Peer:
    """The peer, in its own interpreter.

    Args:
        python: its interpreter; ``nam-full`` lies beside it.
        files: the three JSONs in its spelling.
        folder: for its runs.
        threads: it may use.
    """

    def __init__(self, python: str, files: dict[str, Json | Path], folder: Path, threads: int) -> None:
        self.program = [python, str(Path(python).parent / "nam-full")]
        self.files, self.folder, self.threads = files, folder, threads

    def train(self, epochs: int) -> tuple[Spent, float]:
        """What a run of so many epochs takes, and its best validation ESR."""
        learning = json.loads(json.dumps(self.files["learning"]))
        learning["trainer"]["max_epochs"] = epochs
        folder = self.folder / f"{epochs}_epochs_{len(list(self.folder.glob('*')))}"
        spent = command(self.program, {**self.files, "learning": learning}, folder, self.threads)
        found = [re.search(r"ESR=([0-9.e+-]+\d)", path.name) for path in folder.rglob("*.ckpt")]
        return spent, min((float(match[1]) for match in found if match), default=math.nan)


def our_run(
    device: Any, arguments: argparse.Namespace, target: float, seed: int, folder: Path
) -> dict[str, float | None]:
    """One run of ours: seconds of the command, ESR of validation and of the exported file."""
    settings = [f"learning.threshold_esr={target}", f"learning.seed={seed}"]
    program = [sys.executable, "-m", "nam_like.cli.full", "--"]
    for setting in settings:
        program += ["--set", setting]
    files = {"data": device.data(), "model": arguments.model, "learning": arguments.learning}
    spent = command(program, files, folder, arguments.threads)
    record = json.loads((folder / "out/latest/run.json").read_text())
    metrics = record["best"]["metrics"]
    reached = metrics["ESR"] <= target
    return {
        "seed": seed,
        "seconds": spent.wall if reached else None,
        "cpu_seconds": spent.cpu if reached else None,
        "fit_seconds": record["seconds"]["fit"],
        "epochs": record["epochs"],
        "steps": record["steps"],
        "esr": metrics["ESR"],
        "file_esr": played_esr(folder / "out/latest/model.nam", device),
    }


def played_esr(model: Path, device: Any) -> float:
    """ESR of an exported file over the validation part, with its receptive field taken from before it."""
    import numpy as np

    from nam_like.audio.io import read_audio
    from nam_like.export.nam_read import load_nam

    dry, wet = (read_audio(path).samples for path in (device.dry, device.wet))
    nam = load_nam(model)
    lead = min(device.stop, nam.receptive_field)
    y_hat = nam.process(dry[device.stop - lead :])[lead:]
    error = y_hat.astype(np.float64) - wet[device.stop :]
    return float(np.sum(error**2) / np.sum(wet[device.stop :].astype(np.float64) ** 2))


def make_peer(arguments: argparse.Namespace, device: Any, folder: Path) -> Peer:
    """The peer with the net of `--model` and the classic recipe."""
    from benchlib.nets import peer_model

    from nam_like.config import jsonc

    def read(path: Path) -> Json:
        loaded: Json = jsonc.loads(jsonc.read_text(path))
        return loaded

    model = read(PRESETS / "model/amp/classic.json") | {"net": read(arguments.model)["net"]}
    learning = {
        "train_dataloader": {"batch_size": 16, "shuffle": True, "drop_last": True, "num_workers": 0},
        "val_dataloader": {},
        "trainer": {"accelerator": "cpu", "devices": 1},
    }
    folder.mkdir()
    files: dict[str, Json | Path] = {"data": device.data(), "model": peer_model(model), "learning": learning}
    return Peer(arguments.peer, files, folder, arguments.threads)


def measure(arguments: argparse.Namespace, folder: Path) -> Json:
    """All figures."""
    from benchlib.capture import Device

    device = Device("", arguments.dry.resolve(), arguments.wet.resolve(), arguments.stop)
    recorded = {"peer_seconds": arguments.peer_seconds, "peer_cpu_seconds": arguments.peer_cpu_seconds}
    recorded = {name: value for name, value in recorded.items() if value is not None}
    figures: Json = {"threads": arguments.threads, "peer_epochs": arguments.peer_epochs, "ours": []}
    peer = make_peer(arguments, device, folder / "peer") if arguments.peer and not recorded else None
    target = arguments.target_esr
    if peer is not None and target is None:
        spent, target = peer.train(arguments.peer_epochs)
        recorded = {"peer_seconds": spent.wall, "peer_cpu_seconds": spent.cpu}
        print(f"peer: ESR {target:.6f} in {spent.wall:.0f} s, {spent.cpu:.0f} s CPU", flush=True)
        peer = None
    figures |= {"target_esr": target, **recorded}
    long, short = [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        if peer is not None:
            short.append(peer.train(1)[0])
        ours = our_run(device, arguments, target, seed, folder / f"ours_{seed}")
        figures["ours"].append(ours)
        print(f"ours, seed {seed}: {in_words(ours)}", flush=True)
        if peer is not None:
            long.append(peer.train(1 + arguments.timed_epochs)[0])
    if peer is not None:
        figures |= per_epoch(median(short), median(long), arguments)
    return figures


def per_epoch(short: Spent, long: Spent, arguments: argparse.Namespace) -> Json:
    """The peer's times of an epoch, and of all, from a run of one epoch and one of some more."""
    figures: Json = {}
    for key, some, more in (("", short.wall, long.wall), ("cpu_", short.cpu, long.cpu)):
        epoch = (more - some) / arguments.timed_epochs
        figures[f"peer_epoch_{key}seconds"] = epoch
        # what is no epoch (its start, the export) is paid once
        figures[f"peer_{key}seconds"] = some + epoch * (arguments.peer_epochs - 1)
    wall, cpu = figures["peer_seconds"], figures["peer_cpu_seconds"]
    print(f"peer: {wall:.0f} s for {arguments.peer_epochs} epochs, {cpu:.0f} s CPU")
    return figures


def in_words(ours: dict[str, float | None]) -> str:
    """A run of ours in one line."""
    reached = ours["seconds"] is not None
    text = f"{ours['seconds']:.1f} s, {ours['cpu_seconds']:.1f} s CPU" if reached else "not reached"
    return (
        f"{text}, {ours['epochs']} epochs, {ours['steps']} steps, ESR {ours['esr']:.6f}, "
        f"of the file {ours['file_esr']:.6f}"
    )


def main() -> int:
    """Train both sides in turn; the ratio of times is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dry", type=Path)
    parser.add_argument("wet", type=Path)
    parser.add_argument("--stop", type=int, required=True, help="first sample of the validation part")
    parser.add_argument("--model", type=Path, default=PRESETS / "model/amp/a1_standard.json")
    parser.add_argument("--learning", type=Path, default=PRESETS / "learning/amp/default.json")
    parser.add_argument("--peer", help="the peer's Python interpreter")
    parser.add_argument("--peer-epochs", type=int, default=100)
    parser.add_argument("--target-esr", type=float, help="spares the peer's complete run")
    parser.add_argument("--peer-seconds", type=float, help="wall time of its complete run, recorded before")
    parser.add_argument(
        "--peer-cpu-seconds", type=float, help="CPU time of its complete run, recorded before"
    )
    parser.add_argument("--timed-epochs", type=int, default=2, help="epochs that the peer's time is taken of")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of ours")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if arguments.peer is None and arguments.target_esr is None:
        parser.error("expected --peer or --target-esr, but got neither")
    if arguments.target_esr is None and (arguments.peer_seconds or arguments.peer_cpu_seconds):
        parser.error("expected --target-esr beside the recorded time of the peer, but got none")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    last = conclude(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    print(last)
    return 0 if "seconds" in figures else 1


def conclude(figures: Json) -> str:
    """Add medians and ratios to the figures; returns the last line of the report.

    A run that did not get there counts as infinitely long: with as many of them as others there is no median.
    """
    reached = [ours for ours in figures["ours"] if ours["seconds"] is not None]
    target = figures["target_esr"]
    if len(reached) * 2 <= len(figures["ours"]):
        return f"ours did not reach ESR {target} in most runs"
    missed = [math.inf] * (len(figures["ours"]) - len(reached))
    lines = []
    for key, name in (("cpu_", "CPU times"), ("", "times")):
        ours = statistics.median_low([*(run[f"{key}seconds"] for run in reached), *missed])
        figures[f"{key}seconds"] = ours
        theirs = figures.get(f"peer_{key}seconds")
        if theirs is not None and ours > 0:
            figures[f"{key}ratio"] = theirs / ours
            lines.append(f"ratio of {name}, peer / ours: {theirs / ours:.1f}")
    return "\n".join([f"seconds to ESR {target}: {figures['seconds']:.1f}", *lines])


if __name__ == "__main__":
    raise SystemExit(main())
