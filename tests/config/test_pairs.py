"""A data JSON of paired recordings, read without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nam_like.config.data import DataConfig
from nam_like.config.errors import ConfigError
from nam_like.config.pairs import load_pairs
from nam_like.config.run import load_data

TEXT = """{
  // the usual
  "train": [{"stop_seconds": -9, "ny": 64}, {"name": "paired", "config": {"delay": 2, "x_path": "b.wav"}}],
  "validation": {"start_seconds": -9, "_note": "whole"},
  "common": {"x_path": "a.wav", "y_path": "y.wav", "delay": 1, "type": "dataset"},
  "joint": [{"name": "my_hooks.NotInstalled"}],
  "metadata": {"gear_make": "Loud"}
}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "data.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_common_keys_are_merged(tmp_path: Path) -> None:
    config, document = load_pairs(write(tmp_path, TEXT))
    assert [keys.model_dump(exclude_unset=True) for keys in (*config.train, *config.validation)] == [
        {"x_path": "a.wav", "y_path": "y.wav", "delay": 1, "stop_seconds": -9.0, "ny": 64},
        {"x_path": "b.wav", "y_path": "y.wav", "delay": 2},
        {"x_path": "a.wav", "y_path": "y.wav", "delay": 1, "start_seconds": -9.0},
    ]
    assert (config.train_is_list, config.validation_is_list) == (True, False)
    assert document.value["joint"] == config.joint == [{"name": "my_hooks.NotInstalled"}]


def test_it_reads_what_the_data_config_reads(tmp_path: Path) -> None:
    """Of a file without hooks, the same keys, whichever way they are read."""
    content = {"train": {"ny": 8, "input_gain": 3}, "validation": {"start_samples": -5, "nx": 3}}
    path = write(tmp_path, json.dumps({**content, "common": {"x_path": "a.wav", "y_path": "y.wav"}}))
    pairs, (data, _) = load_pairs(path)[0], load_data(path)
    assert isinstance(data, DataConfig)
    for split in ("train", "validation"):
        read = [keys.model_dump(exclude_unset=True) for keys in getattr(pairs, split)]
        assert read == [member.config.model_dump(exclude_unset=True) for member in getattr(data, split)]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('"ny": 64', '"ny": -64', 3, "expected more than 0, but got -64"),
        ('"delay": 2', '"dealy": 2', 3, "did you mean 'delay'?"),
        ('"delay": 1', '"delay": 1.5', 5, "expected an integer, but got 1.5"),
        (
            '"name": "paired"',
            '"name": "cuts"',
            3,
            "expected paired recordings, which have an `x_path`",
        ),
        ('"dataset"', '"parametric"', 5, "whose knobs a .nam file does not have"),
        ('"metadata"', '"metdata"', 7, "did you mean 'metadata'?"),
        ('"validation"', '"validaton"', 4, "did you mean 'validation'?"),
        ("[{", "{", 3, ""),
    ],
)
def test_mistakes_are_placed(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    path = write(tmp_path, TEXT.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_pairs(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), line)
    assert message in problem.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.json"):
        load_pairs(tmp_path / "gone.json")


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from nam_like.config.pairs import load_pairs; load_pairs(sys.argv[1]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, write(tmp_path, TEXT)], check=True)
