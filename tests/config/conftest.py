"""A small net of our own, and files of a run to break."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from nam_like.config.base import Bool, Config, Float, PositiveInt
from nam_like.config.component import Component, Of
from nam_like.config.run import RunConfig, load_run
from nam_like.registry import NETS

DATA = {
    "train": {"ny": 8192, "stop_seconds": -9.0},
    "validation": {"ny": None, "start_seconds": -9.0},
    "common": {"x_path": "x.wav", "y_path": "y.wav", "delay": 0},
}
MODEL = {
    "net": {
        "name": "FakeNet",
        "config": {"layers_configs": [{"channels": 3, "kernel_size": [3, 5]}], "head_scale": 0.02},
    },
    "optimizer": {"lr": 0.004},
    "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.993}},
    "loss": {"val_loss": "esr", "pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": 0.85},
}
LEARNING = {
    "train_dataloader": {"batch_size": 16, "shuffle": True, "drop_last": True},
    "val_dataloader": {},
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 100, "val_check_interval": 0.5},
}


class FakeLayer(Config):
    channels: PositiveInt
    kernel_size: PositiveInt | list[PositiveInt] = 3
    gated: Bool = False


class FakeNet:
    exports = frozenset({"torchscript"})

    def __init__(self, layers: list[dict[str, object]], head_scale: float, obstacles: list[str]) -> None:
        self.layers = layers
        self.head_scale = head_scale
        self.obstacles = obstacles

    def export_obstacles(self, exporter: str) -> list[str]:
        return self.obstacles


class FakeNetConfig(Config):
    layers_configs: list[FakeLayer] = Field(min_length=1)
    head_scale: Float = 1.0
    sample_rate: Float | None = Field(None, gt=0)
    inner: Annotated[Component | None, Of("net", optional=True)] = None
    obstacles: list[str] = Field(default_factory=list)
    fails: str = ""

    def build(self) -> FakeNet:
        if self.fails:
            raise {"value": ValueError, "key": KeyError}[self.fails]("expected 3, but got 4")
        return FakeNet([layer.model_dump() for layer in self.layers_configs], self.head_scale, self.obstacles)


@dataclass
class Files:
    """The three files of a run in a folder."""

    folder: Path

    def write(self, **texts: object) -> None:
        """Write files by name; what is no string is dumped as JSON."""
        for name, text in texts.items():
            content = text if isinstance(text, str) else json.dumps(text, indent=1)
            (self.folder / f"{name}.json").write_text(content, encoding="utf-8")

    def load(self, *overrides: str) -> RunConfig:
        paths = [self.folder / f"{name}.json" for name in ("data", "model", "learning")]
        return load_run(*paths, overrides=overrides)


@pytest.fixture(autouse=True, scope="session")
def _fake_net():
    NETS.register("FakeNet", FakeNet, config=FakeNetConfig)
    yield
    NETS.unregister("FakeNet")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Three valid files."""
    made = Files(tmp_path)
    made.write(data=DATA, model=MODEL, learning=LEARNING)
    return made
