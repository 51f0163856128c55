"""The model presets of enhancement: sizes, that they learn, and that the small ones can be scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nam_like.config.model import ModelConfig
from nam_like.config.run import load_run
from nam_like.export.quiet_jit import quiet_jit
from nam_like.losses.sum import WeightedSum
from nam_like.presets import configs_dir, find_preset

#: trainable parameters, channels of its input
SMALL = {
    "beamformer": (207_489, 4),
    "dereverb": (207_489, 1),
    "debug": (2_417, 1),
    "flexible_channels": (504_769, 3),
    "flow_matching_small": (32_314, 1),
    "mask_rnn": (207_489, 1),
    "mask_rnn_causal": (104_065, 1),
    "ncsnpp_small": (27_078, 1),
    "schroedinger_bridge_small": (32_314, 1),
    "score_based_small": (32_314, 1),
}
LARGE = {
    "flow_matching": 25_161_754,
    "mask_rnn_large": 7_624_449,
    "ncsnpp": 22_072_206,
    "schroedinger_bridge": 25_161_754,
    "score_based": 25_161_754,
}


def read(name: str) -> ModelConfig:
    preset = find_preset(f"enhancement/{name}")
    return load_run(preset.data, preset.model, preset.learning, []).model


def parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def test_there_are_these() -> None:
    folder: Path = configs_dir() / "model" / "enhancement"
    assert {path.stem for path in folder.glob("*.json")} == {*SMALL, *LARGE}


@pytest.mark.parametrize("name", LARGE)
def test_sizes(name: str) -> None:
    assert parameters(read(name).net.build()) == LARGE[name]


@pytest.mark.parametrize("name", SMALL)
def test_small_ones_learn_and_can_be_scripted(name: str) -> None:
    torch.manual_seed(0)
    model, (size, channels) = read(name), SMALL[name]
    net: Any = model.net.build()
    assert parameters(net) == size
    terms = {label: (term.build(), term.siblings.weight) for label, term in model.loss.terms.items()}
    objective = WeightedSum(terms)
    audio, lengths = torch.randn(2, channels, 4000), torch.tensor([4000, 3000])
    views = net.train().views(audio, lengths, audio[:, :1], objective.domains)
    objective.of_views(views)[0].backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    with quiet_jit(), torch.no_grad():
        net.eval()
        torch.manual_seed(1)
        wanted = net(audio)
        torch.manual_seed(1)
        played = torch.jit.script(net)(audio)
    torch.testing.assert_close(played, wanted, atol=1e-5, rtol=1e-4)
