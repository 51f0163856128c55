"""Keep the recordings where the net is: batches are then cut out on the GPU, and nothing is copied there."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from nam_like.data.base import AbstractDataset

__all__ = ["DataOnDevice"]

log = logging.getLogger(__name__)

#: Share of the free memory of a GPU that recordings may take.
SHARE = 0.25


class DataOnDevice(Callback):
    """Moves datasets that can move to a CUDA device when they are small against its memory.

    Args:
        loaders: of the run; those with worker processes are left alone.
    """

    def __init__(self, *loaders: Any) -> None:
        self.loaders = loaders

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move."""
        device = trainer.strategy.root_device
        if device.type != "cuda":
            return
        for loader in self.loaders:
            dataset: Any = loader.dataset
            if loader.num_workers or not hasattr(dataset, "to"):
                continue
            free, _ = torch.cuda.mem_get_info(device)
            if _size(dataset) < SHARE * free:
                dataset.to(device)
                loader.pin_memory = False  # what is on the device cannot be pinned


def _size(dataset: AbstractDataset) -> int:
    """Bytes of the tensors of a dataset."""
    tensors = (item for part in dataset.base_datasets() for item in vars(part).values())
    return sum(item.numel() * item.element_size() for item in tensors if isinstance(item, Tensor))
