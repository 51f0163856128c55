"""Linear: one FIR filter, such as the impulse response of a cabinet."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Bool, Config, PositiveFloat, PositiveInt
from nam_like.models.base import Net, Weights
from nam_like.models.blocks.weights import WeightSource, conv_tensors, flat

__all__ = ["Linear", "LinearConfig"]


class Linear(Net):
    """y[n] = Σ h[k] x[n − k] (+ bias).

    Args:
        receptive_field: taps of h.
        bias: whether there is a constant.
        sample_rate: Hz, or None.
    """

    architecture: ClassVar[str] = "Linear"
    exports: frozenset[str] = frozenset({"nam", "torchscript", "onnx"})

    def __init__(self, receptive_field: int, *, bias: bool = False, sample_rate: float | None = None) -> None:
        super().__init__(sample_rate)
        self.receptive_field = receptive_field
        self.conv = nn.Conv1d(1, 1, receptive_field, bias=bias)

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        y: Tensor = self.conv(x[:, None])[:, 0]
        return y

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: the taps and the bias."""
        with torch.no_grad():
            for tensor in conv_tensors(self.conv):
                tensor.mul_(gain)

    def export_config(self) -> dict[str, Any]:
        """Number of taps, and whether there is a bias."""
        return {"receptive_field": self.receptive_field, "bias": self.conv.bias is not None}

    def export_weights(self) -> Weights:
        """The impulse response h (newest sample first, the reverse of torch's order), then the bias."""
        taps, *bias = conv_tensors(self.conv)
        return flat([taps.flip(-1), *bias])

    def import_weights(self, weights: Any) -> int:
        """Read an impulse response and a bias; see :meth:`Net.import_weights`.

        Raises:
            NamFileError: another number of weights than the net has.
        """
        source = WeightSource(weights)
        taps, *bias = conv_tensors(self.conv)
        response = np.ascontiguousarray(source.take(taps.numel())[::-1])
        WeightSource(response).fill(taps)
        source.fill(*bias)
        return source.finish()


class LinearConfig(Config):
    """A Linear."""

    receptive_field: PositiveInt = Field(description="taps of the filter (samples)")
    bias: Bool = Field(False, description="whether there is a constant")
    sample_rate: PositiveFloat | None = Field(None, description="sample rate (Hz); by default the data's")

    def build(self) -> Linear:
        """Make the net."""
        return Linear(self.receptive_field, bias=self.bias, sample_rate=self.sample_rate)


Linear.config_model = LinearConfig
