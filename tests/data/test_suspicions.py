"""What is told of recordings before they are trained on."""

import json

import numpy as np
import pytest
import soundfile as sf

from nam_like.cli.main import main
from nam_like.config.run import load_run
from nam_like.data.build import build_datasets
from nam_like.data.suspicions import suspicions

RATE = 16_000


@pytest.fixture
def write(tmp_path):
    """Writes the three JSONs of a small run on a dry recording and one of it with a lag."""
    dry = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    sf.write(tmp_path / "dry.wav", dry, RATE, "FLOAT")

    def written(lag=0, sign=1.0, offset=0.0, **keys):
        wet = sign * 0.8 * np.tanh(3.0 * np.roll(dry, lag)) + offset
        sf.write(tmp_path / "wet.wav", wet, RATE, "FLOAT")
        paths = {"x_path": str(tmp_path / "dry.wav"), "y_path": str(tmp_path / "wet.wav")}
        contents = {
            "data": {
                "common": paths | keys,
                "train": {"stop_seconds": 3.0, "ny": 512},
                "validation": {"start_seconds": 3.0, "require_input_pre_silence": None},
            },
            "model": {
                "net": {"name": "Linear", "config": {"receptive_field": 8}},
                "optimizer": {"name": "Adam", "config": {"lr": 0.01}},
            },
            "learning": {"trainer": {"max_epochs": 1, "accelerator": "cpu"}},
        }
        files = []
        for name, content in contents.items():
            files.append(str(tmp_path / f"{name}.json"))
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return files

    return written


def told(files, memory="auto"):
    config = load_run(*files, [f"data.memory={memory}"])
    return suspicions(build_datasets(config.data, 8, config.folders, 0).train)


@pytest.mark.parametrize("memory", ["resident", "mapped"])
def test_a_delay_that_is_not_given_is_told(write, memory):
    (text,) = told(write(lag=321), memory)
    assert "wet.wav: it seems to lag" in text
    assert "about 321 samples" in text


def test_one_that_is_given_is_in_order(write):
    assert told(write(lag=321, delay=320)) == []


def test_one_of_the_wrong_sign_is_told(write):
    (text,) = told(write(lag=321, delay=600))
    assert "279 samples before" in text


def test_polarity_and_offset_are_told(write):
    texts = told(write(sign=-1.0, offset=0.1))
    assert len(texts) == 2
    assert "wet.wav: the signal has a DC offset of 0.1" in texts[0]
    assert "wet.wav: the polarity is inverted" in texts[1]


def test_check_says_so(write, capsys):
    assert main(["check", *write(lag=321)]) == 0
    captured = capsys.readouterr()
    assert "no errors" in captured.out
    assert "about 321 samples more than `delay` says" in captured.err
