"""What the autograd functions of whole nets share: weights in one array, its gradient in pieces, memory."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

__all__ = ["Kept", "flatten", "pieces"]


def flatten(weights: Sequence[Tensor]) -> Tensor:
    """All weights one after the other, ``(N,)``, without a graph."""
    return torch.cat([weight.detach().reshape(-1) for weight in weights])


def pieces(
    gradient: Tensor, sizes: Sequence[int], shapes: Sequence[torch.Size], needed: Sequence[bool]
) -> Iterator[Tensor | None]:
    """The gradient of each weight.

    Args:
        gradient: of all weights, ``(N,)``.
        sizes: numbers in each.
        shapes: of each.
        needed: whether anybody asks for it; None is what the others get.
    """
    for piece, shape, need in zip(torch.split(gradient, list(sizes)), shapes, needed, strict=True):
        yield piece.view(shape) if need else None


class Kept:
    """A buffer of the library, given back with this object."""

    def __init__(self, address: int | None, library: ctypes.CDLL) -> None:
        self.address = address
        weakref.finalize(self, library.nam_give_buffer, address)
