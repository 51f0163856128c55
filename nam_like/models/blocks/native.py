"""What all nets ask before they hand a call to the native kernels, and how they say what plays them."""

from __future__ import annotations

import torch
from torch import Tensor

from nam_like.models.base import is_tracing
from nam_like.native.library import load, status

__all__ = ["fits", "is_watched", "report_line"]


def fits(x: Tensor) -> bool:
    """Whether a tensor is plain float32 on the CPU, and nobody records what is done to it."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not is_watched()
        and not torch.is_autocast_enabled("cpu")
        and load() is not None
    )


def is_watched() -> bool:
    """Whether somebody records or transforms what is done."""
    return (
        is_tracing()
        or torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
    )


def report_line(device: torch.device, obstacle: str) -> str:
    """One line for logs: what plays a net that has kernels for the CPU.

    Args:
        device: where the net is.
        obstacle: why the kernels do not cover the net; empty where they do.
    """
    if device.type != "cpu":
        return f"PyTorch on {device}"
    return f"{status()}, but this net runs on PyTorch: {obstacle}" if obstacle and load() else status()
