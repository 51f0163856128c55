"""Schedule-free AdamW: averaging in place of a learning-rate schedule.

Three sequences: ``z`` takes the steps of AdamW, ``x`` is the weighted average of all ``z``, and the gradient
is taken at ``y = (1 − β1) z + β1 x``. While training, the parameters are ``y``; what is validated, saved and
exported is ``x``: :meth:`ScheduleFreeAdamW.eval` puts it in place, :meth:`ScheduleFreeAdamW.train` puts ``y``
back, bit by bit. No step needs to know which one is the last.

Source: Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, "The road less scheduled", NeurIPS 2024
(arXiv:2405.15682), algorithm 1; the weights of the average are the squares of the learning rate (section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, Float, NonNegativeFloat, NonNegativeInt, PositiveFloat
from nam_like.optim.buckets import Bucket, BucketedOptimizer, Group, expect
from nam_like.optim.fields import Beta

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeAdamWConfig"]


class ScheduleFreeAdamW(BucketedOptimizer):
    """AdamW whose iterates are averaged.

    Args:
        params: what is optimised.
        lr: learning rate after the warm-up.
        betas: share of ``x`` in ``y``; kept share of the squared gradient.
        eps: added to the root of the squared gradient.
        weight_decay: decoupled, at ``y``.
        warmup_steps: over so many steps the rate rises linearly.
        r: step `t` weighs ``t^r`` more in the average.
        weight_lr_power: step `t` weighs as the largest rate so far to this power.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2.5e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        options = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "warmup_steps": warmup_steps,
            "r": r,
            "weight_lr_power": weight_lr_power,
        }
        super().__init__(params, {**options, "weight_sum": 0.0, "lr_max": 0.0, "training": True})

    def eval(self) -> None:
        """Put the averages ``x`` in the parameters' place. Done twice, it does nothing."""
        averages = dict(self.averages())
        for group in self.param_groups:
            for parameter in group["params"] if group["training"] else ():
                if parameter in averages:
                    self.state[parameter]["y"] = parameter.detach().clone()
                    parameter.data.copy_(averages[parameter])
            group["training"] = False

    def train(self) -> None:
        """Put ``y`` back, at which gradients are taken. Done twice, it does nothing."""
        for group in self.param_groups:
            for parameter in () if group["training"] else group["params"]:
                if "y" in self.state[parameter]:
                    parameter.data.copy_(self.state[parameter].pop("y"))
            group["training"] = True

    def averages(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter that was stepped, and its average ``x``."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if "x" in self.state[parameter]:
                    yield parameter, self.state[parameter]["x"]

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        expect(len(options["betas"]) == 2, "betas", "two numbers", options["betas"])
        expect(options["warmup_steps"] >= 0, "warmup_steps", "0 or more", options["warmup_steps"])

    def _prepare(self, bucket: Bucket, group: Group) -> None:
        states = self._states(bucket)
        bucket.adopt("z", states, torch.clone)
        bucket.adopt("x", states, torch.clone)
        bucket.adopt("exp_avg_sq", states)

    def _begin(self, group: Group) -> None:
        if not group["training"]:
            raise RuntimeError("expected `train()` before the next step, but the averages are in place")
        step = group["step"]
        group["rate"] = group["lr"] * min(1.0, step / max(1, group["warmup_steps"]))
        group["lr_max"] = max(group["lr_max"], group["rate"])
        weight = step ** group["r"] * group["lr_max"] ** group["weight_lr_power"]
        group["weight_sum"] += weight
        group["share"] = weight / group["weight_sum"] if group["weight_sum"] else 0.0

    def _update(self, bucket: Bucket, group: Group) -> None:
        beta1, beta2 = group["betas"]
        gradient, state = bucket.gather(), bucket.state
        x, z, v = state["x"], state["z"], state["exp_avg_sq"]
        v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = v.sqrt().div_((1 - beta2 ** group["step"]) ** 0.5).add_(group["eps"])
        direction = gradient.div_(denominator)
        if group["weight_decay"]:
            direction.add_(bucket.weights(), alpha=group["weight_decay"])
        z.sub_(direction, alpha=group["rate"])
        x.lerp_(z, group["share"])
        torch.lerp(z, x, beta1, out=bucket.update)
        bucket.assign()


class ScheduleFreeAdamWConfig(Config):
    """Schedule-free AdamW."""

    lr: PositiveFloat = Field(2.5e-3, description="learning rate after the warm-up")
    betas: tuple[Beta, Beta] = Field(
        (0.9, 0.999), description="share of the average where gradients are taken; kept share of squares"
    )
    eps: NonNegativeFloat = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegativeFloat = Field(0.0, description="decoupled weight decay")
    warmup_steps: NonNegativeInt = Field(0, description="steps over which the rate rises (steps)")
    r: Float = Field(0.0, description="step t weighs t^r more in the average")
    weight_lr_power: NonNegativeFloat = Field(
        2.0, description="a step weighs as the largest rate so far to this power"
    )

    def build(self, params: Iterable[Any]) -> ScheduleFreeAdamW:
        """Make the optimizer."""
        options = {name: getattr(self, name) for name in type(self).model_fields}
        return ScheduleFreeAdamW(params, **options)
