"""Whether the Triton kernels can run here: found out once, by running one."""

from __future__ import annotations

import functools
import importlib.util
import os

import torch

__all__ = ["interpreted", "takes", "why_not"]

#: Compute capability (Volta) from which Triton makes code.
LEAST_CAPABILITY = (7, 0)


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on the CPU: slow, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def takes(device: torch.device) -> bool:
    """Whether a device is one that the kernels are for, be they able to run or not."""
    return device.type == "cuda" or (device.type == "cpu" and interpreted())


def why_not(device: torch.device) -> str:
    """Why the kernels cannot run on a device; empty when they can.

    ``$NAM_LIKE_NATIVE=off`` switches them off, as it does the kernels for the processor.
    """
    if os.environ.get("NAM_LIKE_NATIVE", "").strip().lower() == "off":
        return "NAM_LIKE_NATIVE is off"
    if not takes(device):
        return f"there are no kernels for {device.type}"
    return _probe(device, interpreted())


@functools.cache
def _probe(device: torch.device, interpreter: bool) -> str:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed (extra: nam_like[gpu])"
    if not interpreter and torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return f"{torch.cuda.get_device_name(device)} is older than Triton supports"
    try:
        # Triton compiles a launcher with the machine's C compiler; where there is none, this fails.
        from nam_like.native.gpu.kernels.probe import works

        if not works(device):
            return "a Triton kernel gives wrong results here"
    except Exception as error:
        return f"triton does not work here ({type(error).__name__}: {_first_line(error)})"
    return ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
