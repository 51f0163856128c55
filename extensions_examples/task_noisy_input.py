"""A task, that is a way of training: regression with a little noise added to the input.

    "task": {"name": "noisy_regression", "config": {"noise_dbfs": -70}}

Gear has noise of its own; a net that has heard some does not learn the noise of one recording by heart.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, Float
from nam_like.registry import TASKS
from nam_like.train.tasks.regression import Regression


class NoisyRegression(Regression):
    """Regression with white noise on the input of training batches.

    Args:
        noise_dbfs: RMS of the noise (dB relative to full scale).
        kwargs: see :class:`Regression`.
    """

    def __init__(self, *args: Any, noise_dbfs: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.noise = 10.0 ** (noise_dbfs / 20.0)

    def predict_batch(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Prediction and target, both ``(B, ny)``."""
        x, *rest = batch
        return super().predict_batch((x + self.noise * torch.randn_like(x), *rest))


class NoisyRegressionConfig(Config):
    """Regression with noise on the input."""

    noise_dbfs: Float = Field(-70.0, description="RMS of the noise (dBFS)")

    def build(self, *args: Any, **context: Any) -> NoisyRegression:
        """Make the task of a net."""
        return NoisyRegression(*args, noise_dbfs=self.noise_dbfs, **context)


TASKS.register(
    "noisy_regression", NoisyRegression, config=NoisyRegressionConfig, summary="regression with noisy input"
)
