"""A dataset that needs no recording: noise bursts and what a formula makes of them.

    "train": {"type": "tanh_clipper", "items": 64, "ny": 2048, "drive": 4.0}

A config model beside the class describes its keys: units in the descriptions, limits in the types. Its method
`build` gets the net's receptive field, the split and the seed from the run.
"""

import torch
from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, PositiveFloat, PositiveInt
from nam_like.data.base import AbstractDataset, DatasetContext
from nam_like.registry import DATASETS


class TanhClipper(AbstractDataset):
    """``y = tanh(drive·x)``; item i of one seed is always the same.

    Args:
        nx: input samples per output sample.
        items: how many.
        ny: output samples per item.
        drive: gain before the tanh.
        sample_rate: that the items pretend to have (Hz).
        seed: of the noise.
    """

    def __init__(self, nx: int, *, items: int, ny: int, drive: float, sample_rate: int, seed: int) -> None:
        self.nx, self.ny, self.sample_rate = nx, ny, float(sample_rate)
        self.items, self.drive, self.seed = items, drive, seed

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return ``x (nx+ny−1,)`` and ``y (ny,)``."""
        generator = torch.Generator().manual_seed(self.seed % 2**31 + index)
        length = self.nx + self.ny - 1
        loudness = torch.rand((), generator=generator)
        x = 0.3 * loudness * torch.randn(length, generator=generator)
        return x, torch.tanh(self.drive * x[self.nx - 1 :])


class TanhClipperConfig(Config):
    """Noise bursts through tanh."""

    items: PositiveInt = Field(64, description="items per epoch")
    ny: PositiveInt = Field(2048, description="output samples per item")
    drive: PositiveFloat = Field(4.0, description="gain before the tanh")
    sample_rate: PositiveInt = Field(48_000, description="rate that the items pretend to have (Hz)")

    def build(self, context: DatasetContext) -> TanhClipper:
        """Make the dataset of one split; splits have seeds of their own."""
        return TanhClipper(context.nx, seed=context.seed, **self.model_dump())


DATASETS.register(
    "tanh_clipper", TanhClipper, config=TanhClipperConfig, summary="noise bursts through tanh; no files"
)
