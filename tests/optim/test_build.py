"""Optimizers are fused where they can be, and the config says nothing else."""

import pytest
import torch
from torch import nn

from nam_like.config.component import component
from nam_like.optim.build import build_optimizer


def build(name, **config):
    parameters = [nn.Parameter(torch.linspace(-1, 1, 7)), nn.Parameter(torch.ones(2, 3))]
    optimizer = build_optimizer(component("optimizer", {"name": name, "config": config}), parameters)
    return optimizer, parameters


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "Adagrad"])
def test_fused_is_the_default_and_computes_the_same(name):
    made = [build(name, lr=0.01), build(name, lr=0.01, foreach=False)]
    assert made[0][0].defaults["fused"] is True
    assert not made[1][0].defaults["fused"]
    for _ in range(5):
        for optimizer, parameters in made:
            optimizer.zero_grad()
            sum((p.sin() ** 2).sum() for p in parameters).backward()
            optimizer.step()
    for fused, plain in zip(made[0][1], made[1][1], strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["NAdam", "RMSprop"])
def test_others_are_as_they_are(name):
    optimizer, _ = build(name, lr=0.01)
    assert not optimizer.defaults.get("fused")


@pytest.mark.parametrize("choice", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_the_config_decides(choice):
    optimizer, _ = build("Adam", lr=0.01, **choice)
    assert not optimizer.defaults["fused"]


def test_other_precisions_are_not_fused():
    parameters = [nn.Parameter(torch.ones(2, dtype=torch.float64))]
    optimizer = build_optimizer(component("optimizer", {"name": "Adam", "config": {}}), parameters)
    assert not optimizer.defaults["fused"]
