import importlib.util

import numpy as np
import pytest

from nam_like.config.component import component
from nam_like.errors import ExportError
from nam_like.export import onnx as module
from nam_like.export.onnx import OnnxExporter

INSTALLED = all(importlib.util.find_spec(name) for name in module.PACKAGES)
CONVNET = {
    "name": "ConvNet",
    "config": {"channels": 2, "dilations": [1, 2], "batchnorm": True, "activation": "Tanh"},
}


def test_missing_packages_are_said_before_training(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "PACKAGES", ("no_such_package",))
    net = component("net", CONVNET).build().eval()
    (reason,) = OnnxExporter().obstacles(net)
    assert "no_such_package" in reason
    assert "nam_like[onnx]" in reason
    with pytest.raises(ExportError, match="no_such_package"):
        OnnxExporter().write(net, tmp_path / "model.onnx", {})


def test_recurrent_nets_are_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ())
    net = component("net", {"name": "LSTM", "config": {"hidden_size": 2}}).build()
    (reason,) = OnnxExporter().obstacles(net)
    assert "one fixed length" in reason
    assert OnnxExporter().obstacles(component("net", CONVNET).build()) == []


@pytest.mark.skipif(not INSTALLED, reason="needs nam_like[onnx]")
def test_a_convolutional_net_plays_alike(tmp_path):
    net = component("net", CONVNET).build().eval()
    OnnxExporter().write(net, tmp_path / "model.onnx", {"name": "x"})
    audio = np.random.default_rng(0).normal(size=500).astype(np.float32)
    assert OnnxExporter().verify(net, tmp_path / "model.onnx", audio).max_abs < 1e-5
