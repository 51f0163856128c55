"""Schedules made for steps in a model JSON: when they step, and who says how long they are."""

import pytest

from nam_like.config.model import ModelConfig

NET = {"name": "Linear", "config": {"receptive_field": 8}}


def schedule(**keys):
    return ModelConfig.model_validate({"net": NET, "optimizer": {}, "lr_scheduler": keys}).lr_scheduler


def test_they_step_after_each_batch_unless_told_otherwise():
    assert schedule(name="CosineAnnealing").siblings.interval == "step"
    assert schedule(name="CosineAnnealing", frequency=2).siblings.model_dump(exclude_unset=True) == {
        "interval": "step",
        "frequency": 2,
    }
    assert schedule(name="CosineAnnealing", interval="epoch").siblings.interval == "epoch"
    assert schedule(name="ExponentialLR", config={"gamma": 0.9}).siblings.interval == "epoch"
    assert schedule(name="WarmupPolicy").canonical() == {
        "name": "WarmupPolicy",
        "config": {},
        "interval": "step",
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"interval": "epoch"}, "expected `max_steps` for a rate that falls, but got none"),
        ({"config": {"warmup_steps": 5, "warmup_ratio": 0.1}}, "but got both: 5 and 0.1"),
        ({"monitor": "val_loss"}, "expected no `monitor`, for CosineAnnealing watches no metric"),
        ({"config": {"min_lr": 0.5}}, "expected `min_lr` to be at most the rate 0.001, but got 0.5"),
    ],
)
def test_what_they_refuse_is_said_before_the_run(files, keys, message):
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
    files.write(model={"net": net, "optimizer": {}, "lr_scheduler": {"name": "CosineAnnealing"}})
    files.load()
    files.write(model={"net": net, "optimizer": {}, "lr_scheduler": {"name": "CosineAnnealing", **keys}})
    with pytest.raises(ValueError, match=message):
        files.load()
