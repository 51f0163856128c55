"""The log that is always written: ``metrics.csv``, one row per validation or epoch, whole at any time."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from nam_like.files import write_text_atomic

__all__ = ["MetricsCsv"]


class MetricsCsv(Logger):
    """Collects what is logged at the same step of the same epoch into one row of a CSV file.

    Args:
        path: the file.
        previous: the ``metrics.csv`` of the run that is resumed; its rows are taken over up to the first
            step that is logged here.
    """

    def __init__(self, path: Path, previous: Path | None = None) -> None:
        super().__init__()
        self.path = path
        self._columns: list[str] = ["epoch", "step"]
        self._rows: list[dict[str, Any]] = []
        self._fresh = True
        if previous is not None and previous.is_file():
            with previous.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                self._columns = list(reader.fieldnames or self._columns)
                self._rows = [{key: item for key, item in row.items() if item} for row in reader]

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder of the file."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The configs are in the run folder already."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of their epoch and step."""
        key = {"epoch": int(metrics.get("epoch", 0)), "step": step or 0}
        if self._fresh:  # what the earlier run logged after the checkpoint happens again
            self._fresh = False
            self._rows = [row for row in self._rows if int(row["step"]) <= key["step"]]
        if not self._rows or {name: int(self._rows[-1][name]) for name in key} != key:
            self._rows.append(dict(key))
        for name, value in metrics.items():
            if name != "epoch":
                self._rows[-1][name] = float(f"{float(value):.7g}")  # float32 holds no more
                if name not in self._columns:
                    self._columns.append(name)
        self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the file."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text_atomic(self.path, text.getvalue())
