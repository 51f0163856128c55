"""A loss made of named, weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from nam_like.losses.errors import LossError

__all__ = ["Loss", "WeightedSum"]

#: ``(prediction (B, L), target (B, L)) → scalar``
Loss = Callable[[Tensor, Tensor], Tensor]


class WeightedSum(nn.Module):
    """Σ weight · term(prediction, target), with the value of every term beside the total.

    Half-precision predictions are measured in float32, outside of autocast: squares of small errors and
    long sums do not fit into half precision.

    Args:
        terms: name → (loss, weight). A term of weight 0 is not part of the total; it is evaluated only
            where values are asked for with ``every_term``.
        mask_first: samples left out at the start of every segment.
    """

    def __init__(self, terms: Mapping[str, tuple[Loss, float]], mask_first: int = 0) -> None:
        super().__init__()
        if not terms:
            raise LossError("expected at least one loss term, but got none")
        self.losses = {name: loss for name, (loss, _) in terms.items()}
        self.weights = {name: float(weight) for name, (_, weight) in terms.items()}
        self.mask_first = mask_first
        # Registered in a list, because term names may be anything and module names may hold no dots.
        self.loss_modules = nn.ModuleList(
            loss for loss in self.losses.values() if isinstance(loss, nn.Module)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The terms in order."""
        return tuple(self.losses)

    @property
    def active(self) -> tuple[str, ...]:
        """The terms whose weight is not zero."""
        return tuple(name for name in self.losses if self.weights[name] != 0.0)

    def mask(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Leave out the first samples: ``(B, L)`` → ``(B, L − mask_first)``, both.

        Raises:
            LossError: nothing would be left.
        """
        if self.mask_first == 0:
            return prediction, target
        if self.mask_first >= target.shape[-1]:
            raise LossError(
                f"expected `mask_first` to be less than the segment's {target.shape[-1]} samples, "
                f"but got {self.mask_first}"
            )
        return prediction[..., self.mask_first :], target[..., self.mask_first :]

    def forward(
        self, prediction: Tensor, target: Tensor, *, every_term: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate the terms.

        Args:
            prediction: ``(B, L)``.
            target: ``(B, L)``.
            every_term: also evaluate the terms of weight 0.

        Returns:
            The total (scalar) and the unweighted value of each evaluated term (scalars).
        """
        prediction, target = self.mask(prediction, target)
        with torch.autocast(prediction.device.type, enabled=False):
            if prediction.dtype in (torch.float16, torch.bfloat16):
                prediction = prediction.float()
            target = target.to(prediction.dtype)
            names = self.names if every_term else self.active
            values = {name: self.losses[name](prediction, target) for name in names}
        total = prediction.new_zeros(())
        for name, value in values.items():
            if self.weights[name] != 0.0:
                total = total + self.weights[name] * value
        return total, values
