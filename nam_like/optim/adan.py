"""Adan: Adam with Nesterov momentum, reformulated so that it needs no gradient at the extrapolated point.

Three averages are kept: of the gradient ``m``, of its change ``v``, and of the square of the gradient
extrapolated by that change ``n``. As in the authors' implementation the averages are bias-corrected, and
``betas`` are the shares that are kept (the paper writes 1 − β).

Source: Xie, Zhou, Li, Lin, Yan, "Adan: Adaptive Nesterov momentum algorithm for faster optimizing deep
models", 2022 (arXiv:2208.06677), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field

from nam_like.config.base import Config, NonNegativeFloat, PositiveFloat
from nam_like.optim.buckets import Bucket, BucketedOptimizer, Group, expect
from nam_like.optim.fields import Beta

__all__ = ["Adan", "AdanConfig"]


class Adan(BucketedOptimizer):
    """Adaptive Nesterov momentum.

    Args:
        params: what is optimised.
        lr: learning rate.
        betas: kept shares of ``m``, ``v`` and ``n``.
        eps: added to the root of ``n``.
        weight_decay: decoupled; weights are divided by ``1 + lr · weight_decay``.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        expect(len(options["betas"]) == 3, "betas", "three numbers", options["betas"])

    def _prepare(self, bucket: Bucket, group: Group) -> None:
        states = self._states(bucket)
        for name in ("exp_avg", "exp_avg_diff", "exp_avg_sq"):
            bucket.adopt(name, states)
        # In its first step a parameter's gradient has not changed.
        gradients = {id(p): p.grad for p in bucket.parameters if p.grad is not None}
        bucket.adopt("previous_grad", states, lambda p: gradients[id(p)].clone())

    def _update(self, bucket: Bucket, group: Group) -> None:
        beta1, beta2, beta3 = group["betas"]
        step, lr = group["step"], float(group["lr"])
        gradient, state = bucket.gather(), bucket.state
        m, v, n = state["exp_avg"], state["exp_avg_diff"], state["exp_avg_sq"]
        change = gradient - state["previous_grad"]
        m.lerp_(gradient, 1 - beta1)
        v.lerp_(change, 1 - beta2)
        extrapolated = torch.add(gradient, change, alpha=beta2)
        n.mul_(beta3).addcmul_(extrapolated, extrapolated, value=1 - beta3)
        denominator = n.sqrt().div_((1 - beta3**step) ** 0.5).add_(group["eps"])
        torch.div(m, 1 - beta1**step, out=bucket.update)
        bucket.update.add_(v, alpha=beta2 / (1 - beta2**step)).div_(denominator)
        shrink = 1.0 / (1.0 + lr * group["weight_decay"])
        bucket.subtract(lr * shrink, 1.0 - shrink)
        state["previous_grad"].copy_(gradient)


class AdanConfig(Config):
    """Adan."""

    lr: PositiveFloat = Field(1e-3, description="learning rate")
    betas: tuple[Beta, Beta, Beta] = Field(
        (0.98, 0.92, 0.99), description="kept shares of the averages: gradient, its change, squares"
    )
    eps: NonNegativeFloat = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegativeFloat = Field(0.0, description="decoupled weight decay")

    def build(self, params: Iterable[Any]) -> Adan:
        """Make the optimizer."""
        return Adan(params, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay)
