"""A WaveNet as the `config` of a `.nam` file, in the oldest spelling that expresses it.

0.5.4 is the spelling of the first files and holds ungated tanh nets only: players with code of their own for
these files take the activation for granted. 0.6.0 has activations, gates, bottlenecks, 1×1s, FiLM, groups
and a condition net; 0.7.0 kernels per layer, head kernels and a post-stack head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.head import PostHead
from nam_like.models.amp.wavenet.layer import FILM_POSITIONS
from nam_like.models.blocks.activations import PairActivation
from nam_like.models.blocks.engine_activation import engine_activation
from nam_like.models.blocks.weights import flat, shortest

if TYPE_CHECKING:
    from nam_like.models.amp.wavenet.model import WaveNet

__all__ = ["spell", "version_of"]


def spell(net: WaveNet) -> dict[str, Any]:
    """The config of a net that the engine can play as it is (see :func:`engine.engine_form`)."""
    newest = net.head is not None or any(_needs_newest(array) for array in net.layer_arrays())
    oldest = (
        not newest and net.condition_dsp is None and all(_is_oldest(array) for array in net.layer_arrays())
    )
    write = _newest_array if newest else _oldest_array if oldest else _middle_array
    config: dict[str, Any] = {
        "layers": [write(array) for array in net.layer_arrays()],
        "head": None if net.head is None else _post_head(net.head),
        "head_scale": shortest(net.head_scale),
    }
    if net.condition_dsp is not None:
        config["condition_dsp"] = _envelope(net.condition_dsp, net.sample_rate)
    return config


def version_of(config: dict[str, Any]) -> str:
    """The oldest file version that has all keys of a config."""
    arrays = config["layers"]
    nested = config.get("condition_dsp")
    versions = ["0.5.4" if nested is None else max("0.6.0", version_of(nested["config"]))]
    if config.get("head") is not None or any("kernel_sizes" in array or "head" in array for array in arrays):
        versions.append("0.7.0")
    if any("gated" not in array for array in arrays):
        versions.append("0.6.0")
    return max(versions)


def _envelope(net: WaveNet, sample_rate: float | None) -> dict[str, Any]:
    """The whole file of a condition's net; its rate must be the outer net's."""
    config = spell(net)
    envelope: dict[str, Any] = {
        "version": version_of(config),
        "metadata": None,
        "architecture": "WaveNet",
        "config": config,
        "weights": [shortest(value) for value in flat(net.file_tensors())],
    }
    if sample_rate is not None:
        envelope["sample_rate"] = sample_rate
    return envelope


def _needs_newest(array: LayerArray) -> bool:
    return array.head_kernel_size > 1 or len(set(array.kernel_sizes)) > 1


def _is_oldest(array: LayerArray) -> bool:
    plain = array.groups_input == array.groups_input_mixin == 1 and array.layer1x1 == 1
    plain = plain and array.head1x1 is None and not array.film and array.bottleneck == array.channels
    return plain and all(type(activation) is nn.Tanh for activation in array.activations)


def _oldest_array(array: LayerArray) -> dict[str, Any]:
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head_size": array.head_size,
        "channels": array.channels,
        "kernel_size": array.kernel_sizes[0],
        "dilations": list(array.dilations),
        "activation": "Tanh",
        "gated": False,
        "head_bias": array.head_bias,
    }


def _middle_array(array: LayerArray) -> dict[str, Any]:
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head_size": array.head_size,
        "head_bias": array.head_bias,
        "channels": array.channels,
        "kernel_size": array.kernel_sizes[0],
        "dilations": list(array.dilations),
        **_rest(array),
    }


def _newest_array(array: LayerArray) -> dict[str, Any]:
    # Every key is written out: the engine's fast path for one particular net compares them all.
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head": {
            "out_channels": array.head_size,
            "kernel_size": array.head_kernel_size,
            "bias": array.head_bias,
        },
        "channels": array.channels,
        "kernel_sizes": list(array.kernel_sizes),
        "dilations": list(array.dilations),
        **_rest(array),
        "slimmable": None,
    }


def _rest(array: LayerArray) -> dict[str, Any]:
    """What 0.6.0 brought."""
    pairs = [activation for activation in array.activations if isinstance(activation, PairActivation)]
    skip = array.head1x1
    rest: dict[str, Any] = {
        "activation": [_primary(activation, array.bottleneck) for activation in array.activations],
        "bottleneck": array.bottleneck,
        "head1x1": {
            "active": skip is not None,
            "out_channels": skip.out_channels if skip else 1,
            "groups": skip.groups if skip else 1,
        },
        "layer1x1": {"active": array.layer1x1 is not None, "groups": array.layer1x1 or 1},
        "groups_input": array.groups_input,
        "groups_input_mixin": array.groups_input_mixin,
    }
    for position in FILM_POSITIONS:
        film = array.film.get(position)
        rest[position] = {
            "active": film is not None,
            "shift": film.shift if film else True,
            "groups": film.groups if film else 1,
        }
    rest["gating_mode"] = [
        activation.gating_mode if activation in pairs else "none" for activation in array.activations
    ]
    rest["secondary_activation"] = [
        engine_activation(activation.secondary, array.bottleneck) if activation in pairs else None
        for activation in array.activations
    ]
    return rest


def _primary(activation: nn.Module, channels: int) -> dict[str, Any] | None:
    if isinstance(activation, PairActivation):
        return engine_activation(activation.primary, channels)
    return engine_activation(activation)


def _post_head(head: PostHead) -> dict[str, Any]:
    activation = engine_activation(head.activation) or {}
    return {
        "channels": head.channels,
        "activation": activation if len(activation) > 1 else activation.get("type"),
        "out_channels": head.out_channels,
        "kernel_sizes": list(head.kernel_sizes),
    }
