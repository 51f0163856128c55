"""The pictures: what they show is right, they are written whole, and nothing is left open."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nam_like.train.history import read_metrics
from nam_like.train.plot_spectrogram import band_powers
from nam_like.train.plots import Prediction, plot_run
from nam_like.train.telling import level_db, telling_window

RATE = 8000.0


def prediction(name: str = "validation.wav", seconds: float = 1.0) -> Prediction:
    time = np.arange(int(seconds * RATE)) / RATE
    y = 0.5 * np.sin(2 * np.pi * 440 * time)
    y_hat = 0.98 * y
    esr = float(np.sum((y_hat - y) ** 2) / np.sum(y**2))
    return Prediction(name, y, y, y_hat, RATE, esr)


def metrics(folder: Path) -> Path:
    path = folder / "metrics.csv"
    path.write_text(
        "epoch,step,train_loss,val_loss,ESR\n0,9,0.5,,\n0,9,,0.4,0.3\n1,19,0.2,,\n1,19,,0.25,0.1\n2,29,,nan,0.2\n",
        encoding="utf-8",
    )
    return path


def test_one_file_gives_three_pictures(tmp_path: Path) -> None:
    written = plot_run(
        tmp_path, predictions=[prediction()], metrics_csv=metrics(tmp_path), title="WaveNet", show=False
    )
    assert [path.name for path in written] == ["comparison.png", "spectrogram.png", "curves.png"]
    for path in written:
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        assert (width, height) == (1430, 910)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*(path.name for path in written), "metrics.csv"]
    )


def test_several_files_give_several_pictures_and_no_log_no_curves(tmp_path: Path) -> None:
    written = plot_run(
        tmp_path,
        predictions=[prediction("a"), prediction("b", 0.2)],
        metrics_csv=tmp_path / "missing.csv",
        title="",
        show=False,
    )
    names = [path.name for path in written]
    assert names == ["comparison.png", "spectrogram.png", "comparison_2.png", "spectrogram_2.png"]


def test_odd_signals_can_be_drawn(tmp_path: Path) -> None:
    silent = np.zeros(50)
    items = [
        Prediction("silent", silent, silent, silent, RATE, math.nan),
        Prediction("perfect", silent + 1, silent + 1, silent + 1, RATE, 0.0),
        Prediction("one sample", np.ones(1), np.ones(1), np.zeros(1), RATE, 1.0),
    ]
    assert len(plot_run(tmp_path, predictions=items, metrics_csv=None, title="odd", show=False)) == 6


def test_showing_without_a_display_writes_all_the_same_and_leaves_no_figure_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from matplotlib import pyplot

    with caplog.at_level("INFO", logger="nam_like"):
        written = plot_run(tmp_path, predictions=[prediction()], metrics_csv=None, title="t", show=True)
    assert all(path.is_file() for path in written)
    assert pyplot.get_fignums() == []
    assert "no display" in caplog.text


def test_a_prediction_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one length, but got \(4,\), \(4,\) and \(5,\)"):
        Prediction("x", np.zeros(4), np.zeros(4), np.zeros(5), RATE, 0.0)


def test_the_telling_window_is_loud_and_wrong() -> None:
    y, error = np.zeros(10_000), np.zeros(10_000)
    y[1000:2000] = 1.0  # loud and right
    error[4000:5000] = 0.5  # quiet and wrong
    y[7000:8000], error[7000:8000] = 0.5, 0.1  # both
    window = telling_window(y, error, 1000)
    assert window.stop - window.start == 1000
    assert 6500 <= window.start <= 7500
    assert telling_window(y, error, 20_000) == slice(0, 10_000)


def test_levels() -> None:
    assert level_db(0.01) == pytest.approx(-20.0)
    assert level_db(0.0) == pytest.approx(-140.0)


def test_a_sine_is_in_its_band_with_its_power() -> None:
    rate, frequency = 48_000.0, 1000.0
    time = np.arange(48_000) / rate
    powers, edges = band_powers(np.sin(2 * np.pi * frequency * time), rate)
    band = int(np.argmax(powers.mean(axis=1)))
    width = rate / 4096
    assert edges[band] - 2 * width <= frequency <= edges[band + 1] + 2 * width
    # A full-scale sine peaks at 1/4 of a bin's power; the Hann window spreads it over 1.5 bins.
    bins = np.diff(edges) / width
    assert np.sum(powers.mean(axis=1) * bins) == pytest.approx(0.25 * 1.5, rel=0.02)


def test_the_log_is_read_as_curves(tmp_path: Path) -> None:
    curves = read_metrics(metrics(tmp_path))
    assert list(curves) == ["train_loss", "val_loss", "ESR"]
    assert curves["train_loss"].values == [0.5, 0.2]
    assert curves["val_loss"].epochs == [0.0, 1.0]  # nan is no value
    assert curves["ESR"].best == (1.0, 0.1)
