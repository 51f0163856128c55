"""The parametric dataset: a pair of recordings and the knob settings they were taken at."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from nam_like.audio import checks
from nam_like.config.base import Float, Str
from nam_like.data.base import DataError, DatasetContext
from nam_like.data.knob_track import KnobTrack
from nam_like.data.knobs import Interpolation, KnobCurves, KnobError, normalised, read_knob_csv
from nam_like.data.paired import PairedDataset, PairedDatasetConfig
from nam_like.data.recording import Recording
from nam_like.data.samples import Samples, checkable, gather
from nam_like.data.store import find_file
from nam_like.registry import did_you_mean

__all__ = ["ParametricDataset", "ParametricDatasetConfig"]

LOGGER = logging.getLogger(__name__)


class ParametricDataset(PairedDataset):
    """Segments with knob values; an item is ``(x (nx + ny − 1,), knobs, y (ny,))``.

    ``knobs`` is `(K,)` where they are constant, `(K, nx + ny − 1)` where they run along with x.

    Args:
        x: `(L,)`, the input.
        y: `(L,)`, the output.
        knobs: `(K,)`, or `(K, L)` aligned with x; or a track, of which `(K, L)` is read when it is needed.
        knob_names: the knobs, in their order.
        **kwargs: as of :class:`PairedDataset`.

    Raises:
        DataError: shapes that do not fit.
    """

    num_conditions = 1

    def __init__(
        self,
        x: Samples,
        y: Samples,
        knobs: Tensor | KnobTrack,
        *,
        knob_names: tuple[str, ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(x, y, **kwargs)
        expected = (len(knob_names),) if knobs.ndim == 1 else (len(knob_names), len(x))
        if tuple(knobs.shape) != expected:
            raise DataError(f"expected knob values of shape {expected}, but got {tuple(knobs.shape)}")
        self.knobs: Tensor | KnobTrack = knobs
        self.condition_names = knob_names

    @property
    def time_aligned(self) -> bool:
        """Whether the knobs run along with x."""
        return self.knobs.ndim == 2

    def align_conditions(self) -> None:
        """Let constant knobs run along with x (without a copy), so that they stack with others that do."""
        if isinstance(self.knobs, Tensor) and self.knobs.ndim == 1:
            self.knobs = self.knobs[:, None].expand(-1, len(self.x))

    def to(self, device: torch.device | str) -> ParametricDataset:
        """Move the recording and the knobs to a device; one in files stays there, and so do its knobs."""
        super().to(device)
        if isinstance(self.x, Tensor) and isinstance(self.knobs, Tensor):
            self.knobs = self.knobs.to(self.x.device)
        return self

    def hold(self) -> None:
        """Read the recording into memory, if it is not there, and the knobs with it."""
        super().hold()
        if isinstance(self.knobs, KnobTrack):
            self.knobs = self.knobs.read(0, len(self.x))

    def _conditions_at(self, start: int, stop: int) -> tuple[Tensor, ...]:
        if isinstance(self.knobs, KnobTrack):
            return (self.knobs.read(start, stop),)
        return (self.knobs[:, start:stop] if self.time_aligned else self.knobs,)

    def _conditions_batch(self, starts: Tensor, length: int) -> tuple[Tensor, ...]:
        if isinstance(self.knobs, KnobTrack):
            return (self.knobs.gather(starts, length),)
        if self.time_aligned:
            return (gather(self.knobs, starts, length),)
        return (self.knobs.expand(len(starts), -1),)


def _range(value: list[float]) -> list[float]:
    if len(value) != 2 or not value[0] < value[1]:
        raise PydanticCustomError(
            "expected", "expected [lowest, highest] with lowest < highest, but got {got}", {"got": str(value)}
        )
    return value


class ParametricDatasetConfig(PairedDatasetConfig):
    """A dry and a wet recording, and the knob values they were taken at; knobs are ordered by name."""

    knobs: dict[Str, Float] = Field(
        default_factory=dict, description="knobs that do not move, and their values"
    )
    knob_data_path: Str | None = Field(
        None,
        description="CSV of moving knobs: a column `time` (s) or `sample` (of the input file), one per knob",
    )
    interpolation: Interpolation = Field(
        "hold", description="between the CSV's lines: keep the last value, or move straight to the next"
    )
    knob_ranges: dict[Str, Annotated[list[Float], AfterValidator(_range)]] = Field(
        default_factory=dict, description="lowest and highest value of a knob, which become 0 and 1"
    )

    @model_validator(mode="after")
    def _some_knobs(self) -> ParametricDatasetConfig:
        if not self.knobs and self.knob_data_path is None:
            raise PydanticCustomError("expected", "expected `knobs` or `knob_data_path`, but got neither", {})
        return self

    def build(self, context: DatasetContext) -> ParametricDataset:
        """Read the files and make the dataset.

        Raises:
            UserError: a file, a number or a knob that does not fit.
        """
        recording = self.load(context)
        names, knobs = self._knob_values(recording, context)
        arguments = self.dataset_arguments(recording, context)
        return ParametricDataset(recording.x, recording.y, knobs, knob_names=names, **arguments)

    def check_target(self, y: Samples, name: str) -> None:
        """Warn of silence: with a volume knob at zero it is what the gear plays."""
        try:
            checks.check_not_silent(checkable(y), name)
        except checks.SilentError as error:
            LOGGER.warning("%s", error)

    def _knob_values(
        self, recording: Recording, context: DatasetContext
    ) -> tuple[tuple[str, ...], Tensor | KnobTrack]:
        """Names, sorted, and values `(K,)` or `(K, L)`; a track where the recording stays in its files."""
        curves = self._curves(recording, context)
        moving = curves.names if curves is not None else ()
        if both := sorted(set(moving) & set(self.knobs)):
            raise KnobError(f"expected `{both[0]}` in `knobs` or in `knob_data_path`, but got it in both")
        names = tuple(sorted((*self.knobs, *moving)))
        for name in self.knob_ranges:
            if name not in names:
                raise KnobError(
                    f"expected `knob_ranges` of the knobs {', '.join(names)}, but got '{name}'"
                    f"{did_you_mean(name, names)}"
                )
        constant = {
            name: float(self._normalised(name, np.array([value]), ["knobs"])[0])
            for name, value in self.knobs.items()
        }
        if curves is None:
            return names, torch.tensor([constant[name] for name in names], dtype=torch.float32)
        length = len(recording.x)
        track = KnobTrack(names, curves, constant, recording.x_start, length, self.interpolation)
        return names, track.read(0, length) if isinstance(recording.x, Tensor) else track

    def _curves(self, recording: Recording, context: DatasetContext) -> KnobCurves | None:
        """The CSV, values normalised line by line, so that an error can name the line."""
        if self.knob_data_path is None:
            return None
        path = find_file(self.knob_data_path, context.folders, "knob_data_path")
        rate = recording.sample_rate
        curves = read_knob_csv(path, rate, rate / recording.x_source.sample_rate)
        places = [f"{path}:{line}" for line in curves.lines]
        columns = [
            self._normalised(name, column, places)
            for name, column in zip(curves.names, curves.values.T, strict=True)
        ]
        return KnobCurves(path, curves.names, curves.samples, np.stack(columns, axis=1), curves.lines)

    def _normalised(self, name: str, values: Any, places: list[str]) -> Any:
        ranges = {knob: (limits[0], limits[1]) for knob, limits in self.knob_ranges.items()}
        return normalised(name, values, ranges, places)
