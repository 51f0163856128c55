"""A tiny capture on disk: one second of a dry and a wet recording, and the three JSONs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from nam_like.config.run import load_run
from nam_like.train.full import run

ROOT = Path(__file__).parents[2]
LAYER = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 2,
    "head_size": 1,
    "kernel_size": 3,
    "dilations": [1, 2],
    "activation": "Tanh",
    "gated": False,
    "head_bias": True,
}


def write_capture(folder, data=None, model=None, learning=None, rate=16000, seconds=1.0):
    """Write the recordings and JSONs; the arguments are merged into the files on their top level."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    samples = int(rate * seconds)
    x = np.clip(rng.normal(size=samples) * 0.2, -0.9, 0.9)
    sf.write(folder / "x.wav", x, rate, subtype="PCM_24")
    sf.write(folder / "y.wav", 0.5 * np.tanh(3 * x), rate, subtype="PCM_24")
    third = samples * 2 // 3
    files = {
        "data": {
            "common": {"x_path": "x.wav", "y_path": "y.wav", "require_input_pre_silence": None},
            "train": {"stop_samples": third, "ny": 512},
            "validation": {"start_samples": third, "ny": None},
            **(data or {}),
        },
        "model": {
            "net": {"name": "WaveNet", "config": {"layers_configs": [LAYER], "head_scale": 0.1}},
            "optimizer": {"lr": 0.01},
            "lr_scheduler": None,
            "loss": {"val_loss": "esr"},
            **(model or {}),
        },
        "learning": {
            "train_dataloader": {"batch_size": 4, "shuffle": True, "drop_last": True},
            "val_dataloader": {},
            "trainer": {
                "max_epochs": 2,
                "accelerator": "cpu",
                "devices": 1,
                "enable_progress_bar": False,
            },
            "export": ["nam"],
            **(learning or {}),
        },
    }
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def load(folder, *overrides):
    return load_run(folder / "data.json", folder / "model.json", folder / "learning.json", list(overrides))


def train(folder, *overrides, outdir="out", **kwargs):
    kwargs.setdefault("plots", False)
    return run(load(folder, *overrides), folder / outdir, show=False, **kwargs)


def nam_full(folder, *arguments, **kwargs):
    """The command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nam_like.cli.full", "data.json", "model.json", "learning.json", "out"]
    return subprocess.Popen(
        [*command, "--no-show", "--no-extensions", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )
