"""A loss: log(cosh(k·e))/k², a squared error for small errors and an absolute one for large ones.

"loss": {"terms": {"log_cosh": {"name": "LogCosh", "weight": 1.0, "config": {"k": 20}}}, "val_loss": "esr"}
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from nam_like.registry import LOSSES


@LOSSES.register("LogCosh", summary="squared error for small errors, absolute for large ones")
class LogCosh(nn.Module):
    """Mean of log(cosh(k·e))/k² over all samples.

    Args:
        k: errors well above 1/k count linearly.
    """

    def __init__(self, k: float = 10.0) -> None:
        super().__init__()
        if k <= 0:
            raise ValueError(f"expected `k` to be above 0, but got {k}")
        self.k = k

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(B, L)``, ``(B, L)`` → scalar."""
        error = self.k * (prediction - target).abs()
        # log cosh e = e + log(1 + exp(−2e)) − log 2, which does not overflow
        return (error + F.softplus(-2 * error) - math.log(2)).mean() / self.k**2
