"""Checkpoint files: written whole or not at all, made of plain types, read without executing anything."""

from __future__ import annotations

import enum
import logging
import pickle
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor, nn

from nam_like.config.component import component
from nam_like.errors import UserError
from nam_like.files import atomic_path
from nam_like.registry import NETS

__all__ = [
    "RECORD",
    "CheckpointError",
    "SafeCheckpointIO",
    "load_checkpoint",
    "load_net_weights",
    "net_from_checkpoint",
    "plain",
]

log = logging.getLogger(__name__)

#: Key of our part of a checkpoint.
RECORD = "nam_like"

_PLAIN = (str, bytes, bool, int, float, complex, type(None), Tensor, torch.dtype, torch.device)


class CheckpointError(UserError):
    """A checkpoint that is missing, broken, not ours, or of another net."""


def plain(value: Any, where: str = "checkpoint") -> Any:  # noqa: PLR0911 - one line per type
    """Make a value of plain types only, which is what ``torch.load(weights_only=True)`` reads.

    NumPy numbers become numbers, arrays tensors, enumerations their values, paths strings. What remains is
    left out (None in its place) with a warning.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Counter):
        return Counter({key: int(count) for key, count in value.items()})
    if isinstance(value, dict):
        items = ((plain(key, where), plain(item, f"{where}.{key}")) for key, item in value.items())
        return OrderedDict(items) if isinstance(value, OrderedDict) else dict(items)
    if isinstance(value, list | tuple | set):
        made = [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return tuple(made) if isinstance(value, tuple) else set(made) if isinstance(value, set) else made
    if isinstance(value, _PLAIN):
        return value.detach() if isinstance(value, Tensor) else value
    log.warning("%s is a %s, which a checkpoint cannot hold; it is left out", where, type(value).__name__)
    return None


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's way to the disk: atomic, plain types only, nothing executed on the way back."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint whole or not at all."""
        if storage_options is not None:
            raise TypeError("SafeCheckpointIO takes no storage_options")
        with atomic_path(path) as temporary:
            torch.save(plain(checkpoint), temporary)

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint; `weights_only` is always on."""
        return load_checkpoint(path)


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without executing code from it.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it holds more than plain types.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"expected a checkpoint, but there is no file '{file}'")
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"'{file}' holds more than plain data and is not loaded: {reason}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"'{file}' is no checkpoint or is damaged: {error}") from error
    if not isinstance(loaded, dict) or "state_dict" not in loaded:
        raise CheckpointError(f"expected '{file}' to be a checkpoint with a state_dict, but got none")
    return loaded


def load_net_weights(net: nn.Module, path: Path | str) -> dict[str, Any]:
    """Read a net's weights from a checkpoint and return the checkpoint.

    Raises:
        CheckpointError: the file cannot be read, or it is of a net with other weights.
    """
    checkpoint = load_checkpoint(path)
    weights = {
        # The second spelling is what other trainers of the field write.
        key.removeprefix("net.").removeprefix("_net."): value
        for key, value in checkpoint["state_dict"].items()
        if key.startswith(("net.", "_net."))
    }
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"'{path}' does not fit the net of model.json: {error}") from error
    return checkpoint


def net_from_checkpoint(path: Path | str) -> nn.Module:
    """Build the net that a checkpoint of ours holds, with its weights.

    Only registered names are honoured: a checkpoint never imports anything.

    Raises:
        CheckpointError: the file is not ours, or its net is not registered here.
    """
    record = load_checkpoint(path).get(RECORD)
    spec = record.get("configs", {}).get("model", {}).get("net") if isinstance(record, dict) else None
    if not isinstance(spec, dict) or "name" not in spec:
        raise CheckpointError(f"expected '{path}' to carry the config of its net, but got none")
    if spec["name"] not in NETS:
        raise CheckpointError(
            f"expected the net of '{path}' to be registered, but '{spec['name']}' is not; "
            "load the extension it is from"
        )
    net: Any = component("net", spec).build()
    load_net_weights(net, path)
    rate = record.get("sample_rate") if isinstance(record, dict) else None
    if rate is not None:
        net.sample_rate = float(rate)
    built: nn.Module = net.eval()
    return built
