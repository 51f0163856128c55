"""Learning rates that rise, hold and fall over the steps of a run: the schedules of NeMo, by their names.

All step after each batch, and take their length from the run unless ``max_steps`` is given. The rate of a
step is a function of its number alone. ``base`` is the optimizer's learning rate, ``w`` the warm-up's steps:

- warm-up: base · (step + 1) / (w + 1) up to and including step w;
- behind ``max_steps``: ``min_lr``.

Sources: I. Loshchilov, F. Hutter, "SGDR", 2017 (cosine); A. Vaswani et al., "Attention is all you need", 2017
(Noam).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

__all__ = [
    "CosineAnnealing",
    "InverseSquareRootAnnealing",
    "NoamAnnealing",
    "PolynomialDecayAnnealing",
    "PolynomialHoldDecayAnnealing",
    "SquareAnnealing",
    "SquareRootAnnealing",
    "StepSchedule",
    "WarmupAnnealing",
    "WarmupHoldPolicy",
    "WarmupPolicy",
    "polynomial",
]


def polynomial(
    base: float, step: int, span: int, *, power: float, min_lr: float, cycle: bool = False
) -> float:
    """Falls from `base` to `min_lr` as (1 − step/span)^power.

    Args:
        base: the rate at step 0.
        step: counted from where the fall begins.
        span: steps of the fall; behind them the rate stays.
        power: 1 is a straight line.
        min_lr: the rate at the end.
        cycle: at the end of a span, begin anew over as many steps as there have been, and one span more.
    """
    if cycle:
        span *= max(1, math.ceil(step / span))
    left = 1.0 - min(step / span, 1.0)
    return min_lr + (base - min_lr) * math.pow(left, power)


class StepSchedule(LRScheduler):
    """Base: a rise, then what a subclass says.

    Args:
        optimizer: whose rates it sets.
        max_steps: steps of the run.
        warmup_steps: steps of the rise.
        warmup_ratio: the same as a share of `max_steps`.
        min_lr: the rate behind `max_steps`, and the smallest one before where the subclass has one.
        last_epoch: the step it was interrupted at; −1 to begin.

    Raises:
        ValueError: options that exclude each other, or lack `max_steps`.
    """

    #: whether the rate depends on how many steps there are
    needs_max_steps: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        max_steps: int | None = None,
        warmup_steps: int | None = None,
        warmup_ratio: float | None = None,
        min_lr: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.max_steps = max_steps
        if self.needs_max_steps:
            self._total("a rate that falls")
        self.warmup_steps = self._steps("warmup", warmup_steps, warmup_ratio)
        self.min_lr = min_lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rate of each parameter group at the present step."""
        return [self.rate(float(base), self.last_epoch) for base in self.base_lrs]

    def rate(self, base: float, step: int) -> float:
        """The rate at a step (counted from 0)."""
        if self.warmup_steps and step <= self.warmup_steps:
            return self._rising(base, step)
        if self.max_steps is not None and step > self.max_steps:
            return self.min_lr
        return self._annealed(base, step)

    def _rising(self, base: float, step: int) -> float:
        return base * (step + 1) / (self.warmup_steps + 1)

    def _annealed(self, base: float, step: int) -> float:
        """The rate between the warm-up and `max_steps`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `_annealed`")

    def _total(self, wanted_by: str) -> int:
        if self.max_steps is None:
            raise ValueError(
                f"expected `max_steps` for {wanted_by}, but got none "
                "(a run gives it to schedules whose `interval` is step)"
            )
        return self.max_steps

    def _span(self, *before: int) -> int:
        """Steps up to the end behind `before`; at least one, for a run may be shorter than its warm-up."""
        return max(1, self._total("a rate that falls") - sum(before))

    def _steps(self, name: str, steps: int | None, ratio: float | None) -> int:
        if steps is not None and ratio is not None:
            raise ValueError(f"expected `{name}_steps` or `{name}_ratio`, but got both: {steps} and {ratio}")
        if ratio is not None:
            return int(ratio * self._total(f"`{name}_ratio`"))
        return steps or 0

    def _check_floor(self) -> None:
        """Refuse a `min_lr` above the rates.

        Raises:
            ValueError: it is.
        """
        lowest = min(float(base) for base in self.base_lrs)
        if lowest < self.min_lr:
            raise ValueError(f"expected `min_lr` to be at most the rate {lowest}, but got {self.min_lr}")


class WarmupPolicy(StepSchedule):
    """Constant after the warm-up."""

    needs_max_steps = False

    def _annealed(self, base: float, step: int) -> float:
        return base


class WarmupHoldPolicy(StepSchedule):
    """Constant after the warm-up, for a hold, after which subclasses fall.

    Args:
        optimizer: whose rates it sets.
        hold_steps: steps of the hold.
        hold_ratio: the same as a share of ``max_steps``.
        options: those of :class:`StepSchedule`.
    """

    needs_max_steps = False

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        hold_steps: int | None = None,
        hold_ratio: float | None = None,
        max_steps: int | None = None,
        **options: Any,
    ) -> None:
        self.max_steps = max_steps
        self.hold_steps = self._steps("hold", hold_steps, hold_ratio)
        super().__init__(optimizer, max_steps=max_steps, **options)

    def _annealed(self, base: float, step: int) -> float:
        held = self.warmup_steps + self.hold_steps
        return base if step < held else self._after_hold(base, step - held)

    def _after_hold(self, base: float, step: int) -> float:
        """The rate so many steps behind the hold."""
        return base


class WarmupAnnealing(StepSchedule):
    """Falls in a straight line to ``min_lr``."""

    def _annealed(self, base: float, step: int) -> float:
        done = step - self.warmup_steps
        return polynomial(base, done, self._span(self.warmup_steps), power=1.0, min_lr=self.min_lr)


class CosineAnnealing(StepSchedule):
    """Falls as half a cosine to ``min_lr``, and may stay there for the last steps.

    With a constant end the warm-up is base · step / w, as in the schedules of large language models.

    Args:
        optimizer: whose rates it sets.
        constant_steps: last steps, at ``min_lr``.
        constant_ratio: the same as a share of ``max_steps``.
        options: those of :class:`StepSchedule`.

    Raises:
        ValueError: as there, or ``min_lr`` is above the optimizer's rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        constant_steps: int | None = None,
        constant_ratio: float | None = None,
        max_steps: int | None = None,
        **options: Any,
    ) -> None:
        self.max_steps = max_steps
        self.constant_steps = self._steps("constant", constant_steps, constant_ratio)
        super().__init__(optimizer, max_steps=max_steps, **options)
        self._check_floor()

    def _rising(self, base: float, step: int) -> float:
        return base * step / self.warmup_steps if self.constant_steps else super()._rising(base, step)

    def _annealed(self, base: float, step: int) -> float:
        done = (step - self.warmup_steps) / self._span(self.warmup_steps, self.constant_steps)
        return self.min_lr + (base - self.min_lr) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


class NoamAnnealing(StepSchedule):
    """base · d_model^−½ · min(step^−½, step · w^−1.5): rises in a straight line, then falls as the root.

    Args:
        optimizer: whose rates it sets; they are factors here.
        d_model: width of the model.
        options: those of :class:`StepSchedule`.

    Raises:
        ValueError: as there, or ``min_lr`` is above the optimizer's rate.
    """

    needs_max_steps = False

    def __init__(self, optimizer: Optimizer, *, d_model: int, **options: Any) -> None:
        self.d_model = d_model
        super().__init__(optimizer, **options)
        self._check_floor()

    def rate(self, base: float, step: int) -> float:
        """The rate at a step (counted from 0); it has no end."""
        step = max(1, step)
        falling = step**-0.5
        factor = min(falling, step * self.warmup_steps**-1.5) if self.warmup_steps else falling
        rate = base * float(self.d_model**-0.5 * factor)
        return max(rate, self.min_lr) if step > self.warmup_steps else rate


class InverseSquareRootAnnealing(StepSchedule):
    """base · √((w + 1) / (step + 1))."""

    needs_max_steps = False

    def _annealed(self, base: float, step: int) -> float:
        return base * math.sqrt((self.warmup_steps + 1) / (step + 1))


class SquareAnnealing(StepSchedule):
    """base times the square of the share of steps left behind the warm-up, but at least ``min_lr``."""

    def __init__(self, optimizer: Optimizer, *, min_lr: float = 1e-5, **options: Any) -> None:
        super().__init__(optimizer, min_lr=min_lr, **options)

    def _annealed(self, base: float, step: int) -> float:
        left = polynomial(1.0, step - self.warmup_steps, self._span(self.warmup_steps), power=2.0, min_lr=0.0)
        return max(base * left, self.min_lr)


class SquareRootAnnealing(StepSchedule):
    """base times the root of the share of all steps that is left, but at least ``min_lr``."""

    def _annealed(self, base: float, step: int) -> float:
        return max(base * polynomial(1.0, step, self._span(), power=0.5, min_lr=0.0), self.min_lr)


class PolynomialDecayAnnealing(StepSchedule):
    """Falls to ``min_lr`` as a power of the share of steps left behind the warm-up.

    Args:
        optimizer: whose rates it sets.
        power: the power; 1 is a straight line.
        cycle: begin anew behind ``max_steps``.
        options: those of :class:`StepSchedule`.
    """

    def __init__(
        self, optimizer: Optimizer, *, power: float = 1.0, cycle: bool = False, **options: Any
    ) -> None:
        self.power, self.cycle = power, cycle
        super().__init__(optimizer, **options)

    def rate(self, base: float, step: int) -> float:
        """The rate at a step (counted from 0)."""
        if self.cycle and step > self.warmup_steps:
            return self._annealed(base, step)
        return super().rate(base, step)

    def _annealed(self, base: float, step: int) -> float:
        done, span = step - self.warmup_steps, self._span(self.warmup_steps)
        return polynomial(base, done, span, power=self.power, min_lr=self.min_lr, cycle=self.cycle)


class PolynomialHoldDecayAnnealing(WarmupHoldPolicy):
    """Falls as :class:`PolynomialDecayAnnealing`, behind a hold.

    Args:
        optimizer: whose rates it sets.
        power: the power; 1 is a straight line.
        cycle: begin anew behind ``max_steps``.
        options: those of :class:`WarmupHoldPolicy`.
    """

    needs_max_steps = True

    def __init__(
        self, optimizer: Optimizer, *, power: float = 1.0, cycle: bool = False, **options: Any
    ) -> None:
        self.power, self.cycle = power, cycle
        super().__init__(optimizer, **options)

    def rate(self, base: float, step: int) -> float:
        """The rate at a step (counted from 0)."""
        if self.cycle and step > self.warmup_steps:
            return self._annealed(base, step)
        return super().rate(base, step)

    def _after_hold(self, base: float, step: int) -> float:
        span = self._span(self.warmup_steps, self.hold_steps)
        return polynomial(base, step, span, power=self.power, min_lr=self.min_lr, cycle=self.cycle)
