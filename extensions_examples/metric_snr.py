"""A metric: the signal-to-noise ratio over all validation files, in dB.

    "metrics": ["TotalSNR"]

It appears as `TotalSNR` on the progress bar, in metrics.csv and TensorBoard, and callbacks can monitor it.
"""

import torch
from torch import Tensor
from torchmetrics import Metric

from nam_like.registry import METRICS


@METRICS.register("TotalSNR", summary="signal-to-noise ratio of all files together (dB)")
class TotalSNR(Metric):
    """10·log10(Σ y² / Σ (y − ŷ)²) over everything seen since the last reset."""

    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self.add_state("signal", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("noise", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add ``(B, L)`` and ``(B, L)``."""
        self.signal += target.square().sum()
        self.noise += (prediction - target).square().sum()

    def compute(self) -> Tensor:
        """The ratio in dB; large and finite where there is no noise."""
        tiny = torch.finfo(self.noise.dtype).tiny
        return 10 * torch.log10(self.signal.clamp(min=tiny) / self.noise.clamp(min=tiny))
