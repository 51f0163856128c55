"""A net of our own: a polynomial waveshaper before an FIR filter (a Hammerstein model).

    "net": {"name": "Hammerstein", "config": {"taps": 64, "order": 5}}

The config is checked against the constructor: a key that it does not take is an error with "did you mean".
"""

import torch
from torch import Tensor, nn

from nam_like.models.base import BaseNet
from nam_like.registry import NETS


@NETS.register("Hammerstein", summary="a polynomial waveshaper before an FIR filter")
class Hammerstein(BaseNet):
    """y = h ∗ Σ_k a_k·x^k.

    Args:
        taps: length of the filter (samples): the receptive field.
        order: highest power of the waveshaper.
    """

    def __init__(self, taps: int = 64, order: int = 5) -> None:
        super().__init__()
        if taps < 1 or order < 1:
            raise ValueError(f"expected `taps` and `order` to be at least 1, but got {taps} and {order}")
        self.receptive_field = taps
        self.powers = nn.Parameter(torch.eye(1, order)[0])  # begins as y = x
        self.filter = nn.Conv1d(1, 1, taps, bias=False)

    def _forward(self, x: Tensor) -> Tensor:
        """``(B, L) → (B, L − taps + 1)``."""
        shaped = sum(weight * x**power for power, weight in enumerate(self.powers, start=1))
        return self.filter(shaped[:, None])[:, 0]

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: lets the hook `normalize_output` be undone on export."""
        with torch.no_grad():
            self.filter.weight *= gain
