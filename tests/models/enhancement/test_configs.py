"""Config models of estimators and mask processors: what they build, and what they refuse where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from nam_like.config.component import component

SPECTROGRAM = torch.randn(2, 3, 17, 9, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"rnn_type": "gru", "bidirectional": False, "num_layers": 2, "dropout": 0.1},
        {"mag_reduction": None, "use_ipd": True, "num_input_channels": 3, "num_hidden_features": 5},
    ],
)
def test_estimators_are_built_from_json(config: dict[str, Any]) -> None:
    given = {"num_outputs": 2, "num_subbands": 17, "num_features": 8, "num_layers": 1, **config}
    net = component("estimator", {"name": "MaskEstimatorRNN", "config": given}).build()
    masks = net(SPECTROGRAM, torch.tensor([9, 4]))
    assert masks.shape == (2, 2, 17, 9)
    assert not masks[1, ..., 4:].any()


@pytest.mark.parametrize(
    ("name", "config", "channels"),
    [
        ("MaskReferenceChannel", {"ref_channel": 2, "mask_min_db": -20}, 2),
        ("MaskBasedBeamformer", {}, 2),
        ("MaskBasedBeamformer", {"ref_channel": "max_snr", "filter_postfilter": "ban"}, 2),
        ("MaskBasedBeamformer", {"ref_channel": None, "filter_type": "pmwf", "filter_beta": 1.0}, 6),
    ],
)
def test_mask_processors_are_built_from_json(name: str, config: dict[str, Any], channels: int) -> None:
    processor = component("mask_processor", {"name": name, "config": config}).build()
    masks = torch.full((2, 2, 17, 9), 0.5)
    assert processor(SPECTROGRAM, torch.tensor([9, 9]), masks).shape == (2, channels, 17, 9)


RNN = {"num_outputs": 1, "num_subbands": 17}


@pytest.mark.parametrize(
    ("kind", "name", "config", "at", "message"),
    [
        ("estimator", "MaskEstimatorRNN", {"num_outputs": 1}, "num_subbands", "required"),
        (
            "estimator",
            "MaskEstimatorRNN",
            {**RNN, "use_ipd": True},
            "num_input_channels",
            "expected a number where use_ipd is true, but got null",
        ),
        (
            "estimator",
            "MaskEstimatorRNN",
            {**RNN, "mag_reduction": None},
            "num_input_channels",
            "expected a number where mag_reduction is null",
        ),
        (
            "estimator",
            "MaskEstimatorRNN",
            {**RNN, "num_layers": 1, "dropout": 0.5},
            "dropout",
            "expected 0 with a single layer .*, but got 0.5",
        ),
        (
            "mask_processor",
            "MaskReferenceChannel",
            {"mask_min_db": 0},
            "mask_min_db",
            "Lower bound for the mask 0.0dB must be smaller",
        ),
        ("mask_processor", "MaskBasedBeamformer", {"ref_channel": "best"}, "ref_channel", "max_snr or null"),
        ("mask_processor", "MaskBasedBeamformer", {"ref_channel": True}, "ref_channel", "but got true"),
        (
            "mask_processor",
            "MaskBasedBeamformer",
            {"filter_type": "pmwf", "filter_rank": "full"},
            "filter_beta",
            "Rank full is not compatible with beta 0.0",
        ),
        (
            "mask_processor",
            "MaskBasedBeamformer",
            {"filter_beta": 1.0},
            "filter_beta",
            "expected filter_type pmwf",
        ),
        (
            "mask_processor",
            "MaskBasedBeamformer",
            {"postmask_min_db": 3.0},
            "postmask_min_db",
            "Lower bound for the mask 3.0dB",
        ),
    ],
)
def test_refusals_name_the_key(kind: str, name: str, config: dict[str, Any], at: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        component(kind, {"name": name, "config": config})
    assert caught.value.errors()[0]["loc"] == ("config", at)
