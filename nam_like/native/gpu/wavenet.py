"""Whole WaveNets through the kernels: what they cover, and the call.

The caller is :meth:`nam_like.models.amp.wavenet.model.WaveNet.process`; nets come in as plain objects.
"""

from __future__ import annotations

import functools
import logging
import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nam_like.native.gpu.available import why_not
from nam_like.native.gpu.describe import Uncovered, parameters_of, plan_of
from nam_like.native.gpu.packing import Packing
from nam_like.native.gpu.plan import ArrayPlan

__all__ = ["covers", "process", "status"]

log = logging.getLogger(__name__)

#: Samples times channels from which the kernels' 32-bit offsets within one item would overflow.
MOST_NUMBERS = 2**30


@dataclass(frozen=True)
class _Known:
    """What was found out about a net: its plans, or the reason against them."""

    plans: tuple[ArrayPlan, ...]
    reason: str | None


_known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()
_told: set[str] = set()


def covers(net: Any) -> str | None:
    """Why the kernels cannot play a WaveNet; None when they can, on a device that has them."""
    return _know(net).reason


def status(net: Any, device: torch.device) -> str:
    """One line for the log: what plays a WaveNet on a CUDA device."""
    reason = why_not(device) or _because(covers(net))
    return f"WaveNet on {device}: plain PyTorch ({reason})" if reason else f"WaveNet on {device}: Triton kernels"


def process(net: Any, x: Tensor, condition: Tensor) -> Tensor | None:
    """Play the layer arrays of a WaveNet.

    Args:
        net: a WaveNet.
        x: what goes into the first array, ``(B, inputs, L)``.
        condition: ``(B, D, L)``, aligned with `x`.

    Returns:
        the head output of the last array, ``(B, channels, …)``, before `head_scale`; None where plain PyTorch
        must play it: the log says once why.
    """
    known = _know(net)
    reason = why_not(x.device) or _because(known.reason) or _unfit(known, x, condition)
    _tell(
        f"WaveNet on {x.device}: plain PyTorch ({reason})" if reason else f"WaveNet on {x.device}: Triton kernels"
    )
    if reason:
        return None
    from nam_like.native.gpu.array import play_array

    with torch.cuda.device_of(x), torch.autocast(x.device.type, enabled=False):
        residual: Tensor | None = x
        head: Tensor | None = None
        last = len(known.plans) - 1
        for index, (plan, array) in enumerate(zip(known.plans, net.arrays, strict=True)):
            residual, head = play_array(
                plan,
                _packing(plan, index < last),
                _present(residual),
                condition if plan.conditions else None,
                head,
                parameters_of(array, index < last),
                has_residual=index < last,
            )
    return head


def _know(net: Any) -> _Known:
    known = _known.get(net)
    if known is None:
        try:
            known = _Known(tuple(plan_of(array) for array in net.arrays), None)
        except Uncovered as error:
            known = _Known((), str(error))
        _known[net] = known
    return known


@functools.lru_cache(maxsize=64)
def _packing(plan: ArrayPlan, has_residual: bool) -> Packing:
    return Packing(plan, has_residual)


def _because(reason: str | None) -> str | None:
    return None if reason is None else f"the kernels do not cover {reason}"


def _unfit(known: _Known, x: Tensor, condition: Tensor) -> str | None:
    """Why the kernels cannot take these signals."""
    if x.dtype != torch.float32 or condition.dtype != torch.float32:
        return f"signals are {x.dtype}"
    widest = max(max(plan.mid, plan.channels, plan.skip_size) for plan in known.plans)
    if widest * x.shape[-1] > MOST_NUMBERS:
        return f"an item of {x.shape[-1]} samples is too long"
    return None


def _present(signal: Tensor | None) -> Tensor:
    if signal is None:
        raise RuntimeError("expected a residual between two layer arrays, but got none")
    return signal


def _tell(line: str) -> None:
    if line not in _told:
        _told.add(line)
        log.info("%s", line)
