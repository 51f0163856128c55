"""TorchScript: one file that torch (also in C++) plays without our code, for inputs of any length.

Sample-aligned nets are traced, with their padding; other nets are compiled as they are
(:mod:`nam_like.export.scripted`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nam_like.config.base import Config
from nam_like.errors import ExportError
from nam_like.export.base import Verification, compare
from nam_like.export.quiet_jit import quiet_jit
from nam_like.export.scripted import MAX_ABS, verify_scripted, write_scripted
from nam_like.files import atomic_path
from nam_like.models.audio_net import AudioNet
from nam_like.models.base import Net

__all__ = ["TorchScriptExporter", "TorchScriptExporterConfig"]

#: torch.jit without its types, which torch leaves out.
_jit: Any = torch.jit


class _Padded(nn.Module):
    """A net that always pads: ``(B, L) → (B, L)``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        padded: Tensor = self.net(x, *conditions, pad_start=True)
        return padded


class _Player(nn.Module):
    """Takes ``(L,)`` as well as ``(B, L)``, and says what it plays."""

    def __init__(self, net: torch.jit.ScriptModule, sample_rate: float, receptive_field: int) -> None:
        super().__init__()
        self.net = net
        self.sample_rate = sample_rate
        self.receptive_field = receptive_field

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 1:
            single: Tensor = self.net(x.unsqueeze(0))
            return single.squeeze(0)
        batch: Tensor = self.net(x)
        return batch


class TorchScriptExporter:
    """Writes ``model.ts``, which plays inputs of any length. The past is silent.

    Nets without conditions become ``module(x) → y`` with `x` and `y` ``(B, L)`` or ``(L,)``, and attributes
    ``module.sample_rate`` (Hz, 0 when unknown) and ``module.receptive_field`` (samples). Nets with conditions
    become ``module(x, *conditions) → y`` with `x` and `y` ``(B, L)`` and constant conditions ``(B, K)`` only:
    no single ``(L,)``, no conditions that move ``(B, K, L)``, and no attributes. ``nam_like.json`` inside the
    file holds the metadata of both.
    """

    name = "torchscript"
    suffix = ".ts"

    def obstacles(self, net: AudioNet) -> list[str]:
        """Why the net cannot be exported so that it plays as it trains; empty when it can."""
        return net.export_obstacles(self.name)

    def write(self, net: AudioNet, path: Path, metadata: dict[str, Any]) -> None:
        """Write the file.

        Args:
            net: in ``eval()``, on the CPU.
            path: the file.
            metadata: stored inside the file as ``nam_like.json``.

        Raises:
            ExportError: torch cannot trace or compile the net.
        """
        if not isinstance(net, Net):
            write_scripted(net, path, metadata)
            return
        conditions = _example_conditions(net)
        past = int(net.receptive_field)
        with quiet_jit(), torch.no_grad():
            try:
                example = (0.1 * torch.randn(1, past + 37, generator=_generator()), *conditions)
                module: Any = _jit.trace(_Padded(net), example, check_trace=False)
                if not conditions:
                    module = _jit.script(_Player(module, float(net.sample_rate or 0.0), past))
            except Exception as error:
                raise ExportError(f"{path}: torch cannot trace {type(net).__name__}: {error}") from error
            extra = {"nam_like.json": json.dumps(metadata, allow_nan=False)}
            with atomic_path(path) as temporary:
                _jit.save(module, str(temporary), _extra_files=extra)

    def verify(self, net: AudioNet, path: Path, audio: NDArray[np.float32]) -> Verification:
        """Read the file back and compare it with the net at two lengths, neither of which it was traced at.

        Raises:
            ExportError: it cannot be read, or differs by more than 1e-5 (times the peak, where that is
                above 1).
        """
        if not isinstance(net, Net):
            return verify_scripted(net, path, audio)
        samples = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
        conditions = _example_conditions(net)
        result: Verification | None = None
        for length in (samples.shape[-1] // 2 + 1, samples.shape[-1]):
            x = samples[:, :length]
            with quiet_jit(), torch.no_grad():
                try:
                    played = _jit.load(str(path), map_location="cpu")(x, *conditions)
                except Exception as error:
                    raise ExportError(
                        f"{path}: the exported file cannot be played at {length} samples: {error}"
                    ) from error
                wanted = net(x, *conditions, pad_start=True)
            result = compare(played[0].numpy(), wanted[0].numpy())
            limit = MAX_ABS * max(1.0, result.peak)
            if not result.max_abs <= limit:
                raise ExportError(
                    f"{path}: expected the file to play as the net (difference at most {limit:.1e}), "
                    f"but got {result.max_abs:.1e} at {length} samples"
                )
        if result is None:
            raise ExportError(f"{path}: expected audio to verify with, but got none")
        return result


class TorchScriptExporterConfig(Config):
    """Config of :class:`TorchScriptExporter`; it has no options."""

    def build(self) -> TorchScriptExporter:
        """Make the exporter."""
        return TorchScriptExporter()


def _example_conditions(net: Net) -> tuple[Tensor, ...]:
    """Conditions to trace and verify with, each ``(1, K)``: those the net names, or all knobs at 0.5.

    K is what the data had, where a run has seen it, otherwise what the net says, otherwise 1.
    """
    named = tuple(condition.cpu() for condition in net.export_conditions())
    if named or net.num_conditions == 0:
        return named
    if net.condition_sizes and net.num_conditions in (None, len(net.condition_sizes)):
        return tuple(torch.full((1, size), 0.5) for size in net.condition_sizes)
    if net.num_conditions is None:
        return ()
    knobs = int(getattr(net, "num_knobs", 0) or getattr(net, "input_size", 2) - 1)
    return tuple(torch.full((1, knobs), 0.5) for _ in range(net.num_conditions))


def _generator() -> torch.Generator:
    """Its own, so that an export draws nothing from the global one."""
    return torch.Generator().manual_seed(0)
