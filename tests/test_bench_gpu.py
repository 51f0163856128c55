"""bin/bench_gpu.py: it says so where there is nothing to measure, and what it would measure works."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from nam_like.config.run import load_run
from nam_like.train.step_queue import RECORDABLE

BIN = Path(__file__).parents[1] / "bin"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BIN))
    import bench_gpu

    return bench_gpu


def test_without_a_device_it_says_so(bench, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main([]) == 2
    said = capsys.readouterr()
    assert said.err == "no CUDA device here: there is nothing to measure\n"
    assert said.out == ""


def test_both_ways_of_stepping_are_timed(bench, capsys):
    """The same on the processor, where launches are not recorded."""
    options = ["--net", "a1-nano", "--batch", "1", "--ny", "64", "--repeats", "1", "--steps", "4"]
    arguments = bench.parse([*options, "--threads", "1"])
    figures = bench.time_steps(argparse.Namespace(**vars(arguments), device="cpu"))
    assert set(figures["steps"]) == {"ours", "ours, 4 per launch"}
    assert all(wall["median"] > 0.0 for wall in figures["steps"].values())
    assert figures["ratio"] > 0.0
    assert "4 per launch" in capsys.readouterr().out


def test_the_capture_is_trained_as_it_says(bench, monkeypatch, tmp_path, capsys):
    """The JSONs are valid; training itself is nam_full's."""
    for name in ("x", "y"):
        sf.write(tmp_path / f"{name}.wav", np.full(100, 0.1), 48_000, subtype="PCM_24")
    capture = [str(tmp_path / "x.wav"), str(tmp_path / "y.wav"), "80"]
    arguments = bench.parse(["--epochs", "3", "--steps", "2", "--capture", *capture])

    def trained(command, configs, folder, threads):
        assert command[1:] == ["-m", "nam_like.cli.full"]
        folder.mkdir()
        for name, content in configs.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        read = load_run(*(folder / f"{name}.json" for name in ("data", "model", "learning")))
        assert read.learning.steps_per_launch == 2
        assert read.learning.trainer_arguments()["max_epochs"] == 3
        assert read.learning.trainer_arguments()["accelerator"] == "gpu"
        assert read.model.optimizer.name in {kind.__name__ for kind in RECORDABLE}
        record = {
            "epochs": 3,
            "steps": 6,
            "seconds": {"fit": 1.5, "all": 2.0},
            "best": {"metrics": {"ESR": 0.25}},
        }
        (folder / "run.json").write_text(json.dumps(record))
        return folder / "model.nam", 4.0

    monkeypatch.setattr(bench, "train", trained)
    found = bench.time_capture(arguments, tmp_path)
    assert found == {"epochs": 3, "steps": 6, "fit": 1.5, "process": 4.0, "esr": 0.25}
    assert "1.5 s of training, 4.0 s from start to exported file" in capsys.readouterr().out
