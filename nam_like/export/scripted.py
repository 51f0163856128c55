"""TorchScript of nets that hear named channels, ``(B, C, T)``: the net as it is, compiled, at any length.

The file is the net itself, with its parts and its attributes (``sample_rate``, ``in_channels``,
``num_outputs``), so that what plays it can look for what it needs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nam_like.errors import ExportError
from nam_like.export.base import Verification, compare
from nam_like.export.quiet_jit import quiet_jit
from nam_like.files import atomic_path
from nam_like.models.audio_net import AudioNet

__all__ = ["verify_scripted", "write_scripted"]

#: torch.jit without its types, which torch leaves out.
_jit: Any = torch.jit

#: Largest difference between net and file, relative to the output's peak where that is above 1.
MAX_ABS = 1e-5


def write_scripted(net: AudioNet, path: Path, metadata: dict[str, Any]) -> None:
    """Compile a net and write it.

    Args:
        net: in ``eval()``, on the CPU; called with audio ``(B, C, T)`` and lengths ``(B,)`` or None.
        path: the file.
        metadata: stored inside the file as ``nam_like.json``.

    Raises:
        ExportError: torch cannot compile the net.
    """
    with quiet_jit(), torch.no_grad():
        try:
            module = _jit.script(net)
        except Exception as error:
            raise ExportError(f"{path}: torch cannot compile {type(net).__name__}: {error}") from error
        extra = {"nam_like.json": json.dumps(metadata, allow_nan=False)}
        with atomic_path(path) as temporary:
            _jit.save(module, str(temporary), _extra_files=extra)


def verify_scripted(net: AudioNet, path: Path, audio: NDArray[np.float32]) -> Verification:
    """Read the file back and compare it with the net at two lengths and batch sizes.

    Args:
        net: as it was written.
        path: the file.
        audio: ``(C, T)``.

    Raises:
        ExportError: it cannot be read, or differs by more than 1e-5 (times the peak, where that is above 1).
    """
    signal = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
    short = signal[..., : signal.shape[-1] // 2 + 1]
    result = Verification(0.0, 0.0, 0.0)
    for x in (torch.cat((short, -0.5 * short)), signal):
        with quiet_jit(), torch.no_grad():
            try:
                played = _drawn(_jit.load(str(path), map_location="cpu"), x)
            except Exception as error:
                raise ExportError(
                    f"{path}: the exported file cannot be played at {x.shape[-1]} samples: {error}"
                ) from error
            wanted = _drawn(net, x)
        result = compare(played.flatten().numpy(), wanted.flatten().numpy())
        limit = MAX_ABS * max(1.0, result.peak)
        if not result.max_abs <= limit:
            raise ExportError(
                f"{path}: expected the file to play as the net (difference at most {limit:.1e}), "
                f"but got {result.max_abs:.1e} at {x.shape[-1]} samples"
            )
    return result


def _drawn(net: Any, x: Tensor) -> Tensor:
    """The answer of a net, with the same random numbers each time where it draws some."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        answer: Tensor = net(x)
    return answer
