"""A process: the simplest Schrödinger bridge, whose noise does not grow with time (a Brownian bridge).

    "net": {"name": "SchroedingerBridgeEnhancer", "config": {…, "process": {"name": "BrownianBridge"}}}

A SchroedingerBridgeEnhancer takes subclasses of NoiseSchedule, a FlowMatchingEnhancer those of
OptimalTransportFlow, a ScoreBasedEnhancer those of OrnsteinUhlenbeckVESDE.
"""

import math

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import NonNegativeFloat, PositiveFloat
from nam_like.models.enhancement.processes.bridge import NoiseSchedule
from nam_like.models.enhancement.processes.times import ProcessConfig
from nam_like.registry import PROCESSES


class BrownianBridge(NoiseSchedule):
    """f = 0, g² = c: between x at time 0 and y at time 1 the variance is c·t·(1 − t).

    Args:
        c: scale of the noise.
        time_min: earliest time in training.
        time_max: the time of the noisy spectrogram.
    """

    def __init__(self, *, c: float = 0.4, time_min: float = 1e-4, time_max: float = 1.0) -> None:
        super().__init__(time_min, time_max)
        self.c = float(c)
        self._note_ends()

    def f(self, time: Tensor) -> Tensor:
        """Zero at all times."""
        return torch.zeros_like(time)

    def g(self, time: Tensor) -> Tensor:
        """√c at all times."""
        return torch.full_like(time, math.sqrt(self.c))

    def alpha(self, time: Tensor) -> Tensor:
        """One at all times."""
        return torch.ones_like(time)

    def sigma(self, time: Tensor) -> Tensor:
        """√(c t)."""
        return torch.sqrt(self.c * time)


class BrownianBridgeConfig(ProcessConfig):
    """Options of :class:`BrownianBridge`."""

    c: PositiveFloat = Field(0.4, description="scale of the noise")
    time_min: NonNegativeFloat = Field(1e-4, description="earliest time in training")

    def build(self) -> BrownianBridge:
        """Make the bridge."""
        return BrownianBridge(**self.model_dump())


PROCESSES.register(
    "BrownianBridge",
    BrownianBridge,
    config=BrownianBridgeConfig,
    summary="bridge from clean to noisy, with constant noise",
)
