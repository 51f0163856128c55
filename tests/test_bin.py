"""The scripts of bin/ that no other test runs do what they say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

BIN = Path(__file__).parents[1] / "bin"


def run(script, *arguments):
    command = [sys.executable, str(BIN / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_the_capture_benchmark_trains_and_plays_what_was_exported(tmp_path):
    x = np.random.default_rng(0).normal(size=40_000) * 0.1
    sf.write(tmp_path / "x.wav", x, 48_000, subtype="PCM_24")
    sf.write(tmp_path / "y.wav", 0.5 * x, 48_000, subtype="PCM_24")
    audio = [tmp_path / "x.wav", tmp_path / "y.wav"]
    options = ["--stop", 30_000, "--epochs", 1, "--batch", 2, "--ny", 2048, "--threads", 1]
    model = BIN.parent / "configs/model/amp/debug.json"
    figures = tmp_path / "figures.json"
    done = run(
        "bench_capture.py",
        *audio,
        *options,
        "--model",
        model,
        "--json",
        figures,
    )
    assert done.returncode == 0, done.stderr
    assert 0.0 < json.loads(figures.read_text())["ours"]["esr"] < 2.0


def test_the_startup_benchmark_times_our_commands(tmp_path):
    figures = tmp_path / "figures.json"
    done = run("bench_startup.py", "--runs", 1, "--net", "a1-nano", "--seconds", 20, "--json", figures)
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    assert 0.0 < found["medians"]["nam_full --help"] < found["medians"]["nam_full, first step"]
    phases = found["phases"]["nam_full, first step"]
    assert {"import torch", "net, recordings, checks", "first step"} <= set(phases)


def test_the_loss_benchmark_compares_values_and_times(tmp_path):
    figures = tmp_path / "figures.json"
    done = run("bench_loss.py", "--batch", 2, "--ny", 3000, "--runs", 2, "--rounds", 1, "--json", figures)
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text())["ratio"] > 0.0


@pytest.mark.slow
def test_the_loop_benchmark_separates_training_from_the_rest(tmp_path):
    figures = tmp_path / "figures.json"
    done = run("bench_loop.py", "--seconds", 20, "--json", figures)
    assert done.returncode == 0, done.stderr
    ours = json.loads(figures.read_text())["sides"]["ours"]
    assert 0.0 < ours["overhead"] < ours["step"]
    assert ours["epoch"]["validation"] > 0.0
    assert ours["epoch"]["checkpoint"] > 0.0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_memory_benchmark_measures_both_lengths(tmp_path):
    figures = tmp_path / "figures.json"
    done = run(
        "bench_memory.py", "--hours", 0.005, 0.003, "--steps", 1, "--memory", "mapped", "--json", figures
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    assert [(run["hours"], run["cold"]) for run in found["runs"]] == [
        (hours, cold) for hours in (0.003, 0.005) for cold in (True, False)
    ]
    assert all(50 < run["anonymous"] <= run["peak"] for run in found["runs"])
    assert all(0 < run["first_step"] < run["seconds"] for run in found["runs"])
    assert found["ratio"] == pytest.approx(1.0, abs=0.2)


SWEEPS = ("length", "channels", "render-length")
BASE = {"length": 128, "batch": 2, "channels": 4, "threads": 1}


def test_points_of_the_scale_benchmark_are_drawn_small_and_of_any_number_of_sides(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BIN))
    from benchlib.scale_plots import draw_all

    both = [{"x": x, "seconds": {"ours": x / 9, "peer": x}, "ratio": 9.0} for x in (2, 3, 1024)]
    drawn = draw_all({"length": both, "batch": [{"x": 1, "seconds": {"ours": 1.0}}], "threads": []}, tmp_path)
    assert drawn == [tmp_path / "scale-length.png", tmp_path / "scale-batch.png"]
    assert all(5_000 < path.stat().st_size < 80_000 for path in drawn)


def test_the_scale_benchmark_varies_one_quantity_of_a1(monkeypatch):
    monkeypatch.syspath_prepend(str(BIN))
    import bench_scale

    arguments = bench_scale.parse(["--channels", "16", "2", "--base-length", "64"])
    narrow, standard = bench_scale.points_of("channels", arguments)
    assert (narrow.channels, narrow.ny, narrow.batch) == (2, 64, 16)
    first, second = bench_scale.case_of(narrow).model["net"]["config"]["layers_configs"]
    assert (first["channels"], second["input_size"], second["channels"]) == (2, 2, 1)
    assert bench_scale.case_of(standard).model == bench_scale.make_case("a1").model


@pytest.mark.slow
def test_the_scale_benchmark_measures_every_point_and_keeps_what_it_has(tmp_path):
    figures, plots = tmp_path / "figures.json", tmp_path / "plots"
    sizes = ["--lengths", 256, 128, "--channels", 3, "--seconds", 0.05, "--rounds", 1, "--threads", 1]
    base = [f"--base-{name}={value}" for name, value in BASE.items()]
    done = run("bench_scale.py", "--sweeps", *SWEEPS, *sizes, *base, "--json", figures)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1].removeprefix("ratio ")) > 0.0
    found = json.loads(figures.read_text())["sweeps"]
    measured = {name: [point["x"] for point in points] for name, points in found.items()}
    assert measured == {"length": [128, 256], "channels": [3], "render-length": [0.05]}
    for point in (point for points in found.values() for point in points):
        assert set(point["seconds"]) == {"ours", "plain"}
        assert point["ratio"] == pytest.approx(point["seconds"]["plain"] / point["seconds"]["ours"])

    done = run("bench_scale.py", "--sweeps", "--json", figures, "--plots", plots)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in plots.iterdir()) == [f"scale-{name}.png" for name in sorted(SWEEPS)]
