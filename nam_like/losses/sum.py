"""A loss made of named, weighted terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from nam_like.losses.errors import LossError

__all__ = ["Loss", "WeightedSum"]

#: ``(prediction (B, L), target (B, L)) → scalar``; one with ``takes_lengths`` takes them as a third argument
Loss = Callable[..., Tensor]
#: Estimate, target, and the valid samples or frames of each item ``(B,)``.
View = tuple[Tensor, Tensor, Tensor]
Values = dict[str, Tensor]


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
            prediction, target = _in_full_precision(prediction, target)
            names = self.names if every_term else self.active
            values = {name: self.losses[name](prediction, target) for name in names}
        return self._total(values), values

    @property
    def domains(self) -> tuple[str, ...]:
        """What the terms compare: ``"time"`` for waveforms, ``"encoded"`` for spectrograms; each once."""
        return tuple(dict.fromkeys(_domain(loss) for loss in self.losses.values()))

    def of_views(self, views: Mapping[str, View], *, every_term: bool = False) -> tuple[Tensor, Values]:
        """Evaluate the terms on what a net of padded signals gives, each on the view of its domain.

        Args:
            views: by domain: estimate and target, both ``(B, C, T)`` or ``(B, C, F, N)``, and the valid
                samples or frames of each item, ``(B,)``.
            every_term: also evaluate the terms of weight 0.

        Returns:
            As :meth:`forward`: means over the items, of which padding is no part.
        """
        values: Values = {}
        for name in self.names if every_term else self.active:
            loss = self.losses[name]
            estimate, target, lengths = views[_domain(loss)]
            with torch.autocast(estimate.device.type, enabled=False):
                estimate, target = _in_full_precision(estimate, target)
                if getattr(loss, "takes_lengths", False):
                    values[name] = loss(estimate, target, lengths)
                else:
                    values[name] = _mean_over_items(loss, estimate, target, lengths)
        return self._total(values), values

    def _total(self, values: Values) -> Tensor:
        """The weighted sum of the values, scalar."""
        total = next(iter(values.values())).new_zeros(())
        for name, value in values.items():
            if self.weights[name] != 0.0:
                total = total + self.weights[name] * value
        return total


def _domain(loss: Loss) -> str:
    """What a loss compares."""
    return str(getattr(loss, "domain", "time"))


def _in_full_precision(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if prediction.dtype in (torch.float16, torch.bfloat16):
        prediction = prediction.float()
    return prediction, target.to(prediction.dtype)


def _mean_over_items(loss: Loss, estimate: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """The mean of a loss that knows no lengths, over items without their padding."""
    of_items = [
        loss(ours[..., :length], wanted[..., :length])
        for ours, wanted, length in zip(estimate, target, lengths.tolist(), strict=True)
    ]
    return torch.stack(of_items).mean()
