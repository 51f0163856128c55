"""From a `.nam` file to a model that plays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nam_like.errors import NamFileError
from nam_like.export.nam_read.container import build_container
from nam_like.export.nam_read.convnet import build_convnet
from nam_like.export.nam_read.envelope import Envelope, parse_envelope, read_envelope
from nam_like.export.nam_read.linear import build_linear
from nam_like.export.nam_read.lstm import build_lstm
from nam_like.export.nam_read.network import Network
from nam_like.export.nam_read.player import NamModel
from nam_like.export.nam_read.wavenet import build_wavenet

__all__ = ["ARCHITECTURES", "load_nam"]

_FIXED = {"ConvNet": build_convnet, "LSTM": build_lstm, "Linear": build_linear}
ARCHITECTURES: tuple[str, ...] = (*sorted(_FIXED), "SlimmableContainer", "WaveNet")


def load_nam(source: str | Path | Mapping[str, Any], *, slim: float | None = None) -> NamModel:
    """Load a `.nam` file, or the object that such a file holds. No code of the file is ever run.

    Args:
        source: path, or the parsed JSON object (`weights` may be a NumPy array), or an `Envelope`.
        slim: size knob from 0 to 1 of containers and slimmable WaveNets; None plays the full size.

    Raises:
        NamFileError: the realtime engine would refuse the file, crash on it or play it from undefined
            memory; or `slim` is out of range or the model has one size only.
    """
    if slim is not None and not (math.isfinite(slim) and 0.0 <= slim <= 1.0):
        raise NamFileError(f"expected `slim` to be from 0 to 1, but got {slim}")
    if isinstance(source, Envelope):
        return _load(source, slim)
    if isinstance(source, Mapping):
        return _load(parse_envelope(source), slim)
    envelope = read_envelope(source)
    try:
        return _load(envelope, slim)
    except NamFileError as error:
        raise NamFileError(f"{source}: {error}") from None


def _load(envelope: Envelope, slim: float | None) -> NamModel:
    try:
        network = _build(envelope, "", slim)
    except RecursionError:
        raise NamFileError("models are nested too deeply in each other") from None
    if network.out_channels != 1:
        raise NamFileError(f"expected the model to have one output channel, but got {network.out_channels}")
    return NamModel(envelope, network, slim)


def _build(envelope: Envelope, prefix: str, slim: float | None) -> Network:
    name = envelope.architecture
    if name == "WaveNet":
        return build_wavenet(envelope, _build, prefix, slim)
    if name == "SlimmableContainer":
        return build_container(envelope, _build, prefix, slim)
    if name not in _FIXED:
        raise NamFileError(
            f"unknown architecture: expected one of {', '.join(ARCHITECTURES)}, but got {name!r}"
        )
    if slim is not None:
        raise NamFileError(f"expected a slimmable model for `slim`, but a {name} has one size only")
    return _FIXED[name](envelope, prefix)
