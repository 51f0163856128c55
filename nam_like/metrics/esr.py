"""Error-to-signal ratio and mean squared error over everything that was played.

Energies are accumulated in float64, so that the ratio is that of all files laid end to end: a quiet file
cannot dominate it, and neither batch size nor number of processes changes it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nam_like.config.base import Config
from nam_like.metrics.base import Metric

__all__ = ["ESR", "MSE", "ESRConfig", "MSEConfig", "energy", "esr_of_energies", "esr_per_item"]

#: Mean square below which a target counts as silence (−120 dBFS).
SILENCE = 1e-12


def energy(x: Tensor) -> Tensor:
    """Σ x² in float64 (float32 where the device has none); any shape → scalar."""
    dtype = torch.float32 if x.device.type == "mps" else torch.float64
    norm: Tensor = torch.linalg.vector_norm(x.detach(), dtype=dtype)
    return norm.square()


def esr_of_energies(error: Tensor, target: Tensor, samples: Tensor) -> Tensor:
    """Σe² / Σy², finite for silence: the mean square of the target counts as at least −120 dBFS.

    Args:
        error: Σe².
        target: Σy².
        samples: how many samples the sums are over.
    """
    return error / torch.maximum(target, SILENCE * samples.clamp(min=1))


def esr_per_item(prediction: Tensor, target: Tensor) -> Tensor:
    """The ESR of each item (a file, say): ``(B, L)`` twice → ``(B,)`` in float64; finite for silence."""
    errors = torch.stack([energy(item) for item in prediction - target])
    targets = torch.stack([energy(item) for item in target])
    return esr_of_energies(errors, targets, torch.full_like(errors, target.shape[-1]))


class ESR(Metric):
    """Σe² / Σy² over all updates of all processes; see :func:`esr_of_energies`."""

    sums = 3  # Σe², Σy², samples
    higher_is_better = False

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add signals of any equal shape."""
        self.add(energy(prediction - target), energy(target), target.numel())

    def compute(self) -> Tensor:
        """The ratio of everything so far, scalar."""
        error, target, samples = self.totals().unbind()
        return esr_of_energies(error, target, samples)


class MSE(Metric):
    """Σe² / N over all updates of all processes."""

    sums = 2  # Σe², samples
    higher_is_better = False

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add signals of any equal shape."""
        self.add(energy(prediction - target), target.numel())

    def compute(self) -> Tensor:
        """The mean of everything so far, scalar."""
        error, samples = self.totals().unbind()
        return error / samples.clamp(min=1)


class ESRConfig(Config):
    """Config of :class:`ESR`; it has no options."""

    def build(self) -> ESR:
        """Make the metric."""
        return ESR()


class MSEConfig(Config):
    """Config of :class:`MSE`; it has no options."""

    def build(self) -> MSE:
        """Make the metric."""
        return MSE()
