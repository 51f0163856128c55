"""``???`` in a file: a value that must be given."""

import json

import pytest

from nam_like.config.errors import ConfigError
from nam_like.config.unfilled import unfilled


def test_they_are_found_at_any_depth():
    value = {"a": "???", "b": [1, {"c": "???"}], "d": "what???", "e": {"f": None}}
    assert unfilled("data", value) == [
        (("a",), "expected a value for data.a, but got ???"),
        (("b", 1, "c"), "expected a value for data.b[1].c, but got ???"),
    ]


def test_a_run_tells_all_of_them_with_their_places(files):
    files.write(
        data=json.dumps(
            {"train": {"ny": "???"}, "validation": {}, "common": {"x_path": "???", "y_path": "y.wav"}}
        ),
        learning='{\n  "trainer": {"max_epochs": "???"}\n}',
    )
    with pytest.raises(ConfigError) as caught:
        files.load()
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("train.ny", "expected a value for data.train.ny, but got ???"),
        ("common.x_path", "expected a value for data.common.x_path, but got ???"),
        ("trainer.max_epochs", "expected a value for learning.trainer.max_epochs, but got ???"),
    ]
    assert caught.value.problems[2].line == 2
    assert not caught.value.complete


def test_a_reference_to_one_is_not_told_twice(files):
    files.write(
        data=json.dumps(
            {
                "train": {"ny": "???", "stop_samples": "${data.train.ny}"},
                "validation": {},
                "common": {"x_path": "x.wav", "y_path": "y.wav"},
            }
        )
    )
    with pytest.raises(ConfigError) as caught:
        files.load()
    (problem,) = caught.value.problems
    assert problem.path == "train.ny"


def test_an_override_gives_the_value(files):
    files.write(learning='{"trainer": {"max_epochs": "???"}}')
    assert files.load("learning.trainer.max_epochs=3").learning.trainer.max_epochs == 3
