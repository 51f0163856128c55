"""Configs of the schedules in :mod:`nam_like.optim.schedules`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch.optim import Optimizer

from nam_like.config.base import Bool, Config, Float, NonNegativeFloat, NonNegativeInt, PositiveInt
from nam_like.optim import schedules

__all__ = [
    "CosineAnnealingConfig",
    "InverseSquareRootAnnealingConfig",
    "NoamAnnealingConfig",
    "PolynomialDecayAnnealingConfig",
    "PolynomialHoldDecayAnnealingConfig",
    "SquareAnnealingConfig",
    "SquareRootAnnealingConfig",
    "StepScheduleConfig",
    "WarmupAnnealingConfig",
    "WarmupHoldPolicyConfig",
    "WarmupPolicyConfig",
]

Share = Annotated[Float, Field(ge=0.0, le=1.0)]


class StepScheduleConfig(Config):
    """What all of them have.

    Class attributes:
        schedule: the class it makes.
        default_interval: they step after each batch unless told otherwise.
        steps_key: the argument that the run gives, unless set: how many optimizer steps it has.
    """

    schedule: ClassVar[type[schedules.StepSchedule]]
    default_interval: ClassVar[Literal["epoch", "step"]] = "step"
    steps_key: ClassVar[str] = "max_steps"
    supplied_keys: ClassVar[frozenset[str]] = frozenset({"optimizer"})

    max_steps: PositiveInt | None = Field(None, description="steps until the end; null for those of the run")
    warmup_steps: NonNegativeInt | None = Field(None, description="steps over which the rate rises")
    warmup_ratio: Share | None = Field(None, description="the same as a share of max_steps")
    min_lr: NonNegativeFloat = Field(0.0, description="the rate at the end")

    def build(self, optimizer: Optimizer, max_steps: int | None = None) -> schedules.StepSchedule:
        """Make the schedule.

        Args:
            optimizer: whose rates it sets.
            max_steps: steps of the run, where the config does not say how many.

        Raises:
            ValueError: options that exclude each other, or lack ``max_steps``.
        """
        options = {name: getattr(self, name) for name in type(self).model_fields}
        if self.max_steps is None:
            options["max_steps"] = max_steps
        return self.schedule(optimizer, **options)


class WarmupPolicyConfig(StepScheduleConfig):
    """Config of :class:`WarmupPolicy`."""

    schedule = schedules.WarmupPolicy


class WarmupHoldPolicyConfig(StepScheduleConfig):
    """Config of :class:`WarmupHoldPolicy`."""

    schedule = schedules.WarmupHoldPolicy

    hold_steps: NonNegativeInt | None = Field(None, description="steps at the full rate")
    hold_ratio: Share | None = Field(None, description="the same as a share of max_steps")


class WarmupAnnealingConfig(StepScheduleConfig):
    """Config of :class:`WarmupAnnealing`."""

    schedule = schedules.WarmupAnnealing


class CosineAnnealingConfig(StepScheduleConfig):
    """Config of :class:`CosineAnnealing`."""

    schedule = schedules.CosineAnnealing

    constant_steps: NonNegativeInt | None = Field(None, description="last steps, at min_lr")
    constant_ratio: Share | None = Field(None, description="the same as a share of max_steps")


class NoamAnnealingConfig(StepScheduleConfig):
    """Config of :class:`NoamAnnealing`."""

    schedule = schedules.NoamAnnealing

    d_model: PositiveInt = Field(description="width of the model; the rate has its inverse root as a factor")


class InverseSquareRootAnnealingConfig(StepScheduleConfig):
    """Config of :class:`InverseSquareRootAnnealing`."""

    schedule = schedules.InverseSquareRootAnnealing


class SquareAnnealingConfig(StepScheduleConfig):
    """Config of :class:`SquareAnnealing`."""

    schedule = schedules.SquareAnnealing

    min_lr: NonNegativeFloat = Field(1e-5, description="the smallest rate")


class SquareRootAnnealingConfig(StepScheduleConfig):
    """Config of :class:`SquareRootAnnealing`."""

    schedule = schedules.SquareRootAnnealing


class PolynomialDecayAnnealingConfig(StepScheduleConfig):
    """Config of :class:`PolynomialDecayAnnealing`."""

    schedule = schedules.PolynomialDecayAnnealing

    power: NonNegativeFloat = Field(1.0, description="power of the fall; 1 is a straight line")
    cycle: Bool = Field(False, description="begin anew behind max_steps")


class PolynomialHoldDecayAnnealingConfig(WarmupHoldPolicyConfig):
    """Config of :class:`PolynomialHoldDecayAnnealing`."""

    schedule = schedules.PolynomialHoldDecayAnnealing

    power: NonNegativeFloat = Field(1.0, description="power of the fall; 1 is a straight line")
    cycle: Bool = Field(False, description="begin anew behind max_steps")
