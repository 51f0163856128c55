"""The peer's side of a benchmark, run by the peer's interpreter: ``python -m benchlib.peer``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
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
        weights=module.net._export_weights,
        load=module.net.import_weights,
        about={"trainer": f"neural-amp-modeler {version('neural-amp-modeler')}", "path": "PyTorch"},
    )


if __name__ == "__main__":
    serve(Worker(build))
