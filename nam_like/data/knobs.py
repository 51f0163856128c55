"""Knob values: constants, or curves over time read from a CSV, brought to `[0, 1]` where a range is given."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.data.base import DataError

__all__ = [
    "Interpolation",
    "KnobCurves",
    "KnobError",
    "check_range",
    "curves_at",
    "normalised",
    "read_knob_csv",
]

Interpolation: TypeAlias = Literal["hold", "linear"]
Range: TypeAlias = tuple[float, float]

TIME_COLUMNS = ("time", "sample")


class KnobError(DataError):
    """Knob values that cannot be used; for a CSV, the message says in which line."""


@dataclass(frozen=True)
class KnobCurves:
    """The rows of a knob CSV.

    Attributes:
        path: the file.
        names: the knobs, in the order of the columns.
        samples: `(R,)` float64, when each row begins, in samples of the input file (not always whole).
        values: `(R, K)` float64.
        lines: the line of each row in the file, from 1.
    """

    path: Path
    names: tuple[str, ...]
    samples: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    lines: tuple[int, ...]


def read_knob_csv(path: Path, sample_rate: float, samples_per_frame: float = 1.0) -> KnobCurves:
    """Read a CSV of knob values over time.

    The first line names the columns: ``time`` (seconds) or ``sample`` (samples of the input file), and one
    column per knob. Every further line holds the values from that time on.

    Args:
        path: the file; UTF-8, comma-separated.
        sample_rate: Hz, of the samples that the result counts in.
        samples_per_frame: how many of those one sample of the input file is (not 1 after resampling).

    Raises:
        KnobError: the file cannot be read, is empty, lacks a column, holds what is no finite number,
            or its times do not increase; the message says in which line.
    """
    rows = _read_rows(path)
    if not rows:
        raise KnobError(f"{path}: expected a line of column names, but the file is empty")
    header_line, header = rows[0]
    time_column = _time_column(path, header_line, header)
    names = tuple(name for name in header if name != time_column)
    if len(rows) == 1:
        raise KnobError(
            f"{path}:{header_line}: expected knob values after the column names, but got no lines"
        )
    table = np.array([_numbers(path, line, header, fields) for line, fields in rows[1:]], dtype=np.float64)
    lines = tuple(line for line, _ in rows[1:])
    at = header.index(time_column)
    times = table[:, at]
    for row in np.flatnonzero(np.diff(times) <= 0):
        raise KnobError(
            f"{path}:{lines[row + 1]}: expected `{time_column}` to increase, but got {times[row + 1]:g} "
            f"after {times[row]:g}"
        )
    scale = sample_rate if time_column == "time" else samples_per_frame
    return KnobCurves(path, names, times * scale, np.delete(table, at, axis=1), lines)


def check_range(curves: KnobCurves, start: int, length: int, interpolation: Interpolation) -> None:
    """Check that the rows tell the values at consecutive samples.

    Args:
        curves: the rows of the file.
        start: first sample, counted from the beginning of the input file.
        length: number of samples.
        interpolation: see :func:`curves_at`.

    Raises:
        KnobError: the rows begin after the first sample, or, if linear, end before the last.
    """
    begins = _begins(curves)
    if begins[0] > start:
        raise KnobError(
            f"{curves.path}:{curves.lines[0]}: expected knob values from sample {start} on, "
            f"but got the first at sample {begins[0]:g}"
        )
    last = start + length - 1
    if interpolation == "linear" and begins[-1] < last:
        raise KnobError(
            f"{curves.path}:{curves.lines[-1]}: expected knob values up to sample {last}, but got the last "
            f"at sample {begins[-1]:g} (`interpolation: hold` would keep it)"
        )


def curves_at(
    curves: KnobCurves, start: int, length: int, interpolation: Interpolation
) -> npt.NDArray[np.float64]:
    """Return the knob values at consecutive samples, each a function of its own position only.

    Args:
        curves: the rows of the file.
        start: first sample, counted from the beginning of the input file.
        length: number of samples.
        interpolation: ``hold`` keeps each value until the next row; ``linear`` moves straight to it.

    Returns:
        `(K, length)`.

    Raises:
        KnobError: the rows do not reach so far; see :func:`check_range`.
    """
    check_range(curves, start, length, interpolation)
    begins = _begins(curves)
    positions = np.arange(start, start + length)
    if interpolation == "hold":
        held: npt.NDArray[np.float64] = curves.values[np.searchsorted(begins, positions, side="right") - 1].T
        return held
    return np.stack([np.interp(positions, begins, column) for column in curves.values.T])


def _begins(curves: KnobCurves) -> npt.NDArray[np.float64]:
    """When rows begin (samples). A time in seconds that means a whole sample may miss it by float error."""
    return np.round(curves.samples, 6)


def normalised(
    name: str, values: npt.NDArray[np.float64], ranges: Mapping[str, Range], places: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Bring the values of one knob to `[0, 1]`, where a range is given; otherwise return them as they are.

    Args:
        name: the knob.
        values: `(R,)`.
        ranges: lowest and highest value of each knob.
        places: where each value comes from, for the message.

    Raises:
        KnobError: a value is outside the range.
    """
    if name not in ranges:
        return values
    low, high = ranges[name]
    for row in np.flatnonzero((values < low) | (values > high)).tolist():
        raise KnobError(
            f"{places[row]}: expected `{name}` to be from {low:g} to {high:g} (its `knob_ranges`), "
            f"but got {values[row]:g}"
        )
    return (values - low) / (high - low)


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that hold anything, with their numbers, fields stripped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [field.strip() for field in fields]) for fields in reader]
    except UnicodeDecodeError as error:
        raise KnobError(f"{path}: expected UTF-8 text, but byte {error.start} is not") from error
    except (OSError, csv.Error) as error:
        raise KnobError(f"{path}: cannot be read: {error}") from error
    return [(line, fields) for line, fields in rows if any(fields)]


def _time_column(path: Path, line: int, header: list[str]) -> str:
    """The column of times; checks the names of the others."""
    given = [name for name in TIME_COLUMNS if name in header]
    if len(given) != 1:
        got = "both" if given else ", ".join(header)
        raise KnobError(f"{path}:{line}: expected one column `time` (s) or `sample`, but got {got}")
    for position, name in enumerate(header):
        if not name:
            raise KnobError(f"{path}:{line}: expected a name for column {position + 1}, but got none")
        if name in header[:position]:
            raise KnobError(f"{path}:{line}: expected each column once, but got `{name}` twice")
    if len(header) == 1:
        raise KnobError(f"{path}:{line}: expected a column per knob beside `{given[0]}`, but got none")
    return given[0]


def _numbers(path: Path, line: int, header: list[str], fields: list[str]) -> list[float]:
    """The numbers of one line."""
    if len(fields) != len(header):
        raise KnobError(f"{path}:{line}: expected {len(header)} values, but got {len(fields)}")
    numbers = []
    for name, text in zip(header, fields, strict=True):
        number = _number(text)
        if number is None:
            raise KnobError(f"{path}:{line}: expected a finite number for `{name}`, but got '{text}'")
        numbers.append(number)
    return numbers


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
