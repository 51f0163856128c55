"""An enhancement net in a TorchScript file: reading it, what it says about itself, playing it.

Such a file is a module ``(B, C, T), optional lengths (B,) → (B, C_out, T)``. It may have an attribute
``sample_rate`` (Hz; 0 or None when unknown) and an ``in_channels`` (None for any number), and a
``nam_like.json`` inside with metadata; a module that has only the call can be played, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nam_like.audio.multichannel import Block
from nam_like.errors import UserError
from nam_like.export.quiet_jit import quiet_jit

__all__ = ["EnhancementModel", "choose_device", "load_model"]

#: torch.jit without its types, which torch leaves out.
_jit: Any = torch.jit


@dataclass
class EnhancementModel:
    """A net that can be played.

    Attributes:
        net: the module, in ``eval()``; scripted or not.
        path: where it was read, for messages.
        sample_rate: Hz; None when the file does not say.
        in_channels: channels that it takes; None for any number, or when the file does not say.
        device: where it computes.
        metadata: what ``nam_like.json`` inside the file holds.
    """

    net: Any
    path: Path
    sample_rate: int | None = None
    in_channels: int | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    metadata: dict[str, Any] = field(default_factory=dict)

    def play(self, audio: Block) -> Block:
        """The answer to one piece of audio, ``(C, T)`` → ``(C_out, T)``.

        Raises:
            UserError: the net does not take it, or its answer has another length or is not finite.
        """
        with quiet_jit(), torch.inference_mode():
            try:
                made = self.net(torch.from_numpy(audio)[None].to(self.device))
            except (RuntimeError, ValueError) as error:
                raise self.refusal(audio.shape[0], error) from error
        return self.checked(made, audio.shape[1])

    def refusal(self, channels: int, error: BaseException) -> UserError:
        """What to raise where the net cannot be played."""
        hint = " (a smaller block needs less: --block)" if "memory" in str(error) else ""
        return UserError(
            f"{self.path}: the net cannot be played with audio of {channels} channels: {cause(error)}{hint}"
        )

    def checked(self, made: Any, samples: int) -> Block:
        """The net's answer as an array.

        Raises:
            UserError: it is no audio of so many samples.
        """
        if not isinstance(made, torch.Tensor) or made.ndim != 3 or made.shape[-1] != samples:
            shape = tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
            raise UserError(
                f"{self.path}: expected a net that answers (1, C, T) with (1, C_out, T), here with T = "
                f"{samples}, but got {shape}"
            )
        answer: Block = made[0].float().cpu().numpy()
        if not np.isfinite(answer).all():
            raise UserError(f"{self.path}: expected a finite answer, but the net gives NaN or infinity")
        return answer


def load_model(path: Path | str, device: str = "auto") -> EnhancementModel:
    """Read a TorchScript file. No Python code of the file is run.

    Args:
        path: the file.
        device: ``auto``, ``cpu``, ``cuda``, …

    Raises:
        UserError: there is no such file or device, or the file holds no enhancement net.
    """
    path, chosen = Path(path), choose_device(device)
    if not path.is_file():
        raise UserError(
            f"{path}: " + ("expected a file, but got a folder" if path.is_dir() else "no such file")
        )
    extra = {"nam_like.json": ""}
    with quiet_jit():
        try:
            net = _jit.load(str(path), map_location=chosen, _extra_files=extra)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f"{path}: expected a TorchScript file, as an enhancement run exports it (model.ts), but it "
                f"cannot be read: {cause(error).partition('. ')[0]}"
            ) from error
    metadata = _metadata(extra["nam_like.json"])
    _check_call(path, net)
    found = _facts(net)
    rate = found["sample_rate"] or metadata.get("sample_rate")
    return EnhancementModel(
        net.eval(),
        path,
        sample_rate=round(rate) if isinstance(rate, int | float) and rate > 0 else None,
        in_channels=found["in_channels"] if isinstance(found["in_channels"], int) else None,
        device=chosen,
        metadata=metadata,
    )


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is the GPU where there is one.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"expected a device of this machine, but got '{name}': {cause(error)}") from error
    return device


def _metadata(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_call(path: Path, net: Any) -> None:
    """Refuse the modules of amp captures, which take ``(B, L)``."""
    if isinstance(getattr(net, "receptive_field", None), int):
        raise UserError(
            f"{path}: expected an enhancement net, but this one captures an amp "
            "(`nam_like render` plays the .nam file of the same run)"
        )
    arguments = net.forward.schema.arguments
    needed = [argument.name for argument in arguments[1:] if not argument.has_default_value()]
    if len(needed) != 1:
        raise UserError(
            f"{path}: expected a net of one input, (B, C, T), but got {', '.join(needed) or 'none'}"
        )


def _facts(net: Any) -> dict[str, Any]:
    """What the module, or one inside it, says about itself; the outermost is believed first."""
    found: dict[str, Any] = {"sample_rate": None, "in_channels": None}
    for module in net.modules():
        found["sample_rate"] = found["sample_rate"] or getattr(module, "sample_rate", None)
        if hasattr(module, "num_outputs"):  # otherwise it is a layer's number of channels, not a net's
            found["in_channels"] = found["in_channels"] or getattr(module, "in_channels", None)
    return found


def cause(error: BaseException) -> str:
    """The last line of what torch says, which tells the cause; those before are a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
