"""Writing `.nam` files for the realtime plugins, and proving that they play as the net they were made from.

The file has the oldest version and spelling that express the net, its weights are the shortest decimals that
read back as the same float32, and it is written whole or not at all. See docs/nam-format.md.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from nam_like.config.base import Bool, Config
from nam_like.errors import ExportError, NamFileError
from nam_like.export.base import Verification, compare
from nam_like.export.nam_read import load_nam
from nam_like.files import atomic_path
from nam_like.models.base import Net

__all__ = ["ARCHITECTURES", "NamExporter", "NamExporterConfig", "envelope"]

#: Architectures that the realtime engine reads and we write.
ARCHITECTURES = ("WaveNet", "LSTM", "ConvNet", "Linear")
#: Largest difference between net and file, relative to the output's peak where that is above 1.
MAX_ABS = 1e-5
#: Largest error-to-signal ratio between net and file.
MAX_ESR = 1e-8
#: Differences below this are float32 rounding even where the output is nearly silent.
ROUNDING = 1e-7


class NamExporter:
    """Exports `.nam` files.

    Args:
        foreign: also write nets of plugins under an architecture that the realtime engine does not know;
            of such a file only the weights can be verified.
    """

    name = "nam"
    suffix = ".nam"

    def __init__(self, *, foreign: bool = False) -> None:
        self.foreign = foreign

    def obstacles(self, net: Net) -> list[str]:
        """Why the net cannot be exported so that it plays as it trains; empty when it can."""
        reasons = net.export_obstacles(self.name)
        if reasons or self.foreign:
            return reasons
        name = _architecture(net.engine_net())
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            return [f"expected an architecture that the realtime engine reads ({known}), but got {name}"]
        return []

    def write(self, net: Net, path: Path, metadata: dict[str, Any]) -> None:
        """Write a file.

        Args:
            net: in ``eval()``, on the CPU.
            path: the file.
            metadata: the file's ``metadata`` object.

        Raises:
            ExportError: the net cannot be exported, or a weight or number of the metadata is not finite.
        """
        reasons = self.obstacles(net)
        if reasons:
            raise ExportError(f"{path}: {'; '.join(reasons)}")
        text = json.dumps(envelope(net, metadata), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def verify(self, net: Net, path: Path, audio: NDArray[np.float32]) -> Verification:
        """Read a file back with the independent reader and compare it with the net, from the first sample on.

        Args:
            net: the net it was written from, in ``eval()``, on the CPU.
            path: the file.
            audio: what to play, shape ``(L,)``, at the net's rate.

        Returns:
            How far both are apart.

        Raises:
            ExportError: the file cannot be read, or differs by more than 1e-5 (times the peak, where that is
                above 1) or by an ESR of more than 1e-8.
        """
        if _architecture(net.engine_net()) not in ARCHITECTURES:
            return _verify_weights(net, path)
        samples = np.ascontiguousarray(audio, dtype=np.float32)
        try:
            played = load_nam(path).process(samples)
        except NamFileError as error:
            raise ExportError(f"{path}: the exported file cannot be read back: {error}") from error
        conditions = net.export_conditions()
        with torch.no_grad():
            wanted = net(torch.from_numpy(samples)[None], *conditions, pad_start=True)[0].cpu().numpy()
        result = compare(played, wanted)
        limit = MAX_ABS * max(1.0, result.peak)
        if not result.max_abs <= limit or not (result.esr <= MAX_ESR or result.max_abs <= ROUNDING):
            raise ExportError(
                f"{path}: expected the file to play as the net (difference at most {limit:.1e}, ESR at most "
                f"{MAX_ESR:.0e}), but got a difference of {result.max_abs:.1e} and an ESR of {result.esr:.1e}"
            )
        return result


def envelope(net: Net, metadata: dict[str, Any]) -> dict[str, Any]:
    """The content of a net's file.

    Raises:
        ExportError: a weight, or a number of the config or the metadata, is not finite.
    """
    written = net.engine_net()
    weights = written.export_weights()
    wrong = np.flatnonzero(~np.isfinite(weights))
    if len(wrong):
        raise ExportError(f"expected finite weights, but got {weights[wrong[0]]} (weight {wrong[0]})")
    content: dict[str, Any] = {
        "version": written.export_version(),
        "metadata": metadata,
        "architecture": _architecture(written),
        "config": written.export_config(),
        # The shortest decimal of the float32, which float() then keeps.
        "weights": [float(str(weight)) for weight in weights],
    }
    if net.sample_rate is not None:
        content["sample_rate"] = _whole(net.sample_rate)
    for key in ("config", "metadata"):
        where = _not_finite(content[key], key)
        if where:
            raise ExportError(f"expected finite numbers, but got NaN or infinity in `{where}`")
    return content


def _verify_weights(net: Net, path: Path) -> Verification:
    """Compare the numbers of a file that no reader can play."""
    content = json.loads(path.read_text(encoding="utf-8"))
    result = compare(np.asarray(content["weights"], dtype=np.float32), net.engine_net().export_weights())
    if result.max_abs != 0.0:
        raise ExportError(
            f"{path}: expected the weights of the net, but got a difference of {result.max_abs:.1e}"
        )
    return replace(result, plays=False)


def _architecture(net: Net) -> str:
    return net.architecture or type(net).__name__


def _whole(rate: float) -> float | int:
    return int(rate) if float(rate).is_integer() else float(rate)


def _not_finite(value: Any, where: str) -> str:
    """The path of the first number that JSON cannot hold, or nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return where
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return next((found for key, item in children if (found := _not_finite(item, f"{where}.{key}"))), "")


class NamExporterConfig(Config):
    """Config of :class:`NamExporter`."""

    foreign: Bool = Field(
        False, description="also write nets of plugins that the realtime engine does not know"
    )

    def build(self) -> NamExporter:
        """Make the exporter."""
        return NamExporter(foreign=self.foreign)
