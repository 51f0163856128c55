"""The nets that are benchmarked, by name, each as a ``model.json`` that both trainers can be given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nam_like.config import jsonc
from nam_like.presets import configs_dir

Json = dict[str, Any]

LEARNING_RATE = 0.004

#: The dilated convolutions of the 23 layers of A2.
A2_KERNEL_SIZES = [6] * 14 + [15, 15] + [6] * 7
A2_DILATIONS = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]


@dataclass(frozen=True)
class Case:
    """A net and the batch that it is trained on.

    Attributes:
        name: what it is called on the command line.
        model: its ``model.json``: net, loss, optimizer.
        batch: items per batch.
        ny: target samples per item.
    """

    name: str
    model: Json
    batch: int
    ny: int


def a2_net(channels: int) -> Json:
    """A2 as a plain WaveNet: one array, a head convolution of 16 taps."""
    layers = {
        "input_size": 1,
        "condition_size": 1,
        "channels": channels,
        "kernel_sizes": A2_KERNEL_SIZES,
        "dilations": A2_DILATIONS,
        "activation": {"name": "LeakyReLU", "negative_slope": 0.01},
        "head": {"out_channels": 1, "kernel_size": 16, "bias": True},
    }
    return {"name": "WaveNet", "config": {"layers_configs": [layers], "head_scale": 0.01}}


def a2_model(channels: int) -> Json:
    """A2 with the loss of A1."""
    return {**preset_model("a1_standard"), "net": a2_net(channels)}


def lstm_model(layers: int, hidden: int) -> Json:
    """An LSTM with burn-in and truncation, and the loss of its preset."""
    config = {"num_layers": layers, "hidden_size": hidden, "train_burn_in": 4096, "train_truncate": 512}
    return {**preset_model("lstm_2x16"), "net": {"name": "LSTM", "config": config}}


def linear_model(taps: int) -> Json:
    """An FIR filter."""
    net = {"name": "Linear", "config": {"receptive_field": taps, "bias": False}}
    return {**preset_model("a1_standard"), "net": net}


def preset_model(name: str) -> Json:
    """The ``model.json`` of a preset."""
    loaded: Json = jsonc.loads(jsonc.read_text(configs_dir() / "model" / "amp" / f"{name}.json"))
    return loaded


MODELS = {
    "a1": lambda: preset_model("a1_standard"),
    "a1-nano": lambda: preset_model("a1_nano"),
    "a2-full": lambda: a2_model(8),
    "a2-lite": lambda: a2_model(3),
    "lstm": lambda: lstm_model(2, 16),
    "lstm-1x8": lambda: lstm_model(1, 8),
    "lstm-3x18": lambda: lstm_model(3, 18),
    "convnet": lambda: preset_model("convnet"),
    "linear": lambda: linear_model(4096),
}

MSE = {"terms": {"mse": {"name": "MSE", "weight": 1.0}}, "val_loss": "mse"}


def make_case(name: str, loss: str = "mse", batch: int = 16, ny: int | None = None) -> Case:
    """The net called `name`, with Adam and no schedule.

    Args:
        name: a key of :data:`MODELS`.
        loss: ``"mse"``, or ``"preset"`` for the loss of the net's preset.
        batch: items per batch.
        ny: target samples per item; None takes 8192, or 32768 for an LSTM.
    """
    full = MODELS[name]()
    is_lstm = full["net"]["name"] == "LSTM"
    # The peer reads `mask_first` and ignores it, so it is left out for both.
    preset_loss = {key: value for key, value in full["loss"].items() if key != "mask_first"}
    model = {
        "net": full["net"],
        "loss": MSE if loss == "mse" else preset_loss,
        "optimizer": {"name": "Adam", "config": {"lr": LEARNING_RATE}},
        "lr_scheduler": None,
    }
    return Case(name, model, batch, ny or (32_768 if is_lstm else 8_192))


def peer_model(model: Json) -> Json:
    """Our ``model.json`` as the peer spells it: flat loss keys, flat Adam, ``class``/``kwargs`` scheduler.

    Raises:
        ValueError: the peer cannot express it.
    """
    if model["optimizer"]["name"] != "Adam":
        raise ValueError(f"expected Adam, the peer's only optimizer, but got {model['optimizer']['name']}")
    scheduler = model["lr_scheduler"]
    return {
        "net": {"name": model["net"]["name"], "config": without_comments(model["net"]["config"])},
        "loss": peer_loss(model["loss"]),
        "optimizer": model["optimizer"]["config"],
        "lr_scheduler": scheduler and {"class": scheduler["name"], "kwargs": scheduler["config"]},
    }


def peer_loss(loss: Json) -> Json:
    """Our loss in the peer's flat keys; its plain MSE always has the weight 1."""
    flat: Json = {"val_loss": loss.get("val_loss", "mse")}
    plain_mse = False
    for term in loss["terms"].values():
        coefficient = term.get("config", {}).get("pre_emphasis")
        kind = (term["name"], coefficient is not None)
        if kind == ("MSE", False) and term["weight"] == 1.0 and not plain_mse:
            plain_mse = True
            continue
        prefixes = {
            ("MSE", True): "pre_emph",
            ("MRSTFT", False): "mrstft",
            ("MRSTFT", True): "pre_emph_mrstft",
        }
        if kind not in prefixes or f"{prefixes[kind]}_weight" in flat:
            raise ValueError(f"expected a loss that the peer has, too, but got the term {term}")
        flat[f"{prefixes[kind]}_weight"] = term["weight"]
        if coefficient is not None:
            flat[f"{prefixes[kind]}_coef"] = coefficient
    if not plain_mse:
        raise ValueError("expected a loss with an MSE of weight 1, which the peer always adds, but got none")
    return flat


def without_comments(config: Json) -> Json:
    """A config without keys that start with an underscore."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def read_model(path: Path) -> Json:
    """A ``model.json`` with comments."""
    loaded: Json = jsonc.loads(jsonc.read_text(path))
    return loaded


def amount(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent where it is of ordinary size."""
    if value == 0.0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
