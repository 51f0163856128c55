"""Metrics by label: a list, an object, an object for the validation."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nam_like.config.component import Of
from nam_like.config.labelled import Labelled
from nam_like.config.model import ModelConfig

METRICS = Labelled(Of("metric"))
RUN = {"net": {"name": "Linear", "config": {"receptive_field": 4}}, "optimizer": {"lr": 0.1}}


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["ESR", {"name": "MSE"}], ["ESR", "MSE"]),
        ({"quality": "ESR", "_note": "ours"}, ["quality"]),
        ({"val": {"a": "ESR", "b": "MSE"}}, ["val_a", "val_b"]),
        ({"val": "ESR"}, ["val"]),
        ([], []),
    ],
)
def test_labels(value: object, labels: list[str]) -> None:
    read = METRICS.validate(value)
    assert list(read) == labels
    assert list(METRICS.validate(read.canonical())) == labels  # what the run folder holds says the same


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"name": "ESR"}, (), "expected a list, or an object of labels"),
        ("ESR", (), "expected a list, or an object of labels"),
        ({"val": {"a": "ESRR"}}, ("val", "a"), "did you mean 'ESR'?"),
        ({"val": {"a": "ESR"}, "test": {}}, ("test",), "expected 'val' alone"),
        ({"val": {"loss": "ESR"}}, ("val", "loss"), "under which something else is logged"),
        ({"lr": "ESR"}, ("lr",), "under which something else is logged"),
        (["ESR", "ESRR"], (1,), "did you mean 'ESR'?"),
    ],
)
def test_mistakes_are_placed(value: object, loc: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        METRICS.validate(value)
    error = caught.value.errors()[0]
    assert error["loc"] == loc
    assert message in error["msg"]


def test_a_task_that_measures_nothing_itself_ranks_by_its_loss() -> None:
    plain = ModelConfig.model_validate(RUN)
    assert plain.loss.val_loss == "mse"
    enhancing = {**RUN, "task": "enhancement", "loss": {"name": "DC"}}
    assert ModelConfig.model_validate(enhancing).loss.val_loss == "total"
    chosen = {**enhancing, "metrics": {"val": {"a": "ESR"}}, "loss": {"name": "DC", "val_loss": "val_a"}}
    assert ModelConfig.model_validate(chosen).loss.val_loss == "val_a"
    with pytest.raises(ValidationError, match="but got 'esr'"):
        ModelConfig.model_validate({**enhancing, "loss": {"name": "DC", "val_loss": "esr"}})
