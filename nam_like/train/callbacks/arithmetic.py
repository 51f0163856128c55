"""How exact the arithmetic of a CUDA device is: TF32 where it was asked for, and never in a validation.

PyTorch lets cuDNN round the factors of float32 convolutions to TF32's 10 bits of mantissa unless told
otherwise. Here every run computes in float32, so that losses and rankings mean the same on all devices; an
option switches TF32 on for the training steps alone.
"""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

__all__ = ["Arithmetic"]

log = logging.getLogger(__name__)


class Arithmetic(Callback):
    """Sets what plain PyTorch may round on CUDA devices, and says where an option is without effect.

    Args:
        tf32: let training steps multiply in TF32.
    """

    def __init__(self, tf32: bool = False) -> None:
        self.tf32 = tf32
        self._before: tuple[bool, bool] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what the options mean for this net, and begin."""
        device = trainer.strategy.root_device
        for line in remarks(pl_module, device, str(trainer.precision), self.tf32):
            log.warning("%s", line)
        if device.type == "cuda":
            self._before = allowed()
            allow(self.tf32, self.tf32)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What is ranked is exact."""
        if self._before is not None:
            allow(False, False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train on."""
        if self._before is not None:
            allow(self.tf32, self.tf32)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave PyTorch as it was."""
        if self._before is not None:
            allow(*self._before)
            self._before = None


def allowed() -> tuple[bool, bool]:
    """Whether matrix products and cuDNN may use TF32."""
    return bool(torch.backends.cuda.matmul.allow_tf32), bool(torch.backends.cudnn.allow_tf32)


def allow(products: bool, cudnn: bool) -> None:
    """Let matrix products and cuDNN (convolutions, recurrent nets) use TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = cudnn


def remarks(module: Any, device: torch.device, precision: str, tf32: bool) -> list[str]:
    """What a user should know about `tf32` and ``trainer.precision`` for a net on a device."""
    said = []
    runs_on = getattr(getattr(module, "net", None), "runs_on", None)
    kernels = runs_on is not None and str(runs_on(device)).startswith("Triton")
    if tf32 and device.type != "cuda":
        said.append(f"`tf32` is without effect: the device is {device.type}, no CUDA device")
    elif tf32 and kernels:
        said.append(
            "`tf32` is without effect on the layers of this net: its Triton kernels compute in float32"
        )
    if precision.startswith("32"):
        return said
    if kernels and precision.endswith("-mixed"):
        said.append(
            f"trainer.precision {precision} is without effect on the layers of this net: its Triton kernels "
            "compute in float32"
        )
    elif precision.endswith("-true"):
        how = "plain PyTorch plays this net then, not the kernels" if device.type in ("cpu", "cuda") else ""
        loss = "small updates are lost in weights of 16 bits" if precision[:2] in ("16", "bf") else ""
        said.append(f"trainer.precision {precision}: " + "; ".join(filter(None, (how, loss))))
    return [line.removesuffix(": ") for line in said]
