"""Metrics of torchmetrics, evaluated example by example.

torchmetrics adds up batches in its own ways, and processes by a collective call per metric. Here each metric
measures one example at a time, and the mean is ours: in float64, over all examples of all processes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, Str
from nam_like.metrics.errors import MetricError
from nam_like.metrics.examples import ChannelConfig, ExampleMean, of_speech_extra

__all__ = [
    "PerExample",
    "PerExampleConfig",
    "PermutationInvariantTraining",
    "PermutationInvariantTrainingConfig",
]


def _alone() -> bool:
    """What metrics are told of other processes: each measures examples of its own."""
    return False


class PerExample(ExampleMean):
    """The mean over examples of any metric of torchmetrics whose value is one number.

    Args:
        metric: what measures one example; given ``(1, C, T)``.
        channel: measure this channel only; None gives it all of them at once.
    """

    skips: ClassVar[str] = "their value is not finite"

    def __init__(self, metric: nn.Module, channel: int | None = None) -> None:
        super().__init__(channel)
        self.metric = metric
        vars(metric)["distributed_available_fn"] = _alone
        #: that of the metric
        self.higher_is_better = getattr(metric, "higher_is_better", None)  # type: ignore[misc]

    @property
    def title(self) -> str:
        """What the log calls it."""
        return type(self.metric).__name__

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(1,)``.

        Raises:
            MetricError: the metric refuses the signals, or its value is no number.
        """
        metric: Any = self.metric
        metric.reset()
        try:
            metric.update(prediction.unsqueeze(0), target.unsqueeze(0))
            value = metric.compute()
        except (RuntimeError, ValueError, TypeError) as error:
            raise MetricError(
                f"expected signals that {self.title} accepts, but it says to {tuple(target.shape)}: {error}"
            ) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise MetricError(f"expected {self.title} to give one number, but got {got}")
        return value.reshape(1)


class PermutationInvariantTraining(PerExample):
    """The best of a metric over all assignments of predicted to wanted sources, of which channels are some.

    Args:
        metric_func: of ``torchmetrics.functional.audio``, or an import path.
        mode: how the function compares: source with source, or whole assignments.
        eval_func: whether the best value is the largest or the smallest.
        options: further arguments of the function.
    """

    def __init__(
        self,
        metric_func: str = "scale_invariant_signal_distortion_ratio",
        mode: Literal["speaker-wise", "permutation-wise"] = "speaker-wise",
        eval_func: Literal["max", "min"] = "max",
        options: dict[str, Any] | None = None,
    ) -> None:
        title = type(self).__name__
        path = metric_func if "." in metric_func else f"torchmetrics.functional.audio.{metric_func}"
        function = of_speech_extra(path, title)
        make = of_speech_extra(f"torchmetrics.audio.{title}", title)
        super().__init__(make(function, mode=mode, eval_func=eval_func, **(options or {})))
        self.higher_is_better = eval_func == "max"  # type: ignore[misc]


class PerExampleConfig(ChannelConfig):
    """Config of :class:`PerExample`."""

    metric: Str = Field(description="import path of the metric, such as torchmetrics.audio.SignalNoiseRatio")
    config: dict[str, Any] = Field(default_factory=dict, description="its arguments")

    def build(self) -> PerExample:
        """Make the metric.

        Raises:
            MetricError: there is none of this name, or it refuses its arguments.
        """
        made = of_speech_extra(self.metric, "PerExample")
        try:
            return PerExample(made(**self.config), self.channel)
        except (TypeError, ValueError, RuntimeError, ModuleNotFoundError) as error:
            raise MetricError(
                f"expected a config that {self.metric} accepts, but it says: {error}"
            ) from error


class PermutationInvariantTrainingConfig(Config):
    """Config of :class:`PermutationInvariantTraining`."""

    metric_func: Str = Field(
        "scale_invariant_signal_distortion_ratio",
        description="function of torchmetrics.functional.audio, or an import path",
    )
    mode: Literal["speaker-wise", "permutation-wise"] = Field(
        "speaker-wise", description="the function compares source with source, or whole assignments"
    )
    eval_func: Literal["max", "min"] = Field("max", description="which value is the best")
    options: dict[str, Any] = Field(default_factory=dict, description="further arguments of the function")

    def build(self) -> PermutationInvariantTraining:
        """Make the metric."""
        return PermutationInvariantTraining(self.metric_func, self.mode, self.eval_func, self.options)
