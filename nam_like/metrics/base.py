"""The base of our metrics: sums that are added up over batches, files and processes.

A task takes any module with ``update(prediction, target)``, ``compute()`` and ``reset()``; those of
torchmetrics are some. Ours are so small that importing that library for them would take longer than they do.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = ["AnyMetric", "Metric", "exact_dtype"]


@runtime_checkable
class AnyMetric(Protocol):
    """What a task asks of a metric."""

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add signals ``(B, L)``."""

    def compute(self) -> Tensor:
        """The value of everything so far, of all processes, scalar."""

    def reset(self) -> None:
        """Forget everything."""


class Metric(nn.Module):
    """A metric that is a function of a few sums.

    Class attributes:
        sums: how many sums there are.
        higher_is_better: whether a larger value is a better one; None where neither is.
    """

    sums: ClassVar[int] = 1
    higher_is_better: ClassVar[bool | None] = None

    def __init__(self) -> None:
        super().__init__()
        #: knows the device before anything is added; never saved
        self.register_buffer("_device_of", torch.zeros(1), persistent=False)
        self._totals: Tensor | None = None

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add signals of any equal shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define `update`")

    def compute(self) -> Tensor:
        """The value of everything so far, scalar."""
        raise NotImplementedError(f"{type(self).__name__} does not define `compute`")

    def reset(self) -> None:
        """Forget everything."""
        self._totals = None

    def forward(self, prediction: Tensor, target: Tensor) -> None:
        """As :meth:`update`."""
        self.update(prediction, target)

    def add(self, *values: Tensor | float) -> None:
        """Add to the sums, in float64 (float32 where the device has none)."""
        device = next((value.device for value in values if isinstance(value, Tensor)), torch.device("cpu"))
        row = torch.stack(
            [torch.as_tensor(value, dtype=exact_dtype(device), device=device) for value in values]
        )
        self._totals = row if self._totals is None else self._totals + row

    def totals(self) -> Tensor:
        """The sums over all processes, ``(sums,)``."""
        totals = self._totals
        if totals is None:
            device = next(self.buffers()).device
            totals = torch.zeros(self.sums, dtype=exact_dtype(device), device=device)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            totals = totals.clone()
            torch.distributed.all_reduce(totals)
        return totals


def exact_dtype(device: torch.device) -> torch.dtype:
    """What long sums are kept in: float64, or float32 where the device has nothing wider."""
    return torch.float32 if device.type == "mps" else torch.float64
