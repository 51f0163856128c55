"""TensorBoard's log, begun when there is something to write: its import takes longer than a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger

__all__ = ["LateTensorBoard"]


class LateTensorBoard(TensorBoardLogger):
    """Lightning's logger, whose folder, file and writer are made with the first value."""

    @property
    def experiment(self) -> Any:
        """The writer: the real one as soon as something is asked of it."""
        if self._experiment is not None:
            return self._experiment
        return _LateWriter(lambda: super(LateTensorBoard, self).experiment)


class _LateWriter:
    """Stands for a ``SummaryWriter`` that is made when one of its methods is asked for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def flush(self) -> None:
        """Nothing was written that could wait."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)
