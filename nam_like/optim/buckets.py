"""Optimizers over many tiny parameters: they are joined into one vector, which is updated at once.

A capture net has about a hundred parameters of a few hundred numbers each. An update that visits them one by
one spends its time in calls, not in arithmetic. A :class:`Bucket` therefore holds gradients and state of many
parameters in one vector per name; what stands in ``optimizer.state`` are views of it, one per parameter, so
that ``state_dict`` and ``load_state_dict`` work as those of any other optimizer. Matrices of one shape stand
next to each other in the vector, so that a :class:`Stack` of them can be multiplied in one batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Bucket", "BucketedOptimizer", "Stack", "expect", "matrix_shape"]

Group = dict[str, Any]
States = Sequence[dict[str, Any]]


def expect(condition: bool, name: str, wanted: str, value: object) -> None:
    """Raise ``ValueError`` in the grammar of all messages unless `condition` holds."""
    if not condition:
        raise ValueError(f"expected `{name}` to be {wanted}, but got {value}")


def matrix_shape(parameter: Tensor) -> tuple[int, int]:
    """Rows and columns of a parameter flattened behind its first axis; a vector has one column."""
    rows = parameter.shape[0] if parameter.dim() else 1
    return rows, parameter.numel() // max(rows, 1)


class _Views:
    """State that is joined in tensors of its own, with views of it in ``optimizer.state``."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.state: dict[str, Tensor] = {}
        self._views: dict[str, list[Tensor]] = {}

    def _place(self, name: str, joined: Tensor, views: list[Tensor], states: States) -> None:
        self.state[name], self._views[name] = joined, views
        for state, view in zip(states, views, strict=True):
            state[name] = view

    def holds(self, states: States) -> bool:
        """Whether the state of the first and the last parameter is still a view of the joined one."""
        return all(
            states[0].get(name) is views[0] and states[-1].get(name) is views[-1]
            for name, views in self._views.items()
        )


class Stack(_Views):
    """Matrices of one shape: a batch ``(N, rows, columns)`` within the vectors of a bucket.

    Args:
        parameters: of one shape; flattened behind their first axis they are the matrices.
        start: where the first begins in the bucket's vectors.

    Attributes:
        rows: of each matrix.
        columns: of each matrix.
    """

    def __init__(self, parameters: Sequence[Tensor], start: int) -> None:
        super().__init__(parameters)
        self.rows, self.columns = matrix_shape(parameters[0])
        self.stop = start + len(parameters) * self.rows * self.columns
        self._slice = slice(start, self.stop)

    def of(self, vector: Tensor) -> Tensor:
        """The matrices in a vector of the bucket: a view ``(N, rows, columns)``."""
        return vector[self._slice].view(-1, self.rows, self.columns)

    def adopt(self, name: str, states: States, side: int) -> None:
        """Keep square matrices ``(N, side, side)`` under `name`; zero where there are none yet."""
        parts = [
            state[name] if name in state else parameter.new_zeros(side, side)
            for state, parameter in zip(states, self.parameters, strict=True)
        ]
        joined = torch.stack(parts)
        self._place(name, joined, list(joined.unbind()), states)


class Bucket(_Views):
    """Parameters that are updated together.

    Args:
        parameters: of one device and dtype.
        is_matrix: which of them form stacks; those come first in the vectors.

    Attributes:
        gradient: the joined gradients ``(n,)``; filled by :meth:`gather`.
        update: room for the step ``(n,)``; its views go to the parameters.
        stacks: the matrices.
        matrices: how many numbers of the vectors belong to matrices.
        fresh: a parameter had no state yet when the bucket was made (the optimizer resets it).
    """

    def __init__(self, parameters: Sequence[Tensor], is_matrix: Callable[[Tensor], bool]) -> None:
        def shape(parameter: Tensor) -> tuple[int, ...]:
            return tuple(parameter.shape)

        matrices = sorted((parameter for parameter in parameters if is_matrix(parameter)), key=shape)
        super().__init__([*matrices, *(parameter for parameter in parameters if not is_matrix(parameter))])
        self.stacks: list[Stack] = []
        self.matrices = 0
        self.fresh = False
        for _, alike in itertools.groupby(matrices, shape):
            self.stacks.append(Stack(list(alike), self.matrices))
            self.matrices = self.stacks[-1].stop
        self.gradient = torch.cat([torch.zeros_like(parameter).reshape(-1) for parameter in self.parameters])
        self.update = torch.zeros_like(self.gradient)
        self._gradients = self.split(self.gradient)
        self._updates = self.split(self.update)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views of a vector ``(n,)``, one of each parameter's shape."""
        pieces = torch.split(vector, [parameter.numel() for parameter in self.parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self.parameters, strict=True)]

    def adopt(self, name: str, states: States, fresh: Callable[[Tensor], Tensor] = torch.zeros_like) -> None:
        """Join the state called `name` of all parameters, and leave views of it in their place.

        Args:
            name: of the state.
            states: what the optimizer keeps of each parameter.
            fresh: makes the state of a parameter that has none.
        """
        parts = [
            state[name] if name in state else fresh(parameter)
            for state, parameter in zip(states, self.parameters, strict=True)
        ]
        self.fresh |= any(name not in state for state in states)
        joined = torch.cat([part.reshape(-1) for part in parts])
        self._place(name, joined, self.split(joined), states)

    def gather(self) -> Tensor:
        """Fetch the gradients; returns :attr:`gradient`."""
        torch._foreach_copy_(self._gradients, [p.grad for p in self.parameters])  # type: ignore[misc]
        return self.gradient

    def weights(self) -> Tensor:
        """A joined copy of the parameters."""
        return torch.cat([parameter.reshape(-1) for parameter in self.parameters])

    def assign(self) -> None:
        """``p ← update`` for every parameter."""
        torch._foreach_copy_(self.parameters, self._updates)

    def subtract(self, rate: float, decay: float = 0.0) -> None:
        """``p ← (1 − decay) · p − rate · update`` for every parameter."""
        if decay:
            torch._foreach_mul_(self.parameters, 1.0 - decay)
        torch._foreach_add_(self.parameters, self._updates, alpha=-rate)


class BucketedOptimizer(Optimizer):
    """Base: divides the parameters of each group into buckets and updates those.

    A subclass says in :meth:`_is_matrix` what it treats as matrices, in :meth:`_prepare` which state a bucket
    needs, and in :meth:`_update` what a step does. Parameters without a gradient are left alone. The step
    count is the group's (``group["step"]``).

    Args:
        params: tensors or parameter groups.
        defaults: options of groups that do not set them.
    """

    #: the options that a subclass checks; see :meth:`_check`
    betas_allowed: ClassVar[str] = "from 0 up to but not 1"

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self._check(defaults)
        self._cache: dict[int, tuple[tuple[int, ...], list[Bucket]]] = {}
        super().__init__(params, {**defaults, "step": 0})

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
        for index, group in enumerate(self.param_groups):
            buckets = self._buckets(index, group)
            if buckets:
                group["step"] += 1
                self._begin(group)
            for bucket in buckets:
                self._update(bucket, group)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        super().load_state_dict(state_dict)
        self._cache.clear()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._cache = {}

    # -- what a subclass defines --------------------------------------------------------------------

    def _check(self, options: dict[str, Any]) -> None:
        """Refuse options out of range.

        Raises:
            ValueError: which option, what it may be, and what it is.
        """
        lr = float(options["lr"])
        expect(0.0 <= lr < float("inf"), "lr", "0 or more", lr)
        for name in ("eps", "weight_decay"):
            if name in options:
                expect(options[name] >= 0.0, name, "0 or more", options[name])
        for beta in options.get("betas", ()):
            expect(0.0 <= beta < 1.0, "betas", self.betas_allowed, beta)

    def _is_matrix(self, parameter: Tensor, group: Group) -> bool:
        """Whether a parameter is treated as a matrix."""
        return False

    def _prepare(self, bucket: Bucket, group: Group) -> None:
        """Let the bucket adopt its state."""
        raise NotImplementedError

    def _begin(self, group: Group) -> None:
        """Whatever a step needs once for the whole group."""

    def _update(self, bucket: Bucket, group: Group) -> None:
        """One step of a bucket."""
        raise NotImplementedError

    # -- details ------------------------------------------------------------------------------------

    def _buckets(self, index: int, group: Group) -> list[Bucket]:
        """The buckets of a group; made anew when other parameters have gradients or the state is another."""
        live = [parameter for parameter in group["params"] if parameter.grad is not None]
        key = tuple(map(id, live))
        known, buckets = self._cache.get(index, ((), []))
        if key != known or not all(self._holds(bucket) for bucket in buckets):

            def is_matrix(parameter: Tensor) -> bool:
                return self._is_matrix(parameter, group)

            buckets = [Bucket(parameters, is_matrix) for parameters in _alike(live)]
            for bucket in buckets:
                self._prepare(bucket, group)
            self._cache[index] = (key, buckets)
        return buckets

    def _states(self, part: Bucket | Stack) -> States:
        return [self.state[parameter] for parameter in part.parameters]

    def _holds(self, bucket: Bucket) -> bool:
        """Whether the state is still the bucket's own: nobody has loaded or moved it since."""
        return all(
            part.holds([self.state[part.parameters[0]], self.state[part.parameters[-1]]])
            for part in (bucket, *bucket.stacks)
        )


def _alike(parameters: list[Tensor]) -> list[list[Tensor]]:
    """The parameters by device and dtype.

    Raises:
        ValueError: one is sparse or complex.
    """
    for parameter in parameters:
        if parameter.is_complex() or parameter.grad is None or parameter.grad.is_sparse:
            raise ValueError("expected real parameters with dense gradients, but got another kind")

    def kind(parameter: Tensor) -> tuple[str, str]:
        return str(parameter.device), str(parameter.dtype)

    return [list(part) for _, part in itertools.groupby(sorted(parameters, key=kind), kind)]
