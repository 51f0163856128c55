#!/usr/bin/env python3
"""Train the same capture with us and with the peer, and print both validation ESRs and their ratio.

    python bin/bench_capture.py dry.wav wet.wav --stop 4932379 [--epochs 20] [--model MODEL.json]
                                [--peer /path/to/peer/venv/bin/python] [--threads 2] [--json FILE]

Both sides get the same facts: net, loss, optimizer, schedule, segments, batch, epochs. Training uses the
samples before ``--stop``, validation those from there on. The exported ``.nam`` files of both sides are then
played by our independent reader on the validation part, so that the ESR compared is that of the files, not of
either trainer's own count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from nam_like.audio.io import read_audio
from nam_like.config import jsonc
from nam_like.export.nam_read import load_nam


def data_config(dry: Path, wet: Path, stop: int, ny: int) -> dict[str, Any]:
    """The data facts, in the spelling both sides read."""
    return {
        "common": {"x_path": str(dry), "y_path": str(wet), "delay": 0},
        "train": {"stop_samples": stop, "ny": ny},
        "validation": {"start_samples": stop, "ny": None, "require_input_pre_silence": None},
    }


def learning_config(epochs: int, batch: int) -> dict[str, Any]:
    """The learning facts, in the spelling both sides read."""
    return {
        "train_dataloader": {"batch_size": batch, "shuffle": True, "drop_last": True, "num_workers": 0},
        "val_dataloader": {},
        "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": epochs},
    }


def peer_model(model: dict[str, Any]) -> dict[str, Any]:
    """Our model.json as the peer spells it: flat loss keys, flat Adam, ``class``/``kwargs`` scheduler."""
    terms = model["loss"].get("terms", {})
    loss: dict[str, Any] = {"val_loss": model["loss"].get("val_loss", "mse")}
    for term in terms.values():
        config = term.get("config", {})
        if term["name"] == "MRSTFT":
            prefix = "pre_emph_mrstft" if "pre_emphasis" in config else "mrstft"
            loss[f"{prefix}_weight"] = term["weight"]
            if "pre_emphasis" in config:
                loss[f"{prefix}_coef"] = config["pre_emphasis"]
    net = {
        "name": model["net"]["name"],
        "config": {k: v for k, v in model["net"]["config"].items() if k[0] != "_"},
    }
    scheduler = model["lr_scheduler"]
    return {
        "net": net,
        "loss": loss,
        "optimizer": model["optimizer"]["config"],
        "lr_scheduler": {"class": scheduler["name"], "kwargs": scheduler["config"]},
    }


def train(
    command: list[str], configs: dict[str, dict[str, Any]], folder: Path, threads: int
) -> tuple[Path, float]:
    """Write the three JSONs, run the trainer, and return the exported file and the seconds it took."""
    folder.mkdir(parents=True)
    paths = []
    for name, config in configs.items():
        paths.append(str(folder / f"{name}.json"))
        Path(paths[-1]).write_text(json.dumps(config))
    out = folder / "out"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        subprocess.run(
            [*command, *paths, str(out), "--no-show", "--no-plots"],
            check=True,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    elapsed = time.perf_counter() - start
    return next(path for path in sorted(out.rglob("model.nam")) if not path.parent.is_symlink()), elapsed


def played_esr(model: Path, dry: np.ndarray, wet: np.ndarray, stop: int) -> float:
    """ESR of the file over the validation part, with its receptive field taken from before it."""
    nam = load_nam(model)
    lead = min(stop, nam.receptive_field)
    y_hat = nam.process(dry[stop - lead :])[lead:]
    error = y_hat.astype(np.float64) - wet[stop:]
    return float(np.sum(error**2) / np.sum(wet[stop:].astype(np.float64) ** 2))


def main() -> int:
    """Train both sides in turn; the ratio of ESRs is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dry", type=Path)
    parser.add_argument("wet", type=Path)
    parser.add_argument("--stop", type=int, required=True, help="first sample of the validation part")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ny", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--model", type=Path, default=Path(__file__).parents[1] / "configs/model/amp/classic.json"
    )
    parser.add_argument("--peer", help="the peer's nam-full script; without it only our side is trained")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    dry = read_audio(arguments.dry).samples
    wet = read_audio(arguments.wet).samples
    model = jsonc.loads(jsonc.read_text(arguments.model))
    shared = {
        "data": data_config(arguments.dry.resolve(), arguments.wet.resolve(), arguments.stop, arguments.ny),
        "learning": learning_config(arguments.epochs, arguments.batch),
    }
    sides = {"ours": ([sys.executable, "-m", "nam_like.cli.full"], model)}
    if arguments.peer:
        sides["peer"] = ([arguments.peer], peer_model(model))
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (command, model_config) in sides.items():
            configs = {"data": shared["data"], "model": model_config, "learning": shared["learning"]}
            exported, elapsed = train(command, configs, Path(folder) / name, arguments.threads)
            esr = played_esr(exported, dry, wet, arguments.stop)
            figures[name] = {"esr": esr, "seconds": elapsed}
            print(f"{name:5s} ESR {esr:.6f} after {arguments.epochs} epochs in {elapsed:.0f} s", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    if "peer" in figures:
        print(f"ratio of ESRs, peer / ours: {figures['peer']['esr'] / figures['ours']['esr']:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
