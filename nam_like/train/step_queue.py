"""Optimizer steps that are collected and done several at a time; on CUDA devices as one graph.

A step of a small net is a hundred short kernels, and starting them from Python takes longer than they run. So
their launches are recorded once (forward pass, loss, backward pass, clipping, optimizer) and then replayed as
one: batches are copied to where the recorded kernels read them, learning rates go to the device as numbers, and
nothing waits for the device. On other devices the very same function runs, step by step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Clipping", "QueuedSteps", "StepQueue"]

log = logging.getLogger(__name__)

Batch = tuple[Tensor, ...]

#: Steps that are done at once and not recorded: libraries choose and compile their kernels in these.
WARM_UP = 3


@dataclass(frozen=True)
class Clipping:
    """Limits gradients by their common norm, or each by its value.

    Attributes:
        limit: None for none.
        by_value: clip each value instead of the norm.
    """

    limit: float | None = None
    by_value: bool = False

    def __call__(self, parameters: list[Tensor]) -> None:
        """Clip the gradients of `parameters` in place."""
        if not self.limit:
            return
        if self.by_value:
            torch.nn.utils.clip_grad_value_(parameters, self.limit)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, self.limit)


@dataclass
class _Slots:
    """Where the batches of one shape wait.

    Attributes:
        batches: the recorded kernels read these.
        rates: learning rates of each step and parameter group, for steps without graphs.
        device_rates: the same for the recorded kernels, ``(size, groups)``.
        sums: summed losses of a launch, ``(K,)``.
        warm: steps done so far without recording.
        graphs: recorded launches, by their number of steps.
    """

    batches: list[Batch]
    rates: list[list[float]] = field(default_factory=list)
    device_rates: Tensor | None = None
    sums: Tensor | None = None
    warm: int = 0
    graphs: dict[int, torch.cuda.CUDAGraph] = field(default_factory=dict)


class StepQueue:
    """Takes batches, and does `size` optimizer steps at a time.

    Args:
        losses: of a batch: the loss that is minimised (scalar), and everything that is summed up ``(K,)``.
        optimizer: steps on its parameters.
        report: called with the sums of a launch ``(K,)`` and its number of steps.
        size: steps per launch.
        clipping: of the gradients.
        graphs: record CUDA graphs; the device must be one.
    """

    def __init__(
        self,
        losses: Callable[[Batch], tuple[Tensor, Tensor]],
        optimizer: Optimizer,
        report: Callable[[Tensor, int], None],
        *,
        size: int,
        clipping: Clipping | None = None,
        graphs: bool = False,
    ) -> None:
        self.losses = losses
        self.optimizer = optimizer
        self.report = report
        self.size = size
        self.clipping = clipping or Clipping()
        self.graphs = graphs
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._shapes: dict[Any, _Slots] = {}
        self._current: _Slots | None = None
        self._pool: Any = None
        self._latest = torch.zeros((), device=self.parameters[0].device)
        if graphs:
            self._move_counters()

    @property
    def waiting(self) -> int:
        """Steps that are not done yet."""
        return 0 if self._current is None else len(self._current.rates)

    def push(self, batch: Batch) -> Tensor:
        """Take a batch and the present learning rates; returns a recent mean loss, scalar."""
        slots = self._slots_for(batch)
        if slots is not self._current:
            self.flush()
            self._current = slots
        for waits, given in zip(slots.batches[len(slots.rates)], batch, strict=True):
            waits.copy_(given, non_blocking=True)
        slots.rates.append([float(group["lr"]) for group in self.optimizer.param_groups])
        if len(slots.rates) == self.size or slots.warm < WARM_UP:
            self.flush()
        return self._latest

    def flush(self) -> None:
        """Do what waits. Called wherever somebody looks at the weights."""
        slots, count = self._current, self.waiting
        if slots is None or count == 0:
            return
        # A validation may already have switched gradients off.
        with torch.inference_mode(False), torch.enable_grad():
            if self.graphs and slots.warm >= WARM_UP:
                sums = self._replay(slots, count)
            else:
                sums = self._warm_up(slots, count)
        slots.rates.clear()
        self._latest = sums[0] / count
        self.report(sums, count)

    # -- one launch -------------------------------------------------------------------------------

    def _run(self, slots: _Slots, count: int) -> Tensor:
        """`count` steps on the batches in the slots; this is what graphs record."""
        total: Tensor | None = None
        for number in range(count):
            losses = self._step(slots.batches[number], slots, number)
            total = losses if total is None else total + losses
        if total is None:
            raise RuntimeError(f"expected at least 1 step, but got {count}")
        return total

    def _step(self, batch: Batch, slots: _Slots, number: int) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss, values = self.losses(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.clipping(self.parameters)
        with self._rates_of(slots, number):
            self.optimizer.step()
        return values

    @contextmanager
    def _rates_of(self, slots: _Slots, number: int) -> Iterator[None]:
        """Give the optimizer the rates that were in force when a batch came; put the present ones back."""
        groups = self.optimizer.param_groups
        kept = [{key: group[key] for key in ("lr", "capturable") if key in group} for group in groups]
        for index, group in enumerate(groups):
            if slots.device_rates is None:
                group["lr"] = slots.rates[number][index]
            else:
                group["lr"] = slots.device_rates[number, index]
                group["capturable"] = True
        try:
            yield
        finally:
            for group, values in zip(groups, kept, strict=True):
                group.update(values)

    def _warm_up(self, slots: _Slots, count: int) -> Tensor:
        """Steps without a recording; before one they run on a stream beside the main one, as recordings do."""
        slots.warm += count
        self._send_rates(slots)
        if not self.graphs:
            return self._run(slots, count)
        stream, main = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            sums = self._run(slots, count)
        main.wait_stream(stream)
        return sums

    # -- graphs -----------------------------------------------------------------------------------

    def _replay(self, slots: _Slots, count: int) -> Tensor:
        """Replay the recording of a full queue, or that of one step as often as needed."""
        self._send_rates(slots)
        if slots.sums is None or slots.device_rates is None:
            raise RuntimeError("expected steps before the first recording, but there were none")
        if count == self.size:
            self._graph(slots, count).replay()
            return slots.sums.clone()
        total = torch.zeros_like(slots.sums)
        for number in range(count):
            if number:
                for first, waits in zip(slots.batches[0], slots.batches[number], strict=True):
                    first.copy_(waits)
                slots.device_rates[0].copy_(slots.device_rates[number])
            self._graph(slots, 1).replay()
            total += slots.sums
        return total

    def _graph(self, slots: _Slots, count: int) -> torch.cuda.CUDAGraph:
        graph = slots.graphs.get(count)
        if graph is None:
            if slots.sums is None:
                raise RuntimeError("expected a place for the sums of a recording, but there is none")
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                slots.sums.copy_(self._run(slots, count))
            self._pool = graph.pool()  # recordings never run at the same time, so they share their memory
            slots.graphs[count] = graph
        return graph

    def _send_rates(self, slots: _Slots) -> None:
        """Bring the learning rates to the device, without waiting for it."""
        if slots.device_rates is not None:
            rates = torch.tensor(slots.rates, dtype=slots.device_rates.dtype)
            slots.device_rates[: len(rates)].copy_(rates, non_blocking=True)

    def _slots_for(self, batch: Batch) -> _Slots:
        shape = tuple((tuple(part.shape), part.dtype) for part in batch)
        slots = self._shapes.get(shape)
        if slots is None:
            device = self.parameters[0].device
            places = [
                tuple(torch.empty(part.shape, dtype=part.dtype, device=device) for part in batch)
                for _ in range(self.size)
            ]
            slots = self._shapes[shape] = _Slots(places)
            if self.graphs:
                slots.device_rates = torch.zeros(self.size, len(self.optimizer.param_groups), device=device)
                with torch.no_grad():
                    slots.sums = torch.zeros_like(self.losses(batch)[1])
        return slots

    def _move_counters(self) -> None:
        """Bring the step counters of a resumed optimizer to the device, where recorded kernels count."""
        device = self.parameters[0].device
        for state in self.optimizer.state.values():
            if isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].to(device)


class QueuedSteps(pl.LightningModule):
    """A module whose optimizer steps are done by a :class:`StepQueue` while it has one.

    Lightning still counts every batch as a step and drives schedules, validations and checkpoints. The queue
    is flushed before anyone looks: before the module is put into evaluation mode, and by :meth:`state_dict`.
    """

    queue: StepQueue | None = None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Nothing to do when the queue goes back itself."""
        if self.queue is None:
            super().backward(loss, *args, **kwargs)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Nothing to do when the queue does it itself."""
        if self.queue is None:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Hand the batch to the queue (the closure calls ``training_step``), which steps when it is full."""
        if self.queue is None:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        elif optimizer_closure is not None:
            optimizer_closure()

    def on_validation_model_eval(self) -> None:
        """Do what waits while the module still trains."""
        self.flush()
        super().on_validation_model_eval()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The state after all steps."""
        self.flush()
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        return state

    def flush(self) -> None:
        """Do all steps that wait."""
        if self.queue is not None:
            self.queue.flush()
