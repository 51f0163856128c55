#!/usr/bin/env python3
"""How long until a capture is as good as the peer's after all its epochs?

    python bin/bench_quality.py dry.wav wet.wav --stop 4932379 --peer /path/to/peer/venv/bin/python
                                [--peer-epochs 100] [--target-esr 0.008] [--seeds 3] [--threads 2]
                                [--model MODEL.json] [--learning LEARNING.json] [--json FILE]

Training uses the samples before ``--stop``, validation those from there on. The peer trains the same net as a
user of it would: its ``nam-full`` with the classic recipe (Adam 0.004, gamma 0.993, batches of 16 × 8192).
The ESR to reach is the best that it has in ``--peer-epochs``, and its time is that of its run. With
``--target-esr`` that run is spared: the ESR is given, and the time is that of one epoch, measured here, times
the number of epochs.

Our time is that of the whole command ``nam_full`` with our default recipe, from its start until the exported
and verified model is there; it stops once a validation has the ESR (``threshold_esr``). The exported file is
then played by our independent reader. Runs of both sides alternate. The last line is the ratio of the times,
of the median of our seeds.
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[1]
PRESETS = ROOT / "configs"
Json = dict[str, Any]


def command(program: list[str], files: dict[str, Json | Path], folder: Path, threads: int) -> float:
    """Write the JSONs that are not files yet, run a trainer, and return the wall time in seconds."""
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
    start = time.perf_counter()
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
    return time.perf_counter() - start


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

    def train(self, epochs: int) -> tuple[float, float]:
        """Seconds of a run of so many epochs, and its best validation ESR."""
        learning = json.loads(json.dumps(self.files["learning"]))
        learning["trainer"]["max_epochs"] = epochs
        folder = self.folder / f"{epochs}_epochs_{len(list(self.folder.glob('*')))}"
        seconds = command(self.program, {**self.files, "learning": learning}, folder, self.threads)
        found = [re.search(r"ESR=([0-9.e+-]+\d)", path.name) for path in folder.rglob("*.ckpt")]
        return seconds, min((float(match[1]) for match in found if match), default=math.nan)


def our_run(
    device: Any, arguments: argparse.Namespace, target: float, seed: int, folder: Path
) -> dict[str, float | None]:
    """One run of ours: wall seconds of the command, ESR of validation and of the exported file."""
    settings = [f"learning.threshold_esr={target}", f"learning.seed={seed}"]
    program = [sys.executable, "-m", "nam_like.cli.full", "--"]
    for setting in settings:
        program += ["--set", setting]
    files = {"data": device.data(), "model": arguments.model, "learning": arguments.learning}
    seconds = command(program, files, folder, arguments.threads)
    record = json.loads((folder / "out/latest/run.json").read_text())
    metrics = record["best"]["metrics"]
    reached = metrics["ESR"] <= target
    return {
        "seconds": seconds if reached else None,
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
    figures: Json = {"threads": arguments.threads, "peer_epochs": arguments.peer_epochs, "ours": []}
    peer = make_peer(arguments, device, folder / "peer") if arguments.peer else None
    target = arguments.target_esr
    if peer is not None and target is None:
        figures["peer_seconds"], target = peer.train(arguments.peer_epochs)
        print(f"peer: ESR {target:.6f} in {figures['peer_seconds']:.0f} s", flush=True)
        peer = None
    figures["target_esr"] = target
    long, short = [], []
    for seed in range(arguments.seeds):
        if peer is not None:
            short.append(peer.train(1)[0])
        ours = our_run(device, arguments, target, seed, folder / f"ours_{seed}")
        figures["ours"].append(ours)
        print(f"ours, seed {seed}: {in_words(ours)}", flush=True)
        if peer is not None:
            long.append(peer.train(1 + arguments.timed_epochs)[0])
    if peer is not None:
        epoch = (statistics.median(long) - statistics.median(short)) / arguments.timed_epochs
        figures |= {"peer_epoch_seconds": epoch, "peer_seconds": epoch * arguments.peer_epochs}
        print(f"peer: {epoch:.1f} s per epoch, {figures['peer_seconds']:.0f} s for {arguments.peer_epochs}")
    return figures


def in_words(ours: dict[str, float | None]) -> str:
    """A run of ours in one line."""
    text = "not reached" if ours["seconds"] is None else f"{ours['seconds']:.1f} s"
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
    parser.add_argument("--timed-epochs", type=int, default=2, help="epochs that the peer's time is taken of")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of ours")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if arguments.peer is None and arguments.target_esr is None:
        parser.error("expected --peer or --target-esr, but got neither")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    seconds = [ours["seconds"] for ours in figures["ours"] if ours["seconds"] is not None]
    if len(seconds) * 2 > len(figures["ours"]):
        figures["seconds"] = statistics.median(seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    if "seconds" not in figures:
        print(f"ours did not reach ESR {figures['target_esr']} in most runs")
        return 1
    if "peer_seconds" in figures:
        figures["ratio"] = figures["peer_seconds"] / figures["seconds"]
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1))
        print(f"ratio of times, peer / ours: {figures['ratio']:.1f}")
    else:
        print(f"seconds to ESR {figures['target_esr']}: {figures['seconds']:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
