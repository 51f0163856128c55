"""WaveNet configs: all spellings mean the same net, and every mistake is named at its key."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from harness.net_contract import noise, randomise
from pydantic import ValidationError

from nam_like.models.amp.wavenet import WaveNet, WaveNetConfig
from nam_like.models.amp.wavenet.spelling import spell

ARRAY: dict[str, Any] = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 4,
    "kernel_size": 3,
    "dilations": [1, 2],
    "activation": "Tanh",
    "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
}
FIRST = {**ARRAY, "head": {"out_channels": 2, "kernel_size": 1, "bias": False}}
SECOND = {**ARRAY, "input_size": 4, "channels": 2}


def without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def plays_alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    nets = [randomise(WaveNet.init_from_config(config)).eval() for config in (one, other)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = noise(2, 300)
    with torch.no_grad():
        return torch.equal(nets[0](x), nets[1](x))


def problems(config: dict[str, Any]) -> dict[str, str]:
    """Dotted path → message."""
    with pytest.raises(ValidationError) as caught:
        WaveNetConfig.model_validate(config)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


def problem(**changes: Any) -> dict[str, str]:
    return problems({"layers_configs": [{**ARRAY, **changes}]})


PAIR = {"name": "PairMultiply", "primary": "ReLU", "secondary": "Sigmoid"}
BLEND = {"name": "PairBlend", "primary": "Tanh", "secondary": {"name": "LeakyReLU", "negative_slope": 0.1}}


@pytest.mark.parametrize(
    ("now", "other"),
    [
        (ARRAY, {**without(ARRAY, "head"), "head_size": 1, "head_bias": True}),
        (ARRAY, {**ARRAY, "gated": False}),
        (ARRAY, without(ARRAY, "input_size", "condition_size")),
        (ARRAY, {**without(ARRAY, "kernel_size"), "kernel_sizes": [3, 3]}),
        (ARRAY, {**ARRAY, "activation": ["Tanh", {"name": "Tanh"}], "bottleneck": 4, "kernel_size": [3, 3]}),
        ({**ARRAY, "activation": PAIR}, {**ARRAY, "activation": "ReLU", "gated": True}),
        ({**ARRAY, "activation": PAIR}, {**ARRAY, "activation": {"type": "ReLU"}, "gating_mode": "gated"}),
        (
            {**ARRAY, "activation": [PAIR, BLEND]},
            {
                **ARRAY,
                "activation": ["ReLU", "Tanh"],
                "gating_mode": ["gated", "blended"],
                "secondary_activation": ["Sigmoid", {"type": "LeakyReLU", "negative_slope": 0.1}],
            },
        ),
        (
            {
                **ARRAY,
                "head_1x1_config": {"active": True, "out_channels": 3},
                "layer_1x1_config": {"groups": 2},
            },
            {
                **ARRAY,
                "head1x1": {"active": True, "out_channels": 3, "groups": 1},
                "layer1x1": {"active": True, "groups": 2},
            },
        ),
        (
            {**ARRAY, "film_params": {"conv_pre_film": {"active": True, "shift": False}}},
            {**ARRAY, "conv_pre_film": {"shift": False}, "conv_post_film": False},
        ),
    ],
)
def test_spellings_of_an_array(now: dict[str, Any], other: dict[str, Any]) -> None:
    assert plays_alike({"layers_configs": [now]}, {"layers": [other]})


def test_spellings_of_the_head() -> None:
    last = {**ARRAY, "head": {"out_channels": 2}}
    now = {"channels": 3, "activation": "ReLU", "kernel_sizes": [1, 1], "out_channels": 1}
    old = {"in_channels": 2, "channels": 3, "activation": "ReLU", "num_layers": 2, "out_channels": 1}
    assert plays_alike(
        {"layers_configs": [last], "head": now}, {"layers_configs": [last], "head_config": old}
    )


def test_what_is_exported_can_be_trained_on() -> None:
    config = {
        "layers_configs": [{**FIRST, "activation": [PAIR, "PReLU"], "bottleneck": 6}, SECOND],
        "head_scale": 0.3,
    }
    exported = json.loads(json.dumps(spell(WaveNet.init_from_config(config))))
    assert plays_alike(config, exported)


def test_notes_are_allowed_everywhere() -> None:
    noted = {**ARRAY, "_notes": "x", "head": {**ARRAY["head"], "_comment": []}}
    assert plays_alike({"layers_configs": [ARRAY]}, {"layers_configs": [noted], "_notes": 1})


def test_a_gate_multiplies() -> None:
    """Against the formula: tanh(filter) · sigmoid(gate)."""
    net = randomise(
        WaveNet.init_from_config({"layers_configs": [{**ARRAY, "dilations": [1], "gated": True}]})
    )
    array = net.layer_arrays()[0]
    layer = array.stack[0]
    x = noise(1, 1, 9)
    inner = array.rechannel(x)
    z = layer.conv(inner) + layer.mixer(x[..., 2:])
    a = torch.tanh(z[:, :4]) * torch.sigmoid(z[:, 4:])
    torch.testing.assert_close(net(x[:, 0], pad_start=False), array.head_rechannel(a)[:, 0])


def test_no_condition_means_none() -> None:
    net = WaveNet.init_from_config({"layers_configs": [{**ARRAY, "condition_size": 0}]})
    assert all(layer.mixer is None for layer in net.layer_arrays()[0].stack)


def test_a_condition_net_starts_from_given_weights() -> None:
    inner = {"layers_configs": [{**ARRAY, "head": {"out_channels": 3}}]}
    outer = {**ARRAY, "condition_size": 3}
    net = WaveNet.init_from_config(
        {"layers_configs": [outer], "condition_dsp": {"name": "WaveNet", "config": inner}}
    )
    weights = randomise(net.condition_dsp).export_weights().tolist()
    again = WaveNet.init_from_config(
        {
            "layers_configs": [outer],
            "condition_dsp": {"architecture": "WaveNet", "config": inner, "weights": weights},
        }
    )
    assert again.condition_dsp.export_weights().tolist() == weights


# -- mistakes --------------------------------------------------------------------------------------------


def test_unknown_keys() -> None:
    assert "layers_configs.0.gaated" in problem(gaated=True)


def test_widths_between_arrays() -> None:
    found = problems({"layers_configs": [FIRST, {**SECOND, "input_size": 3}]})
    assert found == {"layers_configs.1.input_size": "expected 4 (the channels of array 0), but got 3"}
    found = problems({"layers": [FIRST, {**SECOND, "channels": 5}]})
    assert found == {
        "layers.1.channels": "expected 2 channels on the skip path (the head output of array 0), but got 5"
    }
    found = problems({"layers": [FIRST, {**SECOND, "bottleneck": 3}]})
    assert list(found) == ["layers.1.bottleneck"]
    skip = {"active": True, "out_channels": 7}
    assert list(problems({"layers": [FIRST, {**SECOND, "head1x1": skip}]})) == [
        "layers.1.head1x1.out_channels"
    ]
    assert list(problem(input_size=2)) == ["layers_configs.0.input_size"]
    assert list(problem(condition_size=2)) == ["layers_configs.0.condition_size"]


def test_the_output_is_mono() -> None:
    found = problem(head={"out_channels": 2})
    assert found == {"layers_configs.0.head.out_channels": "expected 1 output channel, but got 2"}
    assert list(problem(head=None, head_size=2)) == ["layers_configs.0.head_size"]
    head = {"channels": 2, "activation": "Tanh", "kernel_sizes": [1], "out_channels": 3}
    assert list(problems({"layers_configs": [ARRAY], "head": head})) == ["head.out_channels"]


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"kernel_size": [3]}, "kernel_size"),
        ({"kernel_size": None, "kernel_sizes": [3, 3, 3]}, "kernel_sizes"),
        ({"activation": ["Tanh"]}, "activation"),
        ({"gating_mode": ["gated"]}, "gating_mode"),
        ({"gating_mode": "gated", "secondary_activation": ["Sigmoid"]}, "secondary_activation"),
        ({"gating_mode": "gated", "secondary_activation": [None, "Sigmoid"]}, "secondary_activation"),
        ({"secondary_activation": "Sigmoid"}, "secondary_activation"),
        ({"gated": True, "activation": PAIR}, "gated"),
        ({"gated": True, "gating_mode": "none"}, "gating_mode"),
        ({"gating_mode": "gate"}, "gating_mode"),
        ({"gating_mode": ["none", 3]}, "gating_mode.1"),
        ({"kernel_sizes": 3}, "kernel_sizes"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": [3, True]}, "kernel_size.1"),
        ({"dilations": [1, -2]}, "dilations.1"),
        ({"dilations": []}, "dilations"),
        ({"channels": "4"}, "channels"),
        ({"channels": True}, "channels"),
        ({"head_size": 1}, "head_size"),
        ({"head": None}, ""),
        ({"head": None, "head_bias": True}, "head_bias"),
        ({"kernel_size": None}, ""),
        ({"layer_1x1_config": {"active": False}, "bottleneck": 2}, "bottleneck"),
        ({"layer1x1": {"active": False}, "layer1x1_post_film": {}}, "layer1x1_post_film"),
        ({"film_params": {"head1x1_post_film": {}}}, "film_params.head1x1_post_film"),
        ({"film_params": {}, "conv_pre_film": {}}, "conv_pre_film"),
        ({"groups_input": 3}, "groups_input"),
        ({"groups_input_mixin": 2}, "groups_input_mixin"),
        ({"layer_1x1_config": {"groups": 3}}, "layer_1x1_config.groups"),
        ({"head1x1": {"active": True, "out_channels": 3, "groups": 2}}, "head1x1.groups"),
        ({"conv_pre_film": {"groups": 2}}, "conv_pre_film.groups"),
        ({"condition_size": 0, "conv_pre_film": {}}, "conv_pre_film"),
        ({"activation": {"name": "PReLU", "num_parameters": 3}}, "activation"),
        ({"activation": ["Tanh", {"name": "PReLU", "num_parameters": 3}]}, "activation.1"),
        ({"slimmable": {"method": "slice_channels_uniform"}}, "slimmable"),
    ],
    ids=str,
)
def test_mistakes_are_named_at_their_key(changes: dict[str, Any], at: str) -> None:
    found = problem(**changes)
    assert set(found) == {f"layers_configs.0.{at}".rstrip(".")}
    assert all(text.startswith(("expected", "Input should", "List should")) for text in found.values())


@pytest.mark.parametrize(
    "changes", [{"film_params": {"conv_pre_film": True}}, {"conv_pre_film": True}], ids=str
)
def test_a_film_is_an_object_false_or_null(changes: dict[str, Any]) -> None:
    assert list(problem(**changes).values()) == ["expected an object, false or null, but got true"]


def test_mistakes_of_the_whole() -> None:
    assert "expected `layers_configs`, but got none" in problems({})[""]
    assert list(problems({"layers_configs": [ARRAY], "layers": [ARRAY]})) == ["layers"]
    head = {"channels": 2, "activation": "Tanh", "kernel_sizes": [1]}
    both = {"layers_configs": [ARRAY], "head": head, "head_config": head}
    assert list(problems(both)) == ["head_config"]
    for changes, at in [
        ({"in_channels": 3}, "head.in_channels"),
        ({"num_layers": 1}, "head.num_layers"),
        ({"kernel_sizes": None}, "head"),
        ({"activation": "PairBlend"}, "head.activation"),
        ({"activation": {"name": "PReLU", "num_parameters": 2}}, "head.activation"),
    ]:
        assert list(problems({"layers_configs": [ARRAY], "head": {**head, **changes}})) == [at]


def test_mistakes_in_the_condition_net() -> None:
    inner = {"layers_configs": [{**ARRAY, "head": {"out_channels": 3}}]}
    good: dict[str, Any] = {
        "layers_configs": [{**ARRAY, "condition_size": 3}],
        "condition_dsp": {"name": "WaveNet", "config": inner},
    }
    WaveNetConfig.model_validate(good)
    bad = copy.deepcopy(good)
    bad["layers_configs"][0]["condition_size"] = 2
    assert problems(bad) == {
        "layers_configs.0.condition_size": (
            "expected 3 (the channels of condition_dsp) or 0 (no condition), but got 2"
        )
    }
    bad = copy.deepcopy(good)
    bad["condition_dsp"]["name"] = "LSTM"
    assert list(problems(bad)) == ["condition_dsp.name"]
    bad = copy.deepcopy(good)
    bad["condition_dsp"]["config"]["layers_configs"][0]["input_size"] = 2
    assert list(problems(bad)) == ["condition_dsp.config.layers_configs.0.input_size"]
    bad = {**copy.deepcopy(good), "sample_rate": 48_000}
    bad["condition_dsp"]["sample_rate"] = 44_100
    assert list(problems(bad)) == ["condition_dsp.sample_rate"]


def test_arrays_check_their_widths_themselves() -> None:
    """Also where they are put together in Python."""
    first = WaveNet.init_from_config({"layers_configs": [ARRAY]}).layer_arrays()[0]
    with pytest.raises(
        ValueError, match=r"expected `input_size` of array 1 to be 4 \(the channels of array 0\)"
    ):
        WaveNet([first, first])
    with pytest.raises(ValueError, match="expected at least one layer array"):
        WaveNet([])
