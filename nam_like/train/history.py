"""The course of a run, read back from ``metrics.csv``.

Lightning's CSV logger writes one line per logging call and leaves blank what that call did not log; here the
lines become one curve per metric.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Curve", "read_metrics"]

_AXES = ("epoch", "step")


@dataclass(frozen=True)
class Curve:
    """One logged metric.

    Attributes:
        name: the column of the file.
        epochs: epoch of each value, counted from 0; the position of the line where the file has no epochs.
        values: the finite values, in the order in which they were logged.
    """

    name: str
    epochs: list[float]
    values: list[float]

    @property
    def best(self) -> tuple[float, float]:
        """Epoch and value of the smallest value; of two equal ones the earlier."""
        index = min(range(len(self.values)), key=self.values.__getitem__)
        return self.epochs[index], self.values[index]

    @property
    def largest(self) -> tuple[float, float]:
        """Epoch and value of the largest value; of two equal ones the earlier."""
        index = max(range(len(self.values)), key=self.values.__getitem__)
        return self.epochs[index], self.values[index]


def read_metrics(path: Path) -> dict[str, Curve]:
    """Read every metric of a ``metrics.csv``.

    Args:
        path: the file; a missing or empty one gives no curves.

    Returns:
        Column name → curve, in the order of the columns; columns without a single finite number are left out.
    """
    if not path.is_file():
        return {}
    curves: dict[str, Curve] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row, line in enumerate(csv.DictReader(file)):
            epoch = _number(line.get("epoch"))
            for name, text in line.items():
                value = _number(text)
                if name is None or name in _AXES or value is None:
                    continue
                curve = curves.setdefault(name, Curve(name, [], []))
                curve.epochs.append(float(row) if epoch is None else epoch)
                curve.values.append(value)
    return curves


def _number(text: object) -> float | None:
    """The finite number that `text` says, or None."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
