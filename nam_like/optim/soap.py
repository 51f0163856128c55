"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners.

For a weight matrix with gradient ``G`` the averages ``L`` of ``G Gᵀ`` and ``R`` of ``Gᵀ G`` are kept. Adam
runs in the coordinates of their eigenvectors, ``Q_Lᵀ G Q_R``, where its element-wise scaling fits best. The
eigenvectors follow by one step of orthogonal iteration now and then. A convolution's weight counts as the
matrix (output channels, input channels · kernel size); vectors take plain Adam. The matrices of our nets are
tiny, so that both sides are preconditioned in full.

Source: Vyas, Morwani, Zhao, Shapira, Brandfonbrener, Janson, Kakade, "SOAP: Improving and stabilizing Shampoo
using Adam", 2024 (arXiv:2409.11321), algorithms 3 and 4. As in the authors' implementation the first step of
a matrix only sets up its basis (in the basis of a single gradient most coordinates are noise), and the
eigenvectors are kept in order of their eigenvalues.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, NonNegativeFloat, PositiveFloat, PositiveInt
from nam_like.optim.buckets import Bucket, BucketedOptimizer, Group, Stack, expect, matrix_shape
from nam_like.optim.fields import Beta

__all__ = ["SOAP", "SOAPConfig", "adam_direction", "next_basis"]


def adam_direction(
    m: Tensor, v: Tensor, *, betas: tuple[float, float], step: int, eps: float, out: Tensor | None = None
) -> Tensor:
    """Adam's bias-corrected ``m / (√v + ε)``."""
    denominator = v.sqrt().div_((1 - betas[1] ** step) ** 0.5).add_(eps)
    return torch.div(m, denominator.mul_(1 - betas[0] ** step), out=out)


def next_basis(average: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """One step of orthogonal iteration.

    Args:
        average: symmetric matrices ``(N, n, n)``.
        basis: orthonormal columns near their eigenvectors ``(N, n, n)``.

    Returns:
        The new basis, its columns by falling eigenvalue ``(N, n, n)``, and which of the old columns each
        comes from ``(N, n)``.
    """
    image = average @ basis
    order = (basis * image).sum(dim=1).argsort(dim=1, descending=True)
    image = image.gather(2, order[:, None, :].expand_as(image))
    return torch.linalg.qr(image).Q, order


class SOAP(BucketedOptimizer):
    """Adam in Shampoo's eigenbasis.

    Args:
        params: what is optimised.
        lr: learning rate.
        betas: kept shares of the gradient and of its square (in the eigenbasis).
        shampoo_beta: kept share of ``L`` and ``R``; None takes that of the squares.
        eps: added to the root of the squares.
        weight_decay: decoupled.
        precondition_frequency: the basis follows every so many steps.
        max_precond_dim: a side of a matrix that is longer is not preconditioned.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        *,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        precondition_frequency: int = 10,
        max_precond_dim: int = 512,
    ) -> None:
        options = {
            "lr": lr,
            "betas": tuple(betas),
            "shampoo_beta": betas[-1] if shampoo_beta is None else shampoo_beta,
            "eps": eps,
            "weight_decay": weight_decay,
            "precondition_frequency": precondition_frequency,
            "max_precond_dim": max_precond_dim,
        }
        super().__init__(params, options)

    def _check(self, options: dict[str, Any]) -> None:
        super()._check(options)
        expect(len(options["betas"]) == 2, "betas", "two numbers", options["betas"])
        beta = options["shampoo_beta"]
        expect(0.0 <= beta < 1.0, "shampoo_beta", "from 0 up to but not 1", beta)
        every = options["precondition_frequency"]
        expect(every >= 1, "precondition_frequency", "1 or more", every)

    def _is_matrix(self, parameter: Tensor, group: Group) -> bool:
        sides = matrix_shape(parameter)
        return bool(1 < min(sides) <= group["max_precond_dim"])

    def _prepare(self, bucket: Bucket, group: Group) -> None:
        states = self._states(bucket)
        bucket.adopt("exp_avg", states)
        bucket.adopt("exp_avg_sq", states)
        for stack in bucket.stacks:
            states = self._states(stack)
            for side, length in (("left", stack.rows), ("right", stack.columns)):
                if length <= group["max_precond_dim"]:
                    stack.adopt(side, states, length)
                    stack.adopt(f"{side}_basis", states, length)

    def _update(self, bucket: Bucket, group: Group) -> None:
        gradient, betas, state = bucket.gather(), group["betas"], bucket.state
        for stack in bucket.stacks:
            _average(stack, stack.of(gradient), group["shampoo_beta"])
        if bucket.fresh:
            bucket.fresh = False
            for stack in bucket.stacks:
                _set_up(stack)
            return
        for stack in bucket.stacks:
            part = stack.of(gradient)
            part.copy_(_project(stack, part))
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.lerp_(gradient, 1 - betas[0])
        v.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        step = group["step"] - 1
        adam_direction(m, v, betas=betas, step=step, eps=group["eps"], out=bucket.update)
        for stack in bucket.stacks:
            part = stack.of(bucket.update)
            part.copy_(_project_back(stack, part))
        bucket.subtract(float(group["lr"]), float(group["lr"]) * group["weight_decay"])
        if step % group["precondition_frequency"] == 0:
            for stack in bucket.stacks:
                _turn(stack, stack.of(m), stack.of(v))


def _set_up(stack: Stack) -> None:
    """The first basis: the eigenvectors of the first gradient's products."""
    for side in ("left", "right"):
        if side in stack.state:
            basis = torch.linalg.eigh(stack.state[side]).eigenvectors.flip(-1)
            stack.state[f"{side}_basis"].copy_(basis)


def _turn(stack: Stack, momentum: Tensor, squares: Tensor) -> None:
    """Let the basis follow the averages, and momentum and squares ``(N, rows, columns)`` follow the basis."""
    state = stack.state
    original = _project_back(stack, momentum)
    for side, axis in (("left", 1), ("right", 2)):
        if side in state:
            basis, order = next_basis(state[side], state[f"{side}_basis"])
            state[f"{side}_basis"].copy_(basis)
            index = order[:, :, None] if axis == 1 else order[:, None, :]
            squares.copy_(squares.gather(axis, index.expand_as(squares)))
    momentum.copy_(_project(stack, original))


def _average(stack: Stack, gradient: Tensor, beta: float) -> None:
    """``L`` and ``R``."""
    for side, product in (("left", (gradient, gradient.mT)), ("right", (gradient.mT, gradient))):
        if side in stack.state:
            stack.state[side].baddbmm_(*product, beta=beta, alpha=1 - beta)


def _project(stack: Stack, matrices: Tensor) -> Tensor:
    """``Q_Lᵀ G Q_R``."""
    if "left" in stack.state:
        matrices = stack.state["left_basis"].mT @ matrices
    return matrices @ stack.state["right_basis"] if "right" in stack.state else matrices


def _project_back(stack: Stack, matrices: Tensor) -> Tensor:
    """``Q_L G Q_Rᵀ``."""
    if "left" in stack.state:
        matrices = stack.state["left_basis"] @ matrices
    return matrices @ stack.state["right_basis"].mT if "right" in stack.state else matrices


class SOAPConfig(Config):
    """SOAP."""

    lr: PositiveFloat = Field(3e-3, description="learning rate")
    betas: tuple[Beta, Beta] = Field((0.95, 0.95), description="kept shares of the gradient and its square")
    shampoo_beta: Beta | None = Field(
        None, description="kept share of the preconditioners; null takes that of the squares"
    )
    eps: NonNegativeFloat = Field(1e-8, description="added to the denominator")
    weight_decay: NonNegativeFloat = Field(0.0, description="decoupled weight decay")
    precondition_frequency: PositiveInt = Field(
        10, description="the basis follows every so many steps (steps)"
    )
    max_precond_dim: PositiveInt = Field(512, description="longer sides of a matrix are not preconditioned")

    def build(self, params: Iterable[Any]) -> SOAP:
        """Make the optimizer."""
        options = {name: getattr(self, name) for name in type(self).model_fields}
        return SOAP(params, **options)
