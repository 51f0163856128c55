"""Steps that are recorded never wait for the device, nor bring it anything: shown on a device without memory.

Reading a number of a tensor on the device "meta" is an error, as it is while a CUDA graph is recorded.
"""

import contextlib
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nam_like.config.component import component
from nam_like.losses.spectral import MRSTFT
from nam_like.losses.sum import WeightedSum
from nam_like.losses.time import ESR, MSE
from nam_like.train.callbacks.ema import Ema
from nam_like.train.step_queue import RECORDABLE, Clipping, StepProgram


class Devices(TorchDispatchMode):
    """The devices of all tensors that take part."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.seen |= {t.device.type for t in tree_leaves((args, kwargs, made)) if isinstance(t, torch.Tensor)}
        return made


@pytest.fixture
def on_meta(monkeypatch):
    for kind in RECORDABLE:
        monkeypatch.setattr(
            sys.modules[kind.__module__],
            "_get_capturable_supported_devices",
            lambda *_, **__: ["meta"],
            raising=False,  # AdamW leaves it to Adam
        )
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # does not know "meta"


def program(name, clipping):
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.Tanh(), torch.nn.Conv1d(4, 1, 3)).to("meta")
    objective = WeightedSum({"mse": (MSE(), 1.0), "esr": (ESR(0.9), 0.1), "mrstft": (MRSTFT(0.85), 1e-3)})
    config = {"name": name, "config": {"lr": 0.01}}
    optimizer = component("optimizer", config).build(params=list(net.parameters()))
    ema = Ema()
    ema._averages = {str(i): torch.empty_like(p) for i, p in enumerate(net.parameters())}
    ema._live = [p.detach() for p in net.parameters()]

    def loss(batch):
        return objective(net(batch[0][:, None])[:, 0], batch[1])[0]

    return StepProgram(loss, optimizer, clipping, [ema])


def two_steps(name, clipping=None):
    made = program(name, clipping or Clipping(0.5))
    batch = torch.empty(2, 4100, device="meta"), torch.empty(2, 4096, device="meta")
    numbers = torch.empty(2, device="meta").unbind()
    made.step(batch, numbers, made.options())
    with Devices() as devices:
        made.step(batch, numbers, made.options())
    return made, devices.seen


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("name", [kind.__name__ for kind in RECORDABLE])
def test_these_optimizers_can_be_recorded(name):
    made, devices = two_steps(name)
    assert made.why_not_recorded() == ""
    assert devices == {"meta"}


@pytest.mark.usefixtures("on_meta")
def test_values_can_be_clipped():
    assert two_steps("Adam", Clipping(0.5, by_value=True))[1] == {"meta"}


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Muon", "ScheduleFreeAdamW"])
def test_others_would_wait_and_are_not_recorded(name):
    made = program(name, Clipping())
    assert made.why_not_recorded().startswith(f"{name} computes with numbers on the host")
    with pytest.raises((RuntimeError, AssertionError)):
        two_steps(name)


def test_a_subclass_may_do_anything():
    class Own(torch.optim.Adam):
        pass

    parameter = torch.nn.Parameter(torch.zeros(1))
    assert "Own" in StepProgram(lambda batch: batch[0].sum(), Own([parameter])).why_not_recorded()
