import json
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from nam_like.config.component import component
from nam_like.errors import ExportError
from nam_like.export.torchscript import TorchScriptExporter
from nam_like.models.base import Net

LAYER = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 2,
    "head_size": 1,
    "kernel_size": 3,
    "dilations": [1, 2],
    "activation": "Tanh",
    "gated": True,
    "head_bias": True,
}
NETS = {
    "WaveNet": {"layers_configs": [LAYER], "head_scale": 0.5},
    "LSTM": {"hidden_size": 3, "num_layers": 2},
    "ConvNet": {"channels": 2, "dilations": [1, 2], "batchnorm": True, "activation": "Tanh"},
    "Linear": {"receptive_field": 6},
    "ConditionedWaveNet": {
        "layers_configs": [{**LAYER, "condition_size": 3}],
        "head_scale": 0.5,
        "num_knobs": 2,
    },
}


def load(path, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(path), **kwargs)


@pytest.mark.parametrize("name", NETS)
def test_each_net_plays_alike_at_any_length(tmp_path, name):
    net = component("net", {"name": name, "config": NETS[name]}).build().eval()
    net.sample_rate = 8000.0
    exporter = TorchScriptExporter()
    path = tmp_path / "model.ts"
    exporter.write(net, path, {"name": "x"})
    audio = np.random.default_rng(0).normal(size=3000).astype(np.float32) * 0.3
    verification = exporter.verify(net, path, audio)
    assert verification.max_abs <= 1e-6
    assert verification.peak > 0
    extra = {"nam_like.json": ""}
    module = load(path, _extra_files=extra)
    assert json.loads(extra["nam_like.json"]) == {"name": "x"}
    knobs = (torch.rand(2, 2),) if net.num_conditions else ()
    with torch.no_grad():
        for length in (1, 2, 7, 500):
            x = torch.randn(2, length)
            torch.testing.assert_close(
                module(x, *knobs), net(x, *knobs, pad_start=True), atol=1e-6, rtol=1e-5
            )
        if not knobs:
            assert module(torch.randn(9)).shape == (9,)
            assert (module.sample_rate, module.receptive_field) == (8000.0, net.receptive_field)


class Frozen(Net):
    """Bakes the length of its first input into the trace."""

    def __init__(self):
        super().__init__()
        self.receptive_field = 1
        self.scale = nn.Parameter(torch.ones(1))

    def _forward(self, x):
        return self.scale * x * torch.linspace(0, 1, int(x.shape[-1]))


def test_a_frozen_length_is_found(tmp_path):
    exporter = TorchScriptExporter()
    path = tmp_path / "model.ts"
    net = Frozen().eval()
    exporter.write(net, path, {})
    with pytest.raises(ExportError, match="cannot be played at"):
        exporter.verify(net, path, np.ones(100, np.float32))


def test_a_disagreement_is_found(tmp_path):
    exporter, path = TorchScriptExporter(), tmp_path / "model.ts"
    net = component("net", {"name": "Linear", "config": {"receptive_field": 3}}).build().eval()
    exporter.write(net, path, {})
    with torch.no_grad():
        next(net.parameters()).add_(0.01)
    with pytest.raises(ExportError, match="expected the file to play as the net"):
        exporter.verify(net, path, np.ones(100, np.float32))


def test_an_export_draws_nothing_from_the_global_generator(tmp_path):
    net = component("net", {"name": "LSTM", "config": {"hidden_size": 2}}).build().eval()
    before = torch.get_rng_state()
    TorchScriptExporter().write(net, tmp_path / "model.ts", {})
    assert torch.equal(before, torch.get_rng_state())
