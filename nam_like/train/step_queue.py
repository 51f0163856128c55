"""Optimizer steps that are collected and done several at a time; on CUDA devices as one recording.

A step of a small net is a hundred short kernels, and starting them from Python takes longer than they run. So
their launches are recorded once (forward pass, loss, backward pass, clipping, optimizer, average) and then
replayed as one: batches are copied to where the recorded kernels read them, numbers that change from step to
step go to the device in one small table, and nothing waits for the device. Without a recorder the very same
function runs, step by step, and gives what the ordinary loop gives, bit by bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from nam_like.train.recording import Recorder

__all__ = ["RECORDABLE", "Clipping", "DirectSteps", "Follower", "StepProgram", "StepQueue"]

log = logging.getLogger(__name__)

Batch = tuple[Tensor, ...]
#: A number on the host, or where recorded kernels read it: a scalar tensor on the device.
Number = float | Tensor

#: Steps of each shape that are done at once and not recorded: libraries choose and compile kernels in these.
WARM_UP = 3
#: Shapes of batches that are recorded; each takes memory of its own for its batches and recordings.
MOST_SHAPES = 8
#: Optimizers that take the learning rate from the device and never wait for it; subclasses may do anything.
RECORDABLE = (
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
)
#: What schedules change from step to step, beside the learning rate.
SCHEDULED = ("betas", "momentum", "alpha", "eps", "weight_decay")


class Follower(Protocol):
    """What is brought up to date after each optimizer step, such as an average of the weights."""

    def next_number(self) -> float:
        """The number that belongs to the step that is taken up now; called once per step, in order."""

    def follow(self, number: Number) -> None:
        """Do the update after a step; may be recorded."""


@dataclass(frozen=True)
class Clipping:
    """Limits gradients by their common norm, or each by its value.

    Attributes:
        limit: None or 0 for none.
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


class StepProgram:
    """One optimizer step, as a function of a batch and of numbers.

    Args:
        loss: of a batch; called inside the step, so what else it computes is recorded with it.
        optimizer: steps on its parameters.
        clipping: of the gradients.
        followers: called after the optimizer.
    """

    def __init__(
        self,
        loss: Callable[[Batch], Tensor],
        optimizer: Optimizer,
        clipping: Clipping | None = None,
        followers: Sequence[Follower] = (),
    ) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self.clipping = clipping or Clipping()
        self.followers = tuple(followers)
        self.parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self.device = self.parameters[0].device
        #: Loss of the latest step, always in the same place.
        self.latest = torch.zeros((), device=self.device)

    def take_numbers(self) -> list[float]:
        """The numbers of the step that is taken up now: a learning rate per group, and the followers'."""
        rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        return [*rates, *(follower.next_number() for follower in self.followers)]

    def options(self) -> list[dict[str, Any]]:
        """What schedules may change beside the learning rate, per group."""
        return [
            {key: group[key] for key in SCHEDULED if key in group} for group in self.optimizer.param_groups
        ]

    def step(self, batch: Batch, numbers: Sequence[Number], options: Sequence[dict[str, Any]]) -> None:
        """Do one step with the numbers and options that were in force when the batch came."""
        loss = self._gradients(batch)
        rates = numbers[: len(self.optimizer.param_groups)]
        with self._in_force(rates, options):
            self.optimizer.step()
        for follower, number in zip(self.followers, numbers[len(rates) :], strict=True):
            follower.follow(number)
        self.latest.copy_(loss)

    def step_now(self, batch: Batch) -> Tensor:
        """Do one step with the numbers and options that are in force; returns the loss, scalar."""
        loss = self._gradients(batch)
        self.optimizer.step()
        for follower in self.followers:
            follower.follow(follower.next_number())
        return loss

    def _gradients(self, batch: Batch) -> Tensor:
        """Make the gradients of a batch; returns its loss, scalar and without a graph."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self.clipping(self.parameters)
        return loss.detach()

    def why_not_recorded(self) -> str:
        """Why the optimizer cannot be recorded; empty where it can."""
        if type(self.optimizer) in RECORDABLE:
            return ""
        name = type(self.optimizer).__name__
        return f"{name} computes with numbers on the host; Adam and its kin can be recorded"

    def move_counters(self) -> None:
        """Bring the step counters of a resumed optimizer to the device, where recorded kernels count."""
        for state in self.optimizer.state.values():
            if isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].to(self.device)

    @contextmanager
    def _in_force(self, rates: Sequence[Number], options: Sequence[dict[str, Any]]) -> Iterator[None]:
        """Give the optimizer the rates and options of a step; put the present ones back."""
        groups = self.optimizer.param_groups
        names = ("lr", "capturable", *SCHEDULED)
        kept = [{key: group[key] for key in names if key in group} for group in groups]
        for group, rate, values in zip(groups, rates, options, strict=True):
            group.update(values, lr=rate)
            if isinstance(rate, Tensor):
                group["capturable"] = True
        try:
            yield
        finally:
            for group, values in zip(groups, kept, strict=True):
                group.update(values)


@dataclass
class _Slots:
    """Where the batches of one shape wait.

    Attributes:
        batches: the recorded kernels read these.
        numbers: of each waiting step.
        options: of each waiting step.
        table: the numbers on the device, ``(size, numbers)``; None without a recorder.
        warm: steps done so far without a recording.
        recordings: replay so many steps, with these options.
    """

    batches: list[Batch] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    options: list[list[dict[str, Any]]] = field(default_factory=list)
    table: Tensor | None = None
    warm: int = 0
    recordings: dict[int, tuple[Callable[[], None], list[dict[str, Any]]]] = field(default_factory=dict)


class StepQueue:
    """Takes batches, and does `size` optimizer steps at a time.

    Args:
        program: a step.
        size: steps per launch.
        recorder: records and replays launches; None does the steps one by one.
    """

    def __init__(self, program: StepProgram, size: int, recorder: Recorder | None = None) -> None:
        self.program = program
        self.size = size
        self.recorder = recorder
        self._shapes: dict[Any, _Slots] = {}
        self._current: _Slots | None = None
        if recorder is not None:
            program.move_counters()

    @property
    def waiting(self) -> int:
        """Steps that are not done yet."""
        return 0 if self._current is None else len(self._current.numbers)

    def push(self, batch: Batch) -> Tensor:
        """Take a batch, with the numbers and options now in force; returns the latest known loss, scalar."""
        slots = self._slots_for(batch)
        if slots is not self._current:
            self.flush()
            self._current = slots
        place = len(slots.numbers)
        if place == len(slots.batches):
            device = self.program.device
            slots.batches.append(tuple(torch.empty_like(part, device=device) for part in batch))
        for waits, given in zip(slots.batches[place], batch, strict=True):
            waits.copy_(given, non_blocking=True)
        slots.numbers.append(self.program.take_numbers())
        slots.options.append(self.program.options())
        if len(slots.numbers) == self.size or slots.warm < WARM_UP:
            self.flush()
        return self.program.latest

    def flush(self) -> None:
        """Do what waits. Called wherever somebody looks at the weights."""
        slots, count = self._current, self.waiting
        if slots is None or count == 0:
            return
        # A validation may already have switched gradients off, and a step sets its own precision.
        kind = self.program.device.type
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(kind, enabled=False):
            if slots.table is not None:  # without waiting for the device
                numbers = torch.tensor(slots.numbers, dtype=slots.table.dtype)
                slots.table[:count].copy_(numbers, non_blocking=True)
            if not self._replayed(slots, count):
                self._run_unrecorded(slots, count)
        slots.numbers.clear()
        slots.options.clear()

    # -- one launch -------------------------------------------------------------------------------

    def _run(self, slots: _Slots, count: int, options: list[list[dict[str, Any]]]) -> None:
        """The first `count` steps in the slots; this is what is recorded."""
        for place in range(count):
            numbers: Sequence[Number] = (
                slots.numbers[place] if slots.table is None else slots.table[place].unbind()
            )
            self.program.step(slots.batches[place], numbers, options[place])

    def _run_unrecorded(self, slots: _Slots, count: int) -> None:
        slots.warm += count
        if self.recorder is None:
            slots.table = None
            self._run(slots, count, slots.options)
        else:
            self.recorder.warm_up(lambda: self._run(slots, count, slots.options))

    # -- recordings -------------------------------------------------------------------------------

    def _replayed(self, slots: _Slots, count: int) -> bool:
        """Replay the recording of a full queue, or that of one step as often as needed, where that can be."""
        if self.recorder is None or slots.table is None or slots.warm < WARM_UP:
            return False
        replay = self._recording(slots, count if count == self.size else 1)
        if replay is None:
            return False
        if count == self.size:
            replay()
            return True
        for place in range(count):
            if place:  # the recording of one step reads the first place
                for first, waits in zip(slots.batches[0], slots.batches[place], strict=True):
                    first.copy_(waits)
                slots.table[0].copy_(slots.table[place])
            replay()
        return True

    def _recording(self, slots: _Slots, count: int) -> Callable[[], None] | None:
        """The recording of `count` steps; None where the steps that wait are not such."""
        options = slots.options[0]
        if any(other != options for other in slots.options):
            return None
        replay, recorded = slots.recordings.get(count, (None, None))
        if replay is None:
            replay = self._record(slots, count)
        elif recorded != options:
            self._give_up("the schedule changes more than the learning rate")
            return None
        return replay

    def _record(self, slots: _Slots, count: int) -> Callable[[], None] | None:
        if self.recorder is None:
            return None
        options = list(slots.options)
        try:
            replay = self.recorder.record(lambda: self._run(slots, count, options))
        except Exception as error:  # whatever a net, a loss or an optimizer does that cannot be recorded
            log.debug("a step could not be recorded", exc_info=True)
            self._give_up(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}")
            return None
        finally:
            self.program.optimizer.zero_grad(set_to_none=True)  # they lie in the memory of the recording
        slots.recordings[count] = replay, options[0]
        return replay

    def _give_up(self, why: str) -> None:
        """Record and replay no more."""
        log.warning("optimizer steps are no longer recorded, but started one by one: %s", why)
        self.recorder = None
        for slots in self._shapes.values():
            slots.recordings.clear()

    def _slots_for(self, batch: Batch) -> _Slots:
        shape = tuple((tuple(part.shape), part.dtype) for part in batch)
        slots = self._shapes.get(shape)
        if slots is None:
            slots = self._shapes[shape] = _Slots()
            if self.recorder is None:
                return slots
            if len(self._shapes) > MOST_SHAPES:
                self._give_up(f"the batches have more than {MOST_SHAPES} shapes")
                return slots
            count = len(self.program.optimizer.param_groups) + len(self.program.followers)
            slots.table = torch.zeros(self.size, count, device=self.program.device)
        return slots


class DirectSteps(StepQueue):
    """A queue in which nothing waits: each batch is a step at once.

    Args:
        program: a step.
    """

    def __init__(self, program: StepProgram) -> None:
        super().__init__(program, 1)

    def push(self, batch: Batch) -> Tensor:
        """Do the step of a batch; returns its loss, scalar."""
        return self.program.step_now(batch)
