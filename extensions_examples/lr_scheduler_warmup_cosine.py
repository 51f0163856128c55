"""A learning-rate schedule: a linear warm-up, then a cosine down to a fraction.

    "lr_scheduler": {"name": "WarmupCosine", "config": {"warmup": 5, "total": 100}, "interval": "epoch"}

A function that returns a scheduler of torch is enough; `optimizer` comes from the run.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nam_like.registry import SCHEDULERS


@SCHEDULERS.register("WarmupCosine", summary="a linear warm-up, then a cosine")
def warmup_cosine(optimizer: Optimizer, warmup: int, total: int, final: float = 0.01) -> LambdaLR:
    """Make the scheduler.

    Args:
        optimizer: whose learning rate it sets.
        warmup: intervals until the full rate.
        total: intervals until the end of the cosine.
        final: fraction of the rate that remains.
    """
    if not 0 <= warmup < total:
        raise ValueError(f"expected `warmup` to be below `total` ({total}), but got {warmup}")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / (total - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
