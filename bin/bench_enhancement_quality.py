#!/usr/bin/env python3
r"""How much better an enhancement preset makes speech that it never heard, after how much CPU time.

    python bin/bench_enhancement_quality.py train.json val.json --preset mask_rnn --seconds 60
           [--epochs 150] [--every 10] [--seeds 0 1] [--threads 1] [--set PATH=VALUE …] [--json FILE]

Trains the preset on the pairs of one manifest and scores the pairs of another: SI-SDR, PESQ and ESTOI of the
noisy files and of the enhanced ones. CPU time is that of training steps, without validations. Of the
validations within ``--seconds``, the one with the best SI-SDR counts, as it does in a run. The last line is
the gain in SI-SDR (dB), the mean over the seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from nam_like.config.run import load_run
from nam_like.metrics.perceptual import PESQ, STOI
from nam_like.presets import configs_dir, find_preset
from nam_like.train.callbacks.stop import SignalFlag
from nam_like.train.checkpoints import load_net_weights
from nam_like.train.fit import fit
from nam_like.train.prepare import prepare
from nam_like.train.quiet import quiet_lightning
from nam_like.train.speech_results import play_examples


class Course(Callback):
    """Stops after so much CPU time of training, and notes what each validation found."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.points: list[dict[str, float]] = []
        self._cpu = 0.0
        self._mark = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._mark = time.process_time()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        if not trainer.sanity_checking:
            self._cpu += time.process_time() - self._mark

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what was found, and stop when the time is over."""
        if trainer.sanity_checking:
            return
        values: Any = pl_module.validated
        point = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "cpu": round(self._cpu, 2)}
        self.points.append({**point, "sisdr": values["val_sisdr"]})
        trainer.should_stop = trainer.should_stop or self._cpu > self.seconds
        self._mark = time.process_time()


def train(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One training, and the scores of its best weights."""
    preset = find_preset(f"enhancement/{arguments.preset}")
    overrides = [
        f"data.train.manifest_filepath={json.dumps(str(arguments.train.resolve()))}",
        f"data.validation.manifest_filepath={json.dumps(str(arguments.val.resolve()))}",
        f"learning.seed={seed}",
        f"learning.trainer.max_epochs={arguments.epochs}",
        f"learning.trainer.check_val_every_n_epoch={arguments.every}",
        "learning.trainer.enable_progress_bar=false",
        "learning.trainer.logger=false",
        *arguments.overrides,
    ]
    learning = configs_dir() / "learning" / "enhancement" / "cpu.json"
    course = Course(arguments.seconds)
    with tempfile.TemporaryDirectory() as name, quiet_lightning():
        job = prepare(load_run(preset.data, preset.model, learning, overrides), Path(name))
        fitted = fit(job, Path(name), SignalFlag(), course)
        within = [point for point in course.points if point["cpu"] <= arguments.seconds]
        best = max(within or course.points[:1], key=lambda point: point["sisdr"])
        load_net_weights(job.net, fitted.checkpoints.best)
        files = play_examples(job.task, job.datasets.validation)
        rate = int(job.datasets.validation.sample_rate)
    return {
        "seed": seed,
        "best": best,
        "points": course.points,
        "files": [scores(file, rate) for file in files],
    }


def scores(file: Any, rate: int) -> dict[str, Any]:
    """SI-SDR, PESQ and ESTOI of one file, before and after."""
    found: dict[str, Any] = {"name": file.name, "sisdr": file.scores["val_sisdr"]}
    for name, make in (("pesq", lambda: PESQ(fs=rate)), ("estoi", lambda: STOI(fs=rate, extended=True))):
        values = []
        for signal in (file.noisy, file.enhanced):
            metric = make()
            metric.update(torch.from_numpy(np.array(signal)), torch.from_numpy(np.array(file.target)))
            values.append(float(metric.compute()))
        found[name] = tuple(values)
    return found


def report(results: list[dict[str, Any]]) -> float:
    """Print what each run found; returns the mean gain (dB)."""
    gains = []
    for result in results:
        best = result["best"]
        print(f"seed {result['seed']}: best after {best['step']} steps, {best['cpu']:.0f} CPU s")
        for file in result["files"]:
            pairs = (
                f"{name} {file[name][0]:.3f} -> {file[name][1]:.3f}" for name in ("sisdr", "pesq", "estoi")
            )
            print(f"  {file['name']}: {', '.join(pairs)}")
        gains.append(statistics.mean(file["sisdr"][1] - file["sisdr"][0] for file in result["files"]))
    return statistics.mean(gains)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path, help="manifest of the training pairs")
    parser.add_argument("val", type=Path, help="manifest of the pairs that are never heard")
    parser.add_argument("--preset", default="mask_rnn")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of training")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--every", type=int, default=10, help="epochs from validation to validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    torch.set_num_threads(arguments.threads)
    results = [train(arguments, seed) for seed in arguments.seeds]
    gain = report(results)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1))
    print(f"SI-SDR gain {gain:+.2f} dB")


if __name__ == "__main__":
    main()
