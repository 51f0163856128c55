"""The scripts that look for a recipe and time it train, count and tabulate what they say."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

ROOT = Path(__file__).parents[1]
BIN = ROOT / "bin"
STOP = 30_000


def run(script, *arguments):
    command = [sys.executable, str(BIN / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def script(name):
    spec = importlib.util.spec_from_file_location(name, BIN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dry(tmp_path):
    x = np.random.default_rng(0).normal(size=40_000) * 0.1
    sf.write(tmp_path / "x.wav", x, 48_000, subtype="PCM_24")
    return tmp_path / "x.wav"


@pytest.fixture
def wet(dry):
    x, rate = sf.read(dry)
    sf.write(dry.with_name("y.wav"), 0.5 * x, rate, subtype="PCM_24")
    return dry.with_name("y.wav")


@pytest.fixture
def learning(tmp_path):
    value = {
        "train_dataloader": {"batch_size": 2, "shuffle": True, "drop_last": True},
        "val_dataloader": {},
        "trainer": {"accelerator": "cpu", "max_epochs": 2},
    }
    (tmp_path / "learning.json").write_text(json.dumps(value))
    return tmp_path / "learning.json"


def test_the_quality_benchmark_compares_with_a_recorded_run(dry, wet, learning, tmp_path):
    figures = tmp_path / "figures.json"
    options = ["--stop", STOP, "--target-esr", 1.5, "--peer-seconds", 6000, "--peer-cpu-seconds", 9000]
    options += ["--seeds", 1, "--threads", 1, "--json", figures, "--learning", learning]
    done = run("bench_quality.py", dry, wet, *options, "--model", ROOT / "configs/model/amp/debug.json")
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    [ours] = found["ours"]
    assert ours["epochs"] == 1  # any net is that good: it stopped at once
    assert 0 < ours["fit_seconds"] < ours["seconds"] == found["seconds"]
    assert ours["esr"] == pytest.approx(ours["file_esr"], rel=1e-3)
    assert found["ratio"] == pytest.approx(6000 / ours["seconds"])
    assert found["cpu_ratio"] == pytest.approx(9000 / ours["cpu_seconds"])
    assert done.stdout.splitlines()[-1] == f"ratio of times, peer / ours: {found['ratio']:.1f}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "expected --peer or --target-esr"),
        (["--peer", "x", "--peer-seconds", 1], "expected --target-esr"),
    ],
)
def test_the_quality_benchmark_says_what_it_lacks(options, expected):
    done = run("bench_quality.py", "x.wav", "y.wav", "--stop", 1, *options)
    assert done.returncode == 2
    assert expected in done.stderr


def run_of(seconds):
    return {"seconds": seconds, "cpu_seconds": None if seconds is None else 2 * seconds}


def test_runs_that_do_not_arrive_count_as_slower_than_all_others():
    conclude = script("bench_quality").conclude
    figures = {"ours": [run_of(4.0), run_of(None), run_of(3.0)], "target_esr": 0.1, "peer_seconds": 40.0}
    assert conclude(figures).splitlines()[-1] == "ratio of times, peer / ours: 10.0"
    assert (figures["seconds"], figures["cpu_seconds"]) == (4.0, 8.0)
    assert "cpu_ratio" not in figures
    figures = {"ours": [run_of(4.0), run_of(None)], "target_esr": 0.1, "peer_seconds": 40.0}
    assert conclude(figures) == "ours did not reach ESR 0.1 in most runs"
    assert "seconds" not in figures


def test_what_the_peer_does_once_is_not_counted_in_every_epoch():
    quality = script("bench_quality")
    arguments = type("Arguments", (), {"timed_epochs": 2, "peer_epochs": 100})
    found = quality.per_epoch(quality.Spent(15.0, 20.0), quality.Spent(35.0, 50.0), arguments)
    assert (found["peer_epoch_seconds"], found["peer_seconds"]) == (10.0, 15.0 + 99 * 10.0)
    assert found["peer_cpu_seconds"] == 20.0 + 99 * 15.0


def test_recipes_are_searched_on_simulated_circuits(dry, learning, tmp_path):
    plan = {
        "model": str(ROOT / "configs/model/amp/debug.json"),
        "learning": str(learning),
        "set": ["learning.trainer.max_epochs=2", "data.train.ny=2048"],
        "recipes": {"adam": [], "soap": ['model.optimizer={"name": "SOAP", "config": {"lr": 0.004}}']},
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    results = tmp_path / "results.json"
    circuit = f"fuzz={dry},pedal:drive=0.8:level=0.3,{STOP}"
    options = ["--circuit", circuit, "--threads", 1, "--seeds", 0, 1, "--target", "fuzz=5"]
    done = run("search_recipes.py", tmp_path / "plan.json", results, *options)
    assert done.returncode == 0, done.stderr
    played, rate = sf.read(tmp_path / "fuzz_pedal_drive=0.8_level=0.3.wav")
    assert (len(played), rate) == (40_000, 48_000)
    found = json.loads(results.read_text())
    assert [(r["recipe"], r["seed"]) for r in found] == [("adam", 0), ("adam", 1), ("soap", 0), ("soap", 1)]
    assert all(math.isfinite(point["esr"]) for r in found for point in r["points"])
    rows = done.stdout.splitlines()[-2:]
    assert [row.split(" | ")[0] for row in rows] == ["| adam", "| soap"]
    # what is there is not done again
    again = run("search_recipes.py", tmp_path / "plan.json", results, *options)
    assert json.loads(results.read_text()) == found
    assert again.stdout.splitlines() == done.stdout.splitlines()[-4:]
