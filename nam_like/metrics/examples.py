"""Metrics of single signals, averaged: the base of all that judge speech.

Each update is one example, trimmed to its length. What cannot be measured (silence has no quality) is left
out of the mean, counted, and mentioned once per validation; it never ends a run.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, NonNegativeInt
from nam_like.errors import UserError
from nam_like.imports import import_path
from nam_like.metrics.base import Metric, exact_dtype
from nam_like.metrics.errors import MetricError

__all__ = ["ChannelConfig", "ExampleMean", "of_speech_extra"]

log = logging.getLogger(__name__)


class ExampleMean(Metric):
    """The mean over signals of a value that :meth:`measure` gives, in float64, of all processes.

    Args:
        channel: measure this channel only; None for all of them.

    Class attributes:
        skips: what is left out of the mean, as the log says it.
    """

    sums = 4  # Σ values, signals measured, examples with a signal that could not be, examples
    higher_is_better: ClassVar[bool | None] = True
    skips: ClassVar[str] = "silent"

    def __init__(self, channel: int | None = None) -> None:
        super().__init__()
        self.channel = channel
        self._told = False

    @property
    def title(self) -> str:
        """What the log calls it."""
        return type(self).__name__

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The value of each signal, ``(C, T)`` twice → ``(C,)`` or ``(1,)``; NaN where it has none."""
        raise NotImplementedError(f"{type(self).__name__} does not define `measure`")

    @torch.no_grad()
    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add an example ``(C, T)``, both trimmed to its length.

        Raises:
            MetricError: the shapes differ, or there is no such channel.
        """
        if prediction.shape != target.shape or prediction.ndim != 2:
            raise MetricError(
                f"expected prediction and target of one shape (C, T), but got {tuple(prediction.shape)} "
                f"and {tuple(target.shape)}"
            )
        if self.channel is not None:
            if self.channel >= len(target):
                raise MetricError(
                    f"expected `channel` of {self.title} to be less than the {len(target)} channels of the "
                    f"signals, but got {self.channel}"
                )
            one = slice(self.channel, self.channel + 1)
            prediction, target = prediction[one], target[one]
        values = self.measure(prediction, target).to(target.device, exact_dtype(target.device))
        measured = values.isfinite()
        total = torch.where(measured, values, torch.zeros_like(values)).sum()
        self.add(total, measured.sum(), (~measured).any(), torch.ones_like(total))

    def compute(self) -> Tensor:
        """The mean of everything so far, scalar; NaN where nothing could be measured."""
        total, measured, skipped, examples = self.totals().unbind()
        if not self._told and float(skipped):
            self._told = True
            self._tell(int(skipped), int(examples))
        return total / measured

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self._told = False

    def _tell(self, skipped: int, examples: int) -> None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not distributed or torch.distributed.get_rank() == 0:
            log.warning("%s: %d of %d examples skipped: %s", self.title, skipped, examples, self.skips)


class ChannelConfig(Config):
    """The option that all of them have."""

    channel: NonNegativeInt | None = Field(
        None, description="measure this channel only (counted from 0); null for all of them"
    )


def of_speech_extra(path: str, wanted_by: str) -> Any:
    """Import ``package.name`` from a package of the extra ``speech``.

    Raises:
        MetricError: it cannot be imported; the message says what to install.
    """
    try:
        return import_path(path)
    except UserError as error:
        raise MetricError(
            f"expected the package {path.partition('.')[0]}, which {wanted_by} needs "
            f"(pip install nam_like[speech]), but {error}"
        ) from error
