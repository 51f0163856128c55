from __future__ import annotations

import logging
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.interpolate import interp1d

from nam_like.data.base import DataError, DatasetContext, HandshakeError
from nam_like.data.knobs import KnobError, curves_at, read_knob_csv
from nam_like.data.parametric import ParametricDataset, ParametricDatasetConfig

RATE = 8000


def build(config: dict[str, Any], nx: int = 5, **context: Any) -> ParametricDataset:
    return ParametricDatasetConfig.model_validate(config).build(DatasetContext(nx, **context))


def table(folder: Path, text: str) -> Path:
    (folder / "knobs.csv").write_text(text, encoding="utf-8")
    return folder / "knobs.csv"


def test_constant_knobs_sorted_by_name_and_normalised(pair: dict[str, Any]) -> None:
    dataset = build({**pair, "ny": 50, "knobs": {"tone": 5, "gain": 0.3}, "knob_ranges": {"tone": [0, 10]}})
    assert dataset.condition_names == ("gain", "tone")
    x, knobs, y = dataset[2]
    assert torch.equal(knobs, torch.tensor([0.3, 0.5]))
    batch = dataset.batch(torch.tensor([2, 0, 1]))
    assert [tuple(part.shape) for part in batch] == [(3, 54), (3, 2), (3, 50)]
    assert torch.equal(batch[0][0], x)
    assert torch.equal(batch[2][0], y)


@pytest.mark.parametrize(("interpolation", "kind"), [("hold", "previous"), ("linear", "linear")])
@pytest.mark.parametrize("delay", [0, 7, -7])
def test_moving_knobs_stand_at_the_samples_of_x(
    interpolation: str, kind: str, delay: int, pair: dict[str, Any], tmp_path: Path
) -> None:
    times, gain = [0, 150, 400.5, 999], [0.0, 1.0, 0.25, 0.75]
    rows = "\n".join(f"{t},{g}" for t, g in zip(times, gain, strict=True))
    path = table(tmp_path, f"sample,gain\n{rows}\n")
    config = {
        **pair,
        "ny": 40,
        "knob_data_path": str(path),
        "interpolation": interpolation,
        "knobs": {"tone": 2.0},
        "start_samples": 100,
        "delay": delay,
        "random_offset": True,
    }
    dataset = build(config, seed=3)
    truth = interp1d(times, gain, kind=kind)
    first = 100 + max(-delay, 0)
    expected = truth(np.arange(first, first + len(dataset.x)))
    np.testing.assert_allclose(dataset.knobs[0], expected, atol=1e-6)
    x, knobs, y = dataset.batch(torch.arange(len(dataset)))
    assert (knobs.shape, y.shape) == ((len(dataset), 2, 44), (len(dataset), 40))
    starts = dataset.starts(torch.arange(len(dataset))).tolist()
    for row, start in enumerate(starts):
        assert torch.equal(x[row], dataset.x[start : start + 44])
        assert torch.equal(knobs[row], dataset.knobs[:, start : start + 44])
        assert torch.equal(knobs[row], dataset[row][1])


def test_times_in_seconds_and_files_that_are_resampled(wav: Callable[..., Path], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 2000)
    config = {
        "x_path": str(wav("x.wav", noise, 2 * RATE)),
        "y_path": str(wav("y.wav", noise, 2 * RATE)),
        "sample_rate": RATE,
        "resample": True,
        "knob_data_path": str(table(tmp_path, "gain,sample\n0,0\n1,500\n")),
    }
    step = build(config).knobs[0]
    assert torch.equal(step, (torch.arange(1000) >= 250).float())
    config["knob_data_path"] = str(table(tmp_path, "\ufefftime , gain\r\n0.0,0\r\n\r\n0.03125,1\r\n"))
    assert torch.equal(build(config).knobs[0], step)


BAD_TABLES = {
    "no time": (
        "gain,tone\n0,1\n",
        r"knobs\.csv:1: expected one column `time` \(s\) or `sample`, but got gain, tone",
    ),
    "both": ("time,sample,gain\n0,0,1\n", r":1: expected one column .*, but got both"),
    "no knob": ("time\n0\n", ":1: expected a column per knob beside `time`, but got none"),
    "unnamed": ("time,,gain\n0,1,1\n", ":1: expected a name for column 2, but got none"),
    "twice": ("time,gain,gain\n0,1,1\n", ":1: expected each column once, but got `gain` twice"),
    "text": ("time,gain\n0,1\n0.1,loud\n", r":3: expected a finite number for `gain`, but got 'loud'"),
    "nan": ("time,gain\n0,nan\n", ":2: expected a finite number for `gain`, but got 'nan'"),
    "infinite": ("time,gain\n0,1\n\ninf,1\n", ":4: expected a finite number for `time`, but got 'inf'"),
    "missing value": ("time,gain\n0,1\n1,\n", ":3: expected a finite number for `gain`, but got ''"),
    "short line": ("time,gain,tone\n0,1,1\n1,1\n", ":3: expected 3 values, but got 2"),
    "equal": ("time,gain\n0,1\n0,2\n", ":3: expected `time` to increase, but got 0 after 0"),
    "back": ("time,gain\n0,1\n0.2,1\n0.1,2\n", ":4: expected `time` to increase, but got 0.1 after 0.2"),
    "empty": ("", "knobs.csv: expected a line of column names, but the file is empty"),
    "no lines": ("time,gain\n", ":1: expected knob values after the column names, but got no lines"),
    "late": (
        "sample,gain\n1,1\n",
        ":2: expected knob values from sample 0 on, but got the first at sample 1",
    ),
    "range": (
        "sample,gain\n0,1\n5,11\n",
        r":3: expected `gain` to be from 0 to 10 \(its `knob_ranges`\), but got 11",
    ),
    "both places": (
        "sample,drive\n0,1\n",
        "expected `drive` in `knobs` or in `knob_data_path`, but got it in both",
    ),
    "no such knob": (
        "sample,gian\n0,1\n",
        "expected `knob_ranges` of the knobs drive, gian, but got 'gain'; did you",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD_TABLES))
def test_bad_tables_name_the_line(case: str, pair: dict[str, Any], tmp_path: Path) -> None:
    text, message = BAD_TABLES[case]
    config = {
        **pair,
        "knob_data_path": str(table(tmp_path, text)),
        "knobs": {"drive": 1},
        "knob_ranges": {"gain": [0, 10]},
    }
    with pytest.raises(KnobError, match=message):
        build(config)


def test_a_table_too_short_to_interpolate(pair: dict[str, Any], tmp_path: Path) -> None:
    config = {**pair, "knob_data_path": str(table(tmp_path, "sample,gain\n0,1\n500,2\n"))}
    assert build(config).knobs[0, -1] == 2.0
    with pytest.raises(
        KnobError, match=r":3: expected knob values up to sample 999, but got the last at sample 500"
    ):
        build({**config, "interpolation": "linear"})


def test_tables_that_are_no_text(pair: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "knobs.csv").write_bytes(b"time,gain\n\xff\xfe")
    with pytest.raises(KnobError, match="expected UTF-8 text, but byte 10 is not"):
        read_knob_csv(tmp_path / "knobs.csv", RATE)
    with pytest.raises(KnobError, match="cannot be read"):
        read_knob_csv(tmp_path, RATE)


def test_float_error_in_a_time_does_not_move_a_step(tmp_path: Path) -> None:
    # 0.29 · 100 is 28.999999999999996, and 0.57 · 100 is 56.99999999999999.
    curves = read_knob_csv(table(tmp_path, "time,gain\n0.29,0\n0.57,1\n"), 100)
    assert curves_at(curves, 29, 40, "hold")[0].tolist() == [0.0] * 28 + [1.0] * 12


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "expected `knobs` or `knob_data_path`, but got neither"),
        ({"knobs": {"gain": "3"}}, 'expected a number, but got the string "3"'),
        (
            {"knobs": {"gain": 3}, "knob_ranges": {"gain": [1, 1]}},
            r"expected \[lowest, highest\] .* but got \[1",
        ),
        ({"knobs": {"gain": 3}, "knob_ranges": {"gain": [1]}}, r"expected \[lowest, highest\]"),
        ({"knobs": {"gain": 3}, "interpolation": "cubic"}, "interpolation"),
    ],
)
def test_configs_that_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ParametricDatasetConfig.model_validate({"x_path": "x", "y_path": "y", **config})


def test_a_constant_outside_its_range(pair: dict[str, Any]) -> None:
    with pytest.raises(KnobError, match=r"knobs: expected `gain` to be from 0 to 10 .* but got -1"):
        build({**pair, "knobs": {"gain": -1}, "knob_ranges": {"gain": [0, 10]}})


def test_silence_is_what_a_closed_volume_plays(
    pair: dict[str, Any], wav: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    config = {**pair, "y_path": str(wav("silent.wav", np.zeros(1000))), "knobs": {"volume": 0}}
    with caplog.at_level(logging.WARNING):
        assert not build(config).y.any()
    assert "the signal is silent" in caplog.text


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match=r"knob values of shape \(1, 20\), but got \(1, 19\)"):
        ParametricDataset(torch.zeros(20), torch.zeros(20), torch.zeros(1, 19), knob_names=("gain",), nx=1)


def test_the_net_must_have_as_many_knobs(pair: dict[str, Any]) -> None:
    dataset = build({**pair, "knobs": {"tone": 1, "gain": 2}})
    dataset.handshake(types.SimpleNamespace(receptive_field=5, num_knobs=2))
    with pytest.raises(HandshakeError, match="the net's `num_knobs` of 1, but got 2: gain, tone"):
        dataset.handshake(types.SimpleNamespace(receptive_field=5, num_knobs=1))
