"""ONNX, for runtimes other than torch (extra: ``nam_like[onnx]``).

Convolutional nets are exported with dynamic batch and length. Recurrent nets are refused: torch's exporter
freezes their length to that of its example.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nam_like.config.base import Config
from nam_like.errors import ExportError
from nam_like.export.base import Verification, compare
from nam_like.files import atomic_path
from nam_like.models.base import Net

__all__ = ["OnnxExporter", "OnnxExporterConfig"]

#: Largest difference between net and file, relative to the output's peak where that is above 1.
MAX_ABS = 1e-4
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class _Padded(nn.Module):
    """A net that always pads: ``(B, L) → (B, L)``."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.past = int(net.receptive_field) - 1

    def forward(self, x: Tensor) -> Tensor:
        return self.net._forward(nn.functional.pad(x, (self.past, 0)))


class OnnxExporter:
    """Writes ``model.onnx``: input ``x (B, L)``, output ``y (B, L)``, from a silent past."""

    name = "onnx"
    suffix = ".onnx"

    def obstacles(self, net: Net) -> list[str]:
        """Why the net cannot be exported so that it plays as it trains; empty when it can."""
        missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
        if missing:
            return [f"ONNX export needs {' and '.join(missing)}: pip install 'nam_like[onnx]'"]
        if any(isinstance(module, nn.RNNBase | nn.RNNCellBase) for module in net.modules()) or getattr(
            net, "recurrent", False
        ):
            return [
                "torch exports recurrent nets to ONNX for one fixed length only; TorchScript takes any length"
            ]
        if net.num_conditions:
            return ["ONNX export takes the audio only, but the net has conditions; TorchScript takes them"]
        return []

    def write(self, net: Net, path: Path, metadata: dict[str, Any]) -> None:
        """Write the file.

        Args:
            net: in ``eval()``, on the CPU.
            path: the file.
            metadata: stored in the file's metadata properties under ``nam_like``.

        Raises:
            ExportError: the net cannot be expressed.
        """
        reasons = self.obstacles(net)
        if reasons:
            raise ExportError(f"{path}: {'; '.join(reasons)}")
        import onnx

        example = torch.zeros(2, int(net.receptive_field) + 64)
        dynamic = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", min=2)}}
        with _quiet(), torch.no_grad():
            try:
                program = torch.onnx.export(
                    _Padded(net),
                    (example,),
                    input_names=["x"],
                    output_names=["y"],
                    dynamic_shapes=dynamic,
                    dynamo=True,
                    verbose=False,
                )
            except Exception as error:
                raise ExportError(f"{path}: torch cannot export {type(net).__name__}: {error}") from error
        if program is None:
            raise ExportError(f"{path}: torch returned no ONNX program")
        model = program.model_proto
        onnx.helper.set_model_props(model, {"nam_like": json.dumps(metadata, allow_nan=False)})
        with atomic_path(path) as temporary:
            onnx.save(model, str(temporary))

    def verify(self, net: Net, path: Path, audio: NDArray[np.float32]) -> Verification:
        """Play the file with onnxruntime at two lengths and compare it with the net.

        Raises:
            ExportError: it cannot be played, or differs by more than 1e-4 (times the peak, where that is
                above 1).
        """
        import onnxruntime

        samples = np.ascontiguousarray(audio, dtype=np.float32)[None]
        result: Verification | None = None
        for length in (samples.shape[-1] // 2 + 1, samples.shape[-1]):
            x = samples[:, :length]
            try:
                session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                (played,) = session.run(None, {"x": x})
            except Exception as error:
                raise ExportError(
                    f"{path}: the exported file cannot be played at {length} samples: {error}"
                ) from error
            with torch.no_grad():
                wanted = net(torch.from_numpy(x), pad_start=True).numpy()
            result = compare(np.asarray(played[0]), wanted[0])
            limit = MAX_ABS * max(1.0, result.peak)
            if not result.max_abs <= limit:
                raise ExportError(
                    f"{path}: expected the file to play as the net (difference at most {limit:.1e}), "
                    f"but got {result.max_abs:.1e} at {length} samples"
                )
        if result is None:
            raise ExportError(f"{path}: expected audio to verify with, but got none")
        return result


class OnnxExporterConfig(Config):
    """Config of :class:`OnnxExporter`; it has no options."""

    def build(self) -> OnnxExporter:
        """Make the exporter."""
        return OnnxExporter()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own deprecations and progress reports are of no use to the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [item.level for item in loggers]
    for item in loggers:
        item.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for item, level in zip(loggers, levels, strict=True):
            item.setLevel(level)
