"""`ema` and `curriculum` of learning.json: what is read, what is refused, and where."""

import pytest
from pydantic import ValidationError

from nam_like.config.component import component
from nam_like.config.errors import ConfigError
from nam_like.config.learning import LearningConfig
from nam_like.config.model import lacks_total_steps


def read(**value):
    return LearningConfig.model_validate(value)


def errors(**value):
    with pytest.raises(ValidationError) as raised:
        read(**value)
    return {error["loc"]: error["msg"] for error in raised.value.errors()}


def test_neither_is_there_unless_given():
    assert read().ema is None
    assert read().curriculum == []
    assert not {"ema", "curriculum"} & set(read().canonical())


def test_they_survive_the_round_trip():
    given = {
        "ema": {"decay": 0.99, "warm_up": False},
        "curriculum": [
            {"until_epoch": 3, "ny": 2048, "batch_size": 64},
            {"until_epoch": 5, "batch_size": 32},
        ],
    }
    canonical = read(**given).canonical()
    assert {key: canonical[key] for key in given} == given
    assert read(**canonical).canonical() == canonical
    assert read(ema={}).ema.decay == 0.999


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"ema": {"decay": 1.0}}, ("ema", "decay"), "less than 1"),
        ({"ema": {"decay": 0}}, ("ema", "decay"), "greater than 0"),
        ({"ema": {"decai": 0.9}}, ("ema", "decai"), "did you mean 'decay'"),
        ({"ema": {"warm_up": 1}}, ("ema", "warm_up"), "expected true or false, but got 1"),
        ({"curriculum": [{"until_epoch": 3}]}, ("curriculum", 0), "expected `ny` or `batch_size`"),
        ({"curriculum": [{"ny": 512}]}, ("curriculum", 0, "until_epoch"), "required"),
        ({"curriculum": [{"until_epoch": 0, "ny": 8}]}, ("curriculum", 0, "until_epoch"), "greater than 0"),
        (
            {"curriculum": [{"until_epoch": 3, "ny": 8}, {"until_epoch": 3, "ny": 9}]},
            ("curriculum", 1, "until_epoch"),
            "expected `until_epoch` to be more than the 3 of the stage before, but got 3",
        ),
    ],
)
def test_refusals(value, loc, message):
    found = errors(**value)
    assert list(found) == [loc]
    assert message in found[loc]


def problem(files):
    with pytest.raises(ConfigError) as raised:
        files.load()
    (found,) = raised.value.problems
    return found


def test_weights_are_averaged_once(files):
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
    files.write(learning={"ema": {}})
    files.load()
    files.write(model={"net": net, "optimizer": {"name": "ScheduleFreeAdamW"}})
    assert problem(files).path == "ema"
    assert "ScheduleFreeAdamW, which averages the weights itself" in problem(files).message


@pytest.mark.parametrize("name", ["StochasticWeightAveraging", "EMAWeightAveraging"])
def test_no_other_callback_averages_them_too(files, name):
    config = {"swa_lrs": 0.01} if name.startswith("Stoch") else {}
    files.write(learning={"ema": {}, "callbacks": [{"name": name, "config": config}]})
    assert problem(files).path == "callbacks[0]"
    assert "expected one average of the weights" in problem(files).message


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed_stage_2"])
def test_the_weights_must_be_whole(files, strategy):
    files.write(learning={"ema": {}, "trainer": {"strategy": strategy}})
    assert strategy in problem(files).message


@pytest.mark.parametrize(
    ("config", "interval", "lacks"),
    [
        ({"max_lr": 0.1}, "step", True),
        ({"max_lr": 0.1, "total_steps": 10}, "step", False),
        ({"max_lr": 0.1, "epochs": 2, "steps_per_epoch": 10}, "step", False),
        ({"max_lr": 0.1}, "epoch", False),
    ],
)
def test_who_says_how_many_steps_a_cycle_has(config, interval, lacks):
    scheduler = component("lr_scheduler", {"name": "OneCycleLR", "config": config})
    assert lacks_total_steps(scheduler, interval) is lacks


def test_a_cycle_over_all_steps_needs_no_total(files):
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
    schedule = {"name": "OneCycleLR", "config": {"max_lr": 0.01}}
    files.write(model={"net": net, "optimizer": {}, "lr_scheduler": {**schedule, "interval": "step"}})
    files.load()
    files.write(model={"net": net, "optimizer": {}, "lr_scheduler": schedule})
    assert "total_steps" in problem(files).message
