"""Joint hooks: what is checked or changed once both splits are there, before the handshakes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import Field

from nam_like.audio.signal import Signal
from nam_like.config.base import Config, Float
from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.samples import energy as energy_of

__all__ = ["JointHook", "NormalizeOutput", "NormalizeOutputConfig", "check_conditions", "check_sample_rates"]

LOGGER = logging.getLogger(__name__)


@runtime_checkable
class JointHook(Protocol):
    """Something to do with both splits together."""

    def apply(self, train: Any, validation: Any) -> None:
        """Check or change both datasets."""


def check_sample_rates(train: AbstractDataset, validation: AbstractDataset) -> None:
    """Raise :class:`DataError` where the splits differ in sample rate; unknown rates are not compared."""
    rates = train.sample_rate, validation.sample_rate
    if None not in rates and rates[0] != rates[1]:
        raise DataError(
            f"expected validation data of the training sample rate, {rates[0]} Hz, but got {rates[1]} Hz"
        )


def check_conditions(train: AbstractDataset, validation: AbstractDataset) -> None:
    """Raise :class:`DataError` where the splits differ in the names of their conditions (knobs)."""
    if train.condition_names != validation.condition_names:
        raise DataError(
            f"expected validation data with the training data's knobs, {_listed(train.condition_names)}, "
            f"but got {_listed(validation.condition_names)}"
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "none"


class NormalizeOutput:
    """Brings the output recordings to a level: one gain, found on the training split, for both splits.

    The gain is kept as ``output_gain`` of each dataset, so that an export divides by it exactly.

    Args:
        level_rms_dbfs: RMS of all training output together (dB relative to full scale).
    """

    def __init__(self, level_rms_dbfs: float = -18.0) -> None:
        self.level_rms_dbfs = level_rms_dbfs

    def apply(self, train: AbstractDataset, validation: AbstractDataset) -> None:
        """Scale ``y`` of every dataset of both splits.

        Raises:
            DataError: the training output is empty, all zero or not finite, or a dataset cannot be scaled.
        """
        rms = _output_rms(train)
        gain = 10.0 ** (self.level_rms_dbfs / 20.0) / rms
        for dataset in _each_once(train, validation):
            try:
                dataset.scale_output(gain)
            except NotImplementedError as error:  # noqa: PERF203 - a handful of datasets
                raise DataError(
                    f"expected datasets whose output can be scaled for the hook normalize_output, but {error}"
                ) from error
        LOGGER.info(
            "the output is scaled by %.6g (%+.2f dB) to an RMS of %g dBFS; exports undo it",
            gain,
            20.0 * math.log10(gain),
            self.level_rms_dbfs,
        )


class NormalizeOutputConfig(Config):
    """Levels the output recordings for training; undone on export."""

    level_rms_dbfs: Float = Field(
        -18.0, description="RMS that all training output together is brought to (dBFS)"
    )

    def build(self) -> NormalizeOutput:
        """Make the hook."""
        return NormalizeOutput(self.level_rms_dbfs)


def _each_once(*splits: AbstractDataset) -> Iterator[AbstractDataset]:
    """The base datasets of all splits; one that two splits share comes once."""
    seen: set[int] = set()
    for split in splits:
        for dataset in split.base_datasets():
            if id(dataset) not in seen:
                seen.add(id(dataset))
                yield dataset


def _output_rms(train: AbstractDataset) -> float:
    """RMS of ``y`` over all training recordings, in float64."""
    energy, count = 0.0, 0
    for dataset in _each_once(train):
        y = getattr(dataset, "y", None)
        if not isinstance(y, torch.Tensor | Signal):
            raise DataError(
                "expected datasets with a tensor `y` for the hook normalize_output, "
                f"but {type(getattr(dataset, 'dataset', dataset)).__name__} has none"
            )
        energy += energy_of(y)
        count += len(y)
    if count == 0:
        raise DataError("expected training output to normalise, but got no samples")
    if not math.isfinite(energy):
        raise DataError("expected finite training output to normalise, but got NaN or infinity")
    if energy == 0.0:
        raise DataError(f"expected training output to normalise, but all {count} samples are zero")
    return math.sqrt(energy / count)
