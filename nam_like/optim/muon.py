"""Muon: momentum whose matrices are orthogonalised, and AdamW for everything that is no matrix.

The update of a weight matrix is its Nesterov momentum with all singular values brought to about 1, by five
Newton–Schulz iterations. A convolution's weight counts as the matrix (output channels, input channels ·
kernel size). Vectors, and matrices of one row or column, take AdamW in the same optimizer.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
(kellerjordan.github.io/posts/muon); the scale that lets both parts share a learning rate is from Liu et al.,
"Muon is scalable for LLM training", 2025 (arXiv:2502.16982), section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Bool, Config, NonNegativeFloat, PositiveFloat, PositiveInt
from nam_like.optim.buckets import Bucket, BucketedOptimizer, Group, expect, matrix_shape
from nam_like.optim.fields import Beta
from nam_like.optim.soap import adam_direction

__all__ = ["Muon", "MuonConfig", "orthogonalise", "update_scale"]

#: of the odd polynomial a·x + b·x³ + c·x⁵, whose iterates go near 1 fast from everywhere in (0, 1]
COEFFICIENTS = (3.4445, -4.7750, 2.0315)

Scale = Literal["adam", "spectral"]


def orthogonalise(matrices: Tensor, iterations: int = 5, eps: float = 1e-7) -> Tensor:
    """Bring all singular values of ``(N, rows, columns)`` to about 1 (0.7 to 1.2) by Newton–Schulz."""
    a, b, c = COEFFICIENTS
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + eps)
    for _ in range(iterations):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def update_scale(rows: int, columns: int, scale: Scale) -> float:
    """By what an orthogonalised update is multiplied.

    ``spectral``: √max(1, rows/columns), so that the change of the output has the size of the input's.
    ``adam``: 0.2 · √max(rows, columns), so that its elements have the size of a typical update of Adam.
    """
    return 0.2 * math.sqrt(max(rows, columns)) if scale == "adam" else math.sqrt(max(1.0, rows / columns))


class Muon(BucketedOptimizer):
    """Orthogonalised momentum for matrices, AdamW for the rest.

    Args:
        params: what is optimised.
        lr: learning rate of the matrices.
        momentum: kept share of their gradients.
        nesterov: look ahead by one step.
        iterations: of Newton–Schulz.
        scale: of the update, see :func:`update_scale`.
        adam_lr: learning rate of the rest; None takes `lr`. Schedules change both alike.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: decoupled, `lr` times it everywhere.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 5e-3,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        iterations: int = 5,
        scale: Scale = "adam",
        adam_lr: float | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "iterations": iterations,
            "scale": scale,
            "adam_ratio": 1.0 if adam_lr is None else adam_lr / lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, options)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        expect(len(options["betas"]) == 2, "betas", "two numbers", options["betas"])
        expect(0.0 <= options["momentum"] < 1.0, "momentum", "from 0 up to but not 1", options["momentum"])
        expect(options["iterations"] >= 1, "iterations", "1 or more", options["iterations"])
        expect(options["scale"] in ("adam", "spectral"), "scale", "adam or spectral", options["scale"])

    def _is_matrix(self, parameter: Tensor, group: Group) -> bool:
        return min(matrix_shape(parameter)) > 1

    def _prepare(self, bucket: Bucket, group: Group) -> None:
        bucket.adopt("exp_avg", self._states(bucket))
        bucket.adopt("exp_avg_sq", self._states(bucket))

    def _update(self, bucket: Bucket, group: Group) -> None:
        gradient, update, m = bucket.gather(), bucket.update, bucket.state["exp_avg"]
        rest = slice(bucket.matrices, None)
        betas, v = group["betas"], bucket.state["exp_avg_sq"][rest]
        m[rest].lerp_(gradient[rest], 1 - betas[0])
        v.mul_(betas[1]).addcmul_(gradient[rest], gradient[rest], value=1 - betas[1])
        adam_direction(m[rest], v, betas=betas, step=group["step"], eps=group["eps"], out=update[rest])
        update[rest].mul_(group["adam_ratio"])
        for stack in bucket.stacks:
            average, ahead = stack.of(m), stack.of(gradient)
            average.lerp_(ahead, 1 - group["momentum"])
            ahead = ahead.lerp_(average, group["momentum"]) if group["nesterov"] else average
            scale = update_scale(stack.rows, stack.columns, group["scale"])
            torch.mul(orthogonalise(ahead, group["iterations"]), scale, out=stack.of(update))
        bucket.subtract(float(group["lr"]), float(group["lr"]) * group["weight_decay"])


class MuonConfig(Config):
    """Muon, with AdamW for what is no matrix."""

    lr: PositiveFloat = Field(5e-3, description="learning rate of the matrices")
    momentum: Beta = Field(0.95, description="kept share of the matrices' gradients")
    nesterov: Bool = Field(True, description="look ahead by one step")
    iterations: PositiveInt = Field(5, description="of Newton-Schulz")
    scale: Scale = Field(
        "adam", description="of the update: `adam` for rates as those of Adam, `spectral` as first published"
    )
    adam_lr: PositiveFloat | None = Field(None, description="learning rate of the rest; null takes lr")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="of AdamW")
    eps: NonNegativeFloat = Field(1e-8, description="of AdamW")
    weight_decay: NonNegativeFloat = Field(0.0, description="decoupled weight decay")

    def build(self, params: Iterable[Any]) -> Muon:
        """Make the optimizer."""
        options = {name: getattr(self, name) for name in type(self).model_fields}
        return Muon(params, **options)
