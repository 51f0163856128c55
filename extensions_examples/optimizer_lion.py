"""An optimizer: Lion, which steps by the sign of an interpolated momentum.

    "optimizer": {"name": "Lion", "config": {"lr": 0.0003, "weight_decay": 0.01}}

`params` comes from the run and is not part of the config.
Source: Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from nam_like.registry import OPTIMIZERS


@OPTIMIZERS.register("Lion", summary="steps by the sign of the momentum")
class Lion(Optimizer):
    """Sign-momentum steps with decoupled weight decay.

    Args:
        params: what is optimised.
        lr: learning rate; a third to a tenth of Adam's.
        beta1: share of the momentum in the step.
        beta2: share of the momentum that is kept.
        weight_decay: decoupled.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or not 0 <= beta1 < 1 or not 0 <= beta2 < 1:
            raise ValueError(f"expected lr ≥ 0 and betas in [0, 1), but got {lr}, {beta1} and {beta2}")
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                direction = torch.lerp(parameter.grad, momentum, group["beta1"]).sign_()
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
                momentum.lerp_(parameter.grad, 1 - group["beta2"])
        return loss
