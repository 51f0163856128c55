"""What all nets ask before they hand a call to the native kernels, and how they say what plays them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nam_like.models.base import is_tracing
from nam_like.native.library import load, status

__all__ = ["HOOKED", "NotCoveredError", "fits", "is_hooked", "is_watched", "once_per_net", "report_line"]

NetT = TypeVar("NetT", bound=nn.Module)
Description = TypeVar("Description")

#: Why the kernels leave a net alone to which :func:`is_hooked` applies.
HOOKED = "there is a hook on an inner layer"


class NotCoveredError(Exception):
    """Why the kernels do not cover a net."""


def once_per_net(
    refused: Callable[[str], Description],
) -> Callable[[Callable[[NetT], Description]], Callable[[NetT], Description]]:
    """Decorator: remember what a function finds out about a net, since a net's structure does not change.

    Args:
        refused: makes the description of a net for which the function raises :class:`NotCoveredError`.
    """

    def decorate(describe: Callable[[NetT], Description]) -> Callable[[NetT], Description]:
        known: WeakKeyDictionary[nn.Module, Description] = WeakKeyDictionary()

        @functools.wraps(describe)
        def described(net: NetT) -> Description:
            found = known.get(net)
            if found is None:
                try:
                    found = describe(net)
                except NotCoveredError as error:
                    found = refused(str(error))
                known[net] = found
            return found

        return described

    return decorate


def fits(x: Tensor) -> bool:
    """Whether a tensor is plain float32 on the CPU, and nobody records what is done to it."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not is_watched()
        and not torch.is_autocast_enabled("cpu")
        and load() is not None
    )


def is_hooked(modules: Iterable[nn.Module]) -> bool:
    """Whether somebody wants to be called when one of these modules plays, which the kernels do not do."""
    return any(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        for module in modules
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
