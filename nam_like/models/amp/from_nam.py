"""Nets from `.nam` files: any WaveNet, LSTM, ConvNet or Linear of versions 0.5.0 to 0.7.0, ready to train on.

A net that is read plays as the realtime engine plays the file, also where that differs from what the file
seems to say: limits of a Hardtanh and parameters of a ConvNet's activation are ignored, and so is a FiLM
after the residual 1×1 in layers that do not blend (where other layers of the array do, it is set to do
nothing, for good). A slimmable WaveNet is read at its full width; containers hold several nets and are
refused.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nam_like.errors import NamFileError
from nam_like.models.amp.convnet import ConvNet
from nam_like.models.amp.linear import Linear
from nam_like.models.amp.lstm import LSTM
from nam_like.models.amp.wavenet import WaveNet
from nam_like.models.amp.wavenet.layer import Layer
from nam_like.models.base import Net
from nam_like.models.blocks.activations import PairBlend

__all__ = ["init_from_nam", "net_config_from_nam"]

Json = dict[str, Any]
_FILM = "layer1x1_post_film"


def init_from_nam(source: str | Path | Json) -> Net:
    """Make a net that plays as a `.nam` file.

    Args:
        source: the file, or its content.

    Returns:
        A net in training mode; written out again, it has the same weights.

    Raises:
        NamFileError: not a `.nam` file, or one of an unknown version or architecture, or with a wrong number
            of weights.
    """
    envelope = _read(source) if isinstance(source, str | Path) else source
    name, config = net_config_from_nam(envelope)
    weights = envelope["weights"]
    if name == "WaveNet":
        return _wavenet(config, weights)
    net = _build({"LSTM": LSTM, "ConvNet": ConvNet, "Linear": Linear}[name], config)
    net.import_weights(weights)
    return net


def net_config_from_nam(envelope: Json) -> tuple[str, Json]:
    """The architecture of a `.nam` file and the config that builds its net, without the weights.

    Slopes of a PReLU, which a file holds in its config, are in the config here, too.

    Args:
        envelope: content of the file.

    Raises:
        NamFileError: a key is missing, or the version or architecture is unknown.
    """
    for key in ("version", "architecture", "config", "weights"):
        if key not in envelope:
            raise NamFileError(f"expected the file to have '{key}', but got the keys {', '.join(envelope)}")
    version = str(envelope["version"])
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None or not (0, 5) <= (int(match[1]), int(match[2])) <= (0, 7):
        raise NamFileError(f"expected a file version from 0.5.0 to 0.7.0, but got {version}")
    name = str(envelope["architecture"])
    if name not in _CONFIGS:
        hint = "; take one of its submodels" if name == "SlimmableContainer" else ""
        raise NamFileError(f"expected the architecture {', '.join(_CONFIGS)}, but got {name}{hint}")
    config = _CONFIGS[name](envelope["config"])
    if envelope.get("sample_rate") is not None:
        config["sample_rate"] = envelope["sample_rate"]
    return name, config


def _read(path: str | Path) -> Json:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NamFileError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise NamFileError(f"{path}: expected a .nam file (JSON), but {error}") from error
    if not isinstance(content, dict):
        raise NamFileError(f"{path}: expected a JSON object, but got {type(content).__name__}")
    return content


def _build(kind: type[Net], config: Json) -> Net:
    try:
        return kind.init_from_config(config)
    except ValidationError as error:
        lines = [
            f"config.{'.'.join(map(str, line['loc']))} — {line['msg']}"
            for line in error.errors(include_url=False)
        ]
        raise NamFileError(f"cannot read the {kind.__name__}: {'; '.join(lines)}") from error


# -- WaveNet ---------------------------------------------------------------------------------------------


def _wavenet(config: Json, weights: Any) -> Net:
    """Read the weights as the file has them, then leave out the FiLMs that the engine leaves out."""
    stored = _build(WaveNet, config)
    stored.import_weights(weights)
    heard, changed = _without_dropped_films(config)
    net = stored
    if changed:
        net = _build(WaveNet, heard)
        own = net.state_dict()
        net.load_state_dict({key: value for key, value in stored.state_dict().items() if key in own})
    for layer in (module for module in net.modules() if isinstance(module, Layer)):
        if _FILM in layer.film and not isinstance(layer.activation, PairBlend):
            layer.film_at(_FILM).neutralise()
    return net


def _without_dropped_films(config: Json) -> tuple[Json, bool]:
    """The config without the FiLMs that the engine ignores, and whether there were any."""
    heard, changed = copy.deepcopy(config), False
    for layer in heard["layers"]:
        modes = layer.get("gating_mode", "none")
        modes = modes if isinstance(modes, list) else [modes]
        film = layer.get(_FILM)
        if isinstance(film, dict) and film.get("active", True) and "blended" not in modes:
            layer[_FILM], changed = None, True
    nested = heard.get("condition_dsp")
    if nested is not None:
        nested.pop("weights", None)  # they fit the config as it stands in the file
        nested["config"], inner = _without_dropped_films(nested["config"])
        changed = changed or inner
    return heard, changed


def _wavenet_config(config: Json) -> Json:
    known = ("layers", "head", "head_scale", "condition_dsp", "in_channels")
    made = {key: copy.deepcopy(config[key]) for key in known if config.get(key) is not None}
    if not isinstance(made.get("layers"), list):
        raise NamFileError("expected the config of a WaveNet to have a list of 'layers', but got none")
    made["layers"] = [_array_config(array) for array in made["layers"]]
    if "head" in made:
        made["head"]["activation"] = _activation(made["head"]["activation"])
    nested = made.get("condition_dsp")
    if nested is not None:
        name, inner = net_config_from_nam(nested)
        if name != "WaveNet":
            raise NamFileError(f"expected condition_dsp to be a WaveNet, but got {name}")
        inner.pop("sample_rate", None)
        made["condition_dsp"] = {"name": name, "config": inner, "weights": nested["weights"]}
    return made


_ARRAY_KEYS = frozenset(
    [
        "input_size",
        "condition_size",
        "channels",
        "dilations",
        "kernel_size",
        "kernel_sizes",
        "activation",
        "gated",
        "gating_mode",
        "secondary_activation",
        "head",
        "head_size",
        "head_bias",
        "bottleneck",
        "head1x1",
        "layer1x1",
        "groups_input",
        "groups_input_mixin",
        "conv_pre_film",
        "conv_post_film",
        "input_mixin_pre_film",
        "input_mixin_post_film",
        "activation_pre_film",
        "activation_post_film",
        "layer1x1_post_film",
        "head1x1_post_film",
    ]
)


def _array_config(array: Json) -> Json:
    """One layer array in the spelling that our config reads, without keys that the engine does not know."""
    made = {key: value for key, value in array.items() if key in _ARRAY_KEYS and value is not None}
    if "head" in made:
        made.pop("head_size", None)
        made.pop("head_bias", None)
        if made["head"].pop("head_dilation", 1) != 1:
            raise NamFileError("a head_dilation other than 1 cannot be trained on")
    if "gating_mode" in made:
        made.pop("gated", None)
        if made["gating_mode"] == "none":
            made.pop("secondary_activation", None)
    else:
        made.pop("secondary_activation", None)
    for key in ("activation", "secondary_activation"):
        if key in made:
            made[key] = _each(_activation, made[key])
    return made


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    return [function(item) for item in value] if isinstance(value, list) else function(value)


def _activation(value: Any) -> Any:
    """An activation with the parameters and defaults of the engine (0.01 for a PReLU's slope)."""
    if value is None:
        return None
    made = {"type": value} if isinstance(value, str) else dict(value)
    if made.get("type") == "PReLU" and not {"negative_slope", "negative_slopes"} & made.keys():
        made["negative_slope"] = 0.01
    parameters = _PARAMETERS.get(str(made.get("type")), ())
    return {key: item for key, item in made.items() if key == "type" or key in parameters}


_LIMITS = ("min_val", "max_val", "min_slope", "max_slope")
_PARAMETERS = {
    "LeakyReLU": ("negative_slope",),
    "PReLU": ("negative_slope", "negative_slopes"),
    "LeakyHardtanh": _LIMITS,
    "LeakyHardTanh": _LIMITS,
}


# -- the others ------------------------------------------------------------------------------------------


def _lstm_config(config: Json) -> Json:
    made: Json = {key: config[key] for key in ("input_size", "hidden_size", "num_layers") if key in config}
    made["export_silence"] = 0.0
    return made


def _convnet_config(config: Json) -> Json:
    if config.get("groups", 1) != 1:
        raise NamFileError(f"expected a ConvNet without groups, but got {config['groups']}")
    made: Json = {key: config[key] for key in ("channels", "dilations", "batchnorm") if key in config}
    activation = config.get("activation", "Tanh")
    name = activation if isinstance(activation, str) else activation.get("type")
    made["activation"] = _CONVNET_ACTIVATIONS.get(name, name)
    return made


#: The engine knows the name only; a PReLU without slopes is a leaky ReLU.
_CONVNET_ACTIVATIONS = {"PReLU": "LeakyReLU"}


def _linear_config(config: Json) -> Json:
    return {key: config[key] for key in ("receptive_field", "bias") if key in config}


_CONFIGS: dict[str, Callable[[Json], Json]] = {
    "WaveNet": _wavenet_config,
    "LSTM": _lstm_config,
    "ConvNet": _convnet_config,
    "Linear": _linear_config,
}
