"""The peer's side of a benchmark, run by the peer's interpreter: ``python -m benchlib.peer``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from nam.models import init_from_nam  # type: ignore[import-not-found]
from nam.train.lightning_module import LightningModule  # type: ignore[import-not-found]

from benchlib.worker import Trainee, Worker, serve


def build(model: dict[str, Any], device: torch.device) -> Trainee:
    """The peer's module and optimizer, as its trainer makes them."""
    module = LightningModule.init_from_config(model).to(device)
    configured = module.configure_optimizers()
    return Trainee(
        net=module.net,
        loss=lambda batch: module.training_step(batch, 0),
        optimizer=configured["optimizer"] if isinstance(configured, dict) else configured,
        weights=lambda: in_file_order(module.net, module.net._export_weights()),
        load=lambda weights: module.net.import_weights(in_file_order(module.net, weights)),
        about={"trainer": f"neural-amp-modeler {version('neural-amp-modeler')}", "path": "PyTorch"},
    )


def in_file_order(net: Any, weights: np.ndarray) -> np.ndarray:
    """The peer writes the taps of a Linear backwards, compared with what the realtime engine reads."""
    if type(net).__name__ != "Linear":
        return weights
    taps = net.receptive_field
    return np.concatenate([weights[:taps][::-1], weights[taps:]])


if __name__ == "__main__":
    serve(Worker(build, init_from_nam))
