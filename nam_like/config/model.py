"""``model.json``: the net, how it is optimised and what it is judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from nam_like.config.base import Config, PositiveInt, Str
from nam_like.config.component import Component, Of, component
from nam_like.config.labelled import Labelled, Labels
from nam_like.config.lines import refusal
from nam_like.config.loss import LossConfig
from nam_like.registry import DEFAULT_TASK, MEASURES

__all__ = ["ModelConfig", "SchedulerSiblings", "lacks_total_steps", "steps_argument"]

PLATEAU = "ReduceLROnPlateau"
#: where the schedulers live that watch no metric
OF_STEPS = ("torch.optim", "nam_like.optim")


class SchedulerSiblings(Config):
    """What stands beside name and config of the learning-rate scheduler."""

    interval: Literal["epoch", "step"] = Field(
        "epoch", description="when the scheduler steps; those made for steps do so unless told otherwise"
    )
    frequency: PositiveInt = Field(1, description="it steps every so many intervals")
    monitor: Str | None = Field(None, description="the logged value that ReduceLROnPlateau watches")


class ModelConfig(Config):
    """The model JSON."""

    schema_url: Str | None = Field(None, alias="$schema", description="JSON Schema, for editors")
    net: Annotated[Component, Of("net")] = Field(description="the network")
    optimizer: Annotated[Component, Of("optimizer", flat=True, default="Adam")] = Field(
        description="the optimiser; Adam unless named, its arguments may stand flat"
    )
    lr_scheduler: Annotated[
        Component | None, Of("lr_scheduler", siblings=SchedulerSiblings, optional=True)
    ] = Field(None, description="the learning-rate schedule; null keeps the rate")
    task: Annotated[Component | None, Of("task", optional=True)] = Field(
        None, description="how the net is trained; null takes the task of the net"
    )
    metrics: Annotated[Labels, Labelled(Of("metric"))] = Field(
        default_factory=Labels,
        description="measured in validation beside what the task always measures: a list, or an object of "
        'labels; {"val": {"sisdr": …}} is logged as val_sisdr',
    )
    loss: LossConfig = Field(
        default_factory=lambda: LossConfig.model_validate({}),
        validate_default=True,
        description="the training loss",
    )
    checkpoint_path: Str | None = Field(None, description="checkpoint whose weights training starts from")
    init_from_nam: Str | None = Field(None, description=".nam file whose weights training starts from")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.checkpoint_path is not None and self.init_from_nam is not None:
            raise refusal(
                "expected `checkpoint_path` or `init_from_nam`, but got both",
                ("init_from_nam",),
                self.init_from_nam,
            )
        return self

    @field_validator("loss")
    @classmethod
    def _val_loss_is_measured(cls, loss: LossConfig, info: ValidationInfo) -> LossConfig:
        if "metrics" not in info.data:
            return loss
        read = "net" in info.data and "task" in info.data
        measured = _task_of(info.data["task"], info.data["net"]).entry.measures if read else MEASURES
        loss = loss.settled(measured)
        loss.check_val_loss(tuple(info.data["metrics"]), measured)
        return loss

    @field_validator("lr_scheduler")
    @classmethod
    def _settle_siblings(cls, scheduler: Component | None) -> Component | None:
        """Give ReduceLROnPlateau its monitor, and schedules that are made for steps their interval.

        A monitor that a scheduler would never look at is refused.
        """
        if scheduler is None:
            return None
        interval = getattr(scheduler.config, "default_interval", None)
        if interval is not None and "interval" not in scheduler.siblings.model_fields_set:
            scheduler = _with_sibling(scheduler, "interval", interval)
        if scheduler.name.rpartition(".")[2] == PLATEAU:
            if scheduler.siblings.monitor is None:
                return _with_sibling(scheduler, "monitor", "val_loss")
        elif scheduler.siblings.monitor is not None and scheduler.entry.target_path.startswith(OF_STEPS):
            raise refusal(
                f"expected no `monitor`, for {scheduler.name} watches no metric, "
                f"but got '{scheduler.siblings.monitor}'",
                ("monitor",),
            )
        return scheduler

    def resolved_task(self) -> Component:
        """The task that trains the net: the one given, or the net's own, or regression."""
        return _task_of(self.task, self.net)

    def canonical(self) -> dict[str, Any]:
        """The model JSON in the one canonical spelling."""
        dump: dict[str, Any] = {
            "net": self.net.canonical(),
            "optimizer": self.optimizer.canonical(),
            "lr_scheduler": self.lr_scheduler.canonical() if self.lr_scheduler else None,
            "loss": self.loss.canonical(),
        }
        if self.metrics:
            dump["metrics"] = self.metrics.canonical()
        if self.task is not None:
            dump["task"] = self.task.canonical()
        for key in ("checkpoint_path", "init_from_nam"):
            if getattr(self, key) is not None:
                dump[key] = getattr(self, key)
        return dump


def steps_argument(scheduler: Component, interval: str) -> str:
    """The argument by which the run tells a schedule over all batches how many there are.

    A config model of ours names it in its class attribute ``steps_key``; torch's OneCycleLR has one, too.

    Returns:
        Its name; empty where the schedule needs none, or the config says how many there are.
    """
    if interval != "step":
        return ""
    if scheduler.name.rpartition(".")[2] == "OneCycleLR":
        set_by_user: set[str] = getattr(scheduler.config, "model_fields_set", set())
        return "" if set_by_user & {"total_steps", "epochs"} else "total_steps"
    key: str = getattr(scheduler.config, "steps_key", "")
    return key if key and getattr(scheduler.config, key) is None else ""


def lacks_total_steps(scheduler: Component, interval: str) -> bool:
    """Whether the run tells the schedule how many steps there are; see :func:`steps_argument`."""
    return bool(steps_argument(scheduler, interval))


def _with_sibling(scheduler: Component, key: str, value: str) -> Component:
    """The scheduler with one more key beside name and config."""
    settled = scheduler.siblings.model_dump(exclude_unset=True) | {key: value}
    return replace(scheduler, siblings=SchedulerSiblings.model_validate(settled))


def _task_of(task: Component | None, net: Component) -> Component:
    """The task given, or the net's own, or regression."""
    return task if task is not None else component("task", net.entry.task or DEFAULT_TASK)
