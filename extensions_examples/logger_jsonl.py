"""A logger: one JSON object per line, for tools that follow a run while it goes on (`tail -f metrics.jsonl`).

"loggers": [{"name": "jsonl", "config": {"file": "metrics.jsonl"}}]
"""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from nam_like.registry import LOGGERS


@LOGGERS.register("jsonl", summary="one JSON object per line")
class JsonLines(Logger):
    """Appends what is logged to a file.

    Args:
        file: path of the file, from the current directory.
    """

    def __init__(self, file: str = "metrics.jsonl") -> None:
        super().__init__()
        self.path = Path(file)

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "jsonl"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder holds the configs already."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"step": step, **{key: float(value) for key, value in metrics.items()}}) + "\n"
            )
