"""An activation: Snake, x + sin²(a·x)/a with one trained `a` per layer, for periodic signals.

    "activation": {"name": "Snake", "a": 2.0}

The realtime engine does not know it: a net with it becomes TorchScript, but no .nam; `nam_like check` tells.
Source: Ziyin, Hartwig and Ueda, "Neural networks fail to learn periodic functions and how to fix it", 2020.
"""

import torch
from torch import Tensor, nn

from nam_like.registry import ACTIVATIONS


@ACTIVATIONS.register("Snake", summary="x + sin²(a·x)/a, periodic")
class Snake(nn.Module):
    """x + sin²(a·x)/a, sample by sample.

    Args:
        a: frequency in the beginning; it is trained.
    """

    def __init__(self, a: float = 1.0) -> None:
        super().__init__()
        if a == 0:
            raise ValueError("expected `a` not to be 0")
        self.a = nn.Parameter(torch.tensor(float(a)))

    def forward(self, x: Tensor) -> Tensor:
        """``(…) → (…)``."""
        return x + torch.sin(self.a * x).square() / self.a
