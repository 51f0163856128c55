"""WaveNet configs for property tests: every option, small."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from nam_like.models.amp.wavenet import FILM_POSITIONS

PLAIN: list[Any] = [
    "Tanh",
    "ReLU",
    "Softsign",
    "SiLU",
    "Hardswish",
    "Fasttanh",
    "PReLU",
    {"name": "LeakyReLU", "negative_slope": 0.3},
    {"name": "Hardtanh", "min_val": -0.3, "max_val": 0.4},
    {"type": "LeakyHardtanh", "min_val": -0.4, "max_val": 0.2, "min_slope": 0.1, "max_slope": 0.2},
    "ReLU6",
    "Identity",
]


@st.composite
def activations(draw: st.DrawFn) -> Any:
    """A single activation or a pair."""
    single = draw(st.sampled_from(PLAIN))
    pair = draw(st.sampled_from([None, None, "PairMultiply", "PairBlend"]))
    if pair is None:
        return single
    return {"name": pair, "primary": single, "secondary": draw(st.sampled_from(["Sigmoid", "Softsign"]))}


@st.composite
def films(draw: st.DrawFn, head1x1: bool, layer1x1: bool) -> dict[str, Any]:
    """Some of the eight FiLMs, those that have something to modulate."""
    possible = [
        position
        for position in FILM_POSITIONS
        if (head1x1 or not position.startswith("head1x1")) and (layer1x1 or not position.startswith("layer"))
    ]
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=3))
    return {position: {"active": True, "shift": draw(st.booleans())} for position in chosen}


@st.composite
def arrays(draw: st.DrawFn, input_size: int, skip_size: int | None, head_size: int) -> dict[str, Any]:
    """A layer array whose skip path has `skip_size` channels (None: any)."""
    count = draw(st.integers(1, 3))
    channels = draw(st.sampled_from([2, 4]))
    layer1x1 = draw(st.sampled_from([True, True, False]))
    bottleneck = channels if not layer1x1 else draw(st.sampled_from([2, 4, 6]))
    head1x1 = (skip_size is not None and skip_size != bottleneck) or draw(st.booleans())
    condition_size = draw(st.sampled_from([0, 1, 1, 1]))
    per_layer = draw(st.booleans())
    array: dict[str, Any] = {
        "input_size": input_size,
        "condition_size": condition_size,
        "channels": channels,
        "bottleneck": bottleneck,
        "dilations": draw(st.lists(st.integers(1, 5), min_size=count, max_size=count)),
        "kernel_size": (
            draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
            if per_layer
            else draw(st.integers(1, 3))
        ),
        "activation": (
            draw(st.lists(activations(), min_size=count, max_size=count))
            if per_layer
            else draw(activations())
        ),
        "head": {
            "out_channels": head_size,
            "kernel_size": draw(st.sampled_from([1, 1, 3])),
            "bias": draw(st.booleans()),
        },
        "layer_1x1_config": {"active": layer1x1, "groups": draw(st.sampled_from([1, 2]))},
        "groups_input": draw(st.sampled_from([1, 2])),
    }
    if head1x1:
        out = skip_size or draw(st.sampled_from([1, 3, 4]))
        array["head_1x1_config"] = {"active": True, "out_channels": out, "groups": 1}
    if condition_size:
        array["film_params"] = draw(films(head1x1, layer1x1))
    return array


@st.composite
def wavenet_configs(draw: st.DrawFn) -> dict[str, Any]:
    """A valid WaveNet config."""
    post_head = draw(st.booleans())
    last_head = draw(st.sampled_from([1, 2])) if post_head else 1
    stack = []
    if draw(st.booleans()):
        middle = draw(st.sampled_from([1, 2, 3]))
        stack.append(draw(arrays(1, None, middle)))
        stack.append(draw(arrays(stack[0]["channels"], middle, last_head)))
    else:
        stack.append(draw(arrays(1, None, last_head)))
    config: dict[str, Any] = {"layers_configs": stack, "head_scale": draw(st.sampled_from([0.5, 1.0, -0.7]))}
    if post_head:
        config["head"] = {
            "channels": draw(st.integers(1, 3)),
            "activation": draw(st.sampled_from([item for item in PLAIN if item != "Identity"])),
            "out_channels": 1,
            "kernel_sizes": draw(st.lists(st.integers(1, 3), min_size=1, max_size=2)),
        }
    return config


def is_tight(config: dict[str, Any]) -> bool:
    """Whether the receptive field of such a net is the smallest possible one, and gradients show it."""
    stack = config["layers_configs"]
    if any(f'"{flat}"' in json.dumps(config) for flat in ("ReLU", "ReLU6", "Hardtanh")):
        return False
    residual = all(array["layer_1x1_config"]["active"] for array in stack)
    return residual and all(array["head"]["kernel_size"] == 1 for array in stack[:-1])
