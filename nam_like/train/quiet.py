"""Keep Lightning's advertising and advice that does not apply off the user's screen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_lightning"]

#: Messages (regular expressions, matched from the start) that do not apply to our runs.
WARNINGS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of torch
    r"The '\w+' does not have many workers",  # batches are one gather from memory: workers only cost
    r"The number of training batches \(\d+\) is smaller than the logging interval",
    r"Checkpoint directory .* exists and is not empty",
    r"Starting from v1\.9\.0, `tensorboardX` has been removed",
    r"The `srun` command is available",
    r"It is recommended to use `self\.log\(.*sync_dist=True",  # the task reduces what it logs
    r"You are using a CUDA device .* that has Tensor Cores",
)

_LOGGED = ("litlogger", "litmodels", "`weights_only` was not set", "TPU available", "HPU available")


class _Noise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(text in message for text in _LOGGED)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out what does not apply, inside the block; everything else still warns."""
    noise = _Noise()
    sources = [
        logging.getLogger(name)
        for name in (
            "pytorch_lightning.utilities.rank_zero",
            "lightning_fabric.utilities.rank_zero",
            "lightning.pytorch.utilities.rank_zero",
            "pytorch_lightning.trainer.connectors.checkpoint_connector",
        )
    ]
    for source in sources:
        source.addFilter(noise)
    try:
        with warnings.catch_warnings():
            for message in WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for source in sources:
            source.removeFilter(noise)
