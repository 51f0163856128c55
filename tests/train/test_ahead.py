"""The memory of the first batches is asked for ahead of time, where the run will want it."""

import pytest
import torch
from amp import load, write_capture

from nam_like.models.amp.linear import Linear
from nam_like.train import ahead


class Asked(Linear):
    """Notes what it is asked to reserve."""

    def __init__(self):
        super().__init__(receptive_field=5)
        self.asked = []

    def reserve(self, batch, length):
        self.asked.append((batch, length))


@pytest.fixture
def folder(tmp_path):
    return write_capture(tmp_path, seconds=0.2)


def asked(folder, *overrides):
    net = Asked()
    ahead.reserve_memory(load(folder, *overrides), net)
    return net.asked


def test_batches_are_as_the_configs_say(folder):
    overrides = ("learning.train_dataloader.batch_size=3", "data.train.ny=128")
    assert asked(folder, *overrides) == [(3, 132)]


def test_the_first_stage_of_a_curriculum_comes_first(folder):
    stage = 'learning.curriculum=[{"until_epoch": 1, "ny": 64, "batch_size": 2}]'
    assert asked(folder, "data.train.ny=128", stage) == [(2, 68)]


@pytest.mark.parametrize(
    "override", ["learning.trainer.precision=64-true", "learning.trainer.precision=bf16-mixed"]
)
def test_other_precisions_have_other_memory(folder, override):
    assert asked(folder, override) == []


def test_an_accelerator_has_memory_of_its_own(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert asked(folder, "learning.trainer.accelerator=auto") == []


def test_a_net_that_fails_does_not_matter_here(folder):
    class Failing(Asked):
        def reserve(self, batch, length):
            raise RuntimeError("no memory")

    ahead.reserve_memory(load(folder), Failing())
    ahead.reserve_memory(load(folder), torch.nn.Identity())
