"""A WaveNet's launches can be recorded: between them nothing waits for the device or brings it anything."""

import importlib.util
import os

import pytest
import torch
from nets import array
from test_compiled import KERNELS, Recorder
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nam_like.models.amp.wavenet import WaveNet, native
from nam_like.native.gpu import wavenet

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="triton is not installed (extra: nam_like[gpu])"
    ),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets here"),
]


class Devices(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.seen |= {t.device.type for t in tree_leaves((args, kwargs, made)) if isinstance(t, torch.Tensor)}
        return made


@pytest.mark.parametrize("condition_size", [0, 1])
def test_forward_and_backward_stay_on_the_device(condition_size, monkeypatch):
    from nam_like.native.gpu import launch

    for name in KERNELS:
        monkeypatch.setattr(launch, name, Recorder(getattr(launch, name), {}))
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, **kw: autocast("cpu", **kw))  # does not know "meta"
    first = array(channels=4, head_size=2, condition_size=condition_size)
    last = array(input_size=4, channels=2, head_bias=True, condition_size=condition_size)
    net = WaveNet([first, last]).to("meta")
    described = native.describe(net)
    x = torch.empty(2, 1, net.receptive_field + 100, device="meta", requires_grad=True)

    def step():
        weights = [weight() for weight in described.weights]
        head = wavenet.process(described.arrays, x, x if condition_size else None, weights)
        head.square().mean().backward()

    wavenet._packing.cache_clear()
    try:
        step()
        with Devices() as devices:
            step()
    finally:
        wavenet._packing.cache_clear()  # their indices are on "meta" now
    assert devices.seen == {"meta"}
    assert all(p.grad is not None for name, p in net.named_parameters() if "conv" in name)
