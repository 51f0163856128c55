"""The smallest kernel, which shows whether Triton can compile and launch one."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["works"]


@triton.jit
def double(x, SIZE: tl.constexpr):
    """Double `SIZE` numbers in place."""
    at = x + tl.arange(0, SIZE)
    tl.store(at, 2.0 * tl.load(at))


def works(device: torch.device) -> bool:
    """Whether a kernel runs on a device and gives what it should."""
    x = torch.ones(16, device=device)
    double[(1,)](x, SIZE=16)
    return bool((x == 2.0).all())
