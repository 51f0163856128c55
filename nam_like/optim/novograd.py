"""NovoGrad: gradients normalised by a running norm per parameter tensor, with momentum behind that.

Per tensor ``v`` averages ‖g‖² (it begins with the first one), and ``m ← β₁ m + g/(√v + ε) + λ w``, by which
the weights move.

Source: B. Ginsburg et al., "Stochastic gradient methods with layer-wise adaptive moments for training of deep
networks", 2019 (arXiv:1905.11286), algorithm 1; the limit on updates: Y. You, I. Gitman, B. Ginsburg, "Large
batch training of convolutional networks", 2017 (LARC).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.optim import Optimizer

from nam_like.config.base import Bool, Config, NonNegativeFloat, PositiveFloat
from nam_like.optim.buckets import expect
from nam_like.optim.fields import Beta

__all__ = ["NovoGrad", "NovoGradConfig"]


class NovoGrad(Optimizer):
    """Layer-wise adaptive moments.

    Args:
        params: what is optimised.
        lr: learning rate.
        betas: kept shares of ``m`` and ``v``.
        eps: added to √v.
        weight_decay: λ, within the momentum.
        grad_averaging: let the new part of ``m`` weigh 1 − β₁.
        amsgrad: divide by the largest √v so far.
        luc: limit the update of a tensor to ``luc_trust`` of its own norm.
        luc_trust: that share.
        luc_eps: added to the norm of the update.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        grad_averaging: bool = False,
        amsgrad: bool = False,
        luc: bool = False,
        luc_trust: float = 1e-3,
        luc_eps: float = 1e-8,
    ) -> None:
        expect(0.0 <= lr < float("inf"), "lr", "0 or more", lr)
        expect(len(betas) == 2, "betas", "two numbers", betas)
        for beta in betas:
            expect(0.0 <= beta < 1.0, "betas", "from 0 up to but not 1", beta)
        for name, value in (("eps", eps), ("weight_decay", weight_decay)):
            expect(value >= 0.0, name, "0 or more", value)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "grad_averaging": grad_averaging,
            "amsgrad": amsgrad,
            "luc": luc,
            "luc_trust": luc_trust,
            "luc_eps": luc_eps,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Args:
            closure: evaluates the loss anew and computes the gradients.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weights]
        if not state:
            state["exp_avg"] = torch.zeros_like(weights)
            state["exp_avg_sq"] = weights.new_zeros(())
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = weights.new_zeros(())
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        energy = gradient.norm().square()
        v.copy_(torch.where(v == 0, energy, torch.lerp(energy, v, beta2)))
        largest = v
        if group["amsgrad"]:
            largest = torch.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        new = gradient / (largest.sqrt() + group["eps"])
        if group["weight_decay"]:
            new.add_(weights, alpha=group["weight_decay"])
        m.mul_(beta1).add_(new, alpha=1 - beta1 if group["grad_averaging"] else 1.0)
        rate = group["lr"]
        if group["luc"]:
            allowed = group["luc_trust"] * weights.norm() / (m.norm() + group["luc_eps"])
            rate = torch.clamp(allowed, max=rate)
        weights.sub_(m * rate)


class NovoGradConfig(Config):
    """NovoGrad."""

    lr: PositiveFloat = Field(1e-3, description="learning rate")
    betas: tuple[Beta, Beta] = Field(
        (0.95, 0.98), description="kept shares of the averages: normalised gradient, its squared norm"
    )
    eps: NonNegativeFloat = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegativeFloat = Field(0.0, description="weight decay, within the momentum")
    grad_averaging: Bool = Field(False, description="let a new gradient weigh one minus the kept share")
    amsgrad: Bool = Field(False, description="divide by the largest average of squares so far")
    luc: Bool = Field(False, description="limit each tensor's update to a share of its norm")
    luc_trust: PositiveFloat = Field(1e-3, description="that share")
    luc_eps: NonNegativeFloat = Field(1e-8, description="added to the norm of the update")

    def build(self, params: Iterable[Any]) -> NovoGrad:
        """Make the optimizer."""
        options = {name: getattr(self, name) for name in type(self).model_fields}
        return NovoGrad(params, **options)
