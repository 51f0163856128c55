"""Weights as the flat list of a `.nam` file: in, out, and as short decimals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nam_like.errors import NamFileError

__all__ = ["WeightSource", "conv_tensors", "flat", "shortest"]


def flat(tensors: Iterable[Tensor]) -> NDArray[np.float32]:
    """All values of `tensors`, each in C order, as one float32 array ``(N,)``."""
    parts = [tensor.detach().cpu().to(torch.float32).reshape(-1).numpy() for tensor in tensors]
    joined: NDArray[np.float32] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
    return joined


def shortest(value: float | Tensor) -> float:
    """The shortest decimal that reads back as the same float32 (0.1, not 0.10000000149…)."""
    return float(str(np.float32(float(value))))


def conv_tensors(conv: nn.Conv1d) -> list[Tensor]:
    """Weight ``(C_out, C_in / groups, K)`` and, if there is one, bias ``(C_out,)``, in file order."""
    return [conv.weight] if conv.bias is None else [conv.weight, conv.bias]


class WeightSource:
    """The weights of a file, taken from front to back.

    Args:
        weights: numbers, shape ``(N,)``.
    """

    def __init__(self, weights: Any) -> None:
        self.values = np.asarray(weights, dtype=np.float64).reshape(-1)
        self.taken = 0

    def take(self, count: int) -> NDArray[np.float64]:
        """The next `count` numbers.

        Raises:
            NamFileError: there are fewer.
        """
        end = self.taken + count
        if end > len(self.values):
            raise NamFileError(f"expected at least {end} weights, but got {len(self.values)}")
        part: NDArray[np.float64] = self.values[self.taken : end]
        self.taken = end
        return part

    def fill(self, *tensors: Tensor) -> None:
        """Overwrite `tensors` in order, each in C order."""
        with torch.no_grad():
            for tensor in tensors:
                part = torch.from_numpy(self.take(tensor.numel()).copy())
                tensor.copy_(part.reshape(tensor.shape).to(tensor.dtype))

    def finish(self) -> int:
        """Return how many were taken.

        Raises:
            NamFileError: some are left over.
        """
        if self.taken != len(self.values):
            raise NamFileError(f"expected {self.taken} weights, but got {len(self.values)}")
        return self.taken
