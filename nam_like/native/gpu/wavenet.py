"""Whole WaveNets through the kernels: what they cover, and the call.

Nets come as the descriptions of :mod:`nam_like.native.wavenet`, made by `models`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from nam_like.native.gpu import plan
from nam_like.native.gpu.available import why_not
from nam_like.native.gpu.packing import Packing
from nam_like.native.gpu.plan import ArrayPlan
from nam_like.native.wavenet import ArraySpec

__all__ = ["obstacle", "process"]

#: Channels times samples from which the kernels' 32-bit offsets within one item would overflow.
MOST_NUMBERS = 2**30


def obstacle(arrays: tuple[ArraySpec, ...], conditions: int, device: torch.device) -> str:
    """Why the kernels do not play a net on a device; empty where they do.

    Args:
        arrays: of the net.
        conditions: channels of the condition, 0 for none.
        device: where its weights are.
    """
    return why_not(device) or next(filter(None, (plan.obstacle(array, conditions) for array in arrays)), "")


def process(
    arrays: tuple[ArraySpec, ...], x: Tensor, condition: Tensor | None, weights: Sequence[Tensor]
) -> Tensor | None:
    """Play the layer arrays of a WaveNet without :func:`obstacle`.

    Args:
        arrays: of the net.
        x: ``(B, inputs, L)``.
        condition: ``(B, D, L)``, aligned with `x`, or None.
        weights: as :func:`nam_like.native.wavenet.weight_shapes` lists them.

    Returns:
        the head output of the last array ``(B, heads, L − past)``, not scaled; None where plain PyTorch must
        play these signals: other numbers than float32, or more samples than the kernels count.
    """
    plans = _plans(arrays, 0 if condition is None else condition.shape[1])
    signals = [x, *weights, *([] if condition is None else [condition])]
    widest = max(max(array.mid, array.channels, array.skip_size) for array in plans)
    if any(s.dtype != torch.float32 for s in signals) or widest * x.shape[-1] > MOST_NUMBERS:
        return None
    from nam_like.native.gpu.array import play_array

    taken, residual, head = 0, x, None
    device = torch.cuda.device_of(x)  # type: ignore[no-untyped-call]
    with device, torch.autocast(x.device.type, enabled=False):
        for index, array in enumerate(plans):
            last = index == len(plans) - 1
            packing = _packing(array, not last)
            parameters = weights[taken : taken + len(packing.shapes)]
            taken += len(parameters)
            played, head = play_array(
                array, packing, residual, condition, head, parameters, has_residual=not last
            )
            residual = x if played is None else played
    return head


@functools.lru_cache(maxsize=64)
def _plans(arrays: tuple[ArraySpec, ...], conditions: int) -> tuple[ArrayPlan, ...]:
    return tuple(plan.plan_of(array, conditions) for array in arrays)


@functools.lru_cache(maxsize=64)
def _packing(array: ArrayPlan, has_residual: bool) -> Packing:
    return Packing(array, has_residual)
