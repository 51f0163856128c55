"""What the first training step needs is fetched while recordings are read and the trainer is set up."""

from __future__ import annotations

import logging
from typing import Any

import torch

from nam_like.config.run import RunConfig
from nam_like.models.base import Net

__all__ = ["reserve_memory"]

log = logging.getLogger(__name__)


def reserve_memory(config: RunConfig, net: Any) -> None:
    """Tell the net what its batches will be like, so that it can get their memory; see :meth:`Net.reserve`.

    Nothing depends on it: where the configs do not say what batches are like, the first step gets its memory.
    """
    if not isinstance(net, Net) or not _trains_on_cpu(config):
        return
    shape = _batches(config, net.receptive_field)
    if shape is None:
        return
    try:
        net.reserve(*shape)
    except Exception as error:  # whatever is wrong with the net, its first forward pass will say
        log.debug("no memory was reserved: %r", error)


def _trains_on_cpu(config: RunConfig) -> bool:
    """Whether the trainer will compute on the CPU, in float32."""
    trainer = config.learning.trainer_arguments()
    accelerator, precision = trainer.get("accelerator", "auto"), str(trainer.get("precision") or 32)
    if accelerator == "auto":
        mps = torch.backends.mps.is_available()
        return not (torch.cuda.is_available() or mps) and precision.startswith("32")
    return accelerator == "cpu" and precision.startswith("32")


def _batches(config: RunConfig, receptive_field: int) -> tuple[int, int] | None:
    """Items, and samples of input, of the first training batches; None where that is not known yet."""
    batch = getattr(config.learning.train_dataloader, "batch_size", None)
    ny = getattr(config.data.train[0].config, "ny", None) if config.data.train else None
    for stage in config.learning.curriculum[:1]:
        batch, ny = stage.batch_size or batch, stage.ny or ny
    if not isinstance(batch, int) or not isinstance(ny, int):
        return None
    return batch, ny + receptive_field - 1
