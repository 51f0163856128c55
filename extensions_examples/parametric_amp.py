"""An amp with knobs: a net that hears gain and tone beside the audio, a dataset that reads them from a CSV.

    model.json   "net": {"name": "ParametricNAM", "config": {"hidden": 8, "taps": 32}}
    data.json    "train": {"type": "ParametricDataset", "captures": "knobs.csv", "ny": 2048}

    knobs.csv    x_path,y_path,gain,tone
                 dry.wav,wet_2_5.wav,0.2,0.5
                 dry.wav,wet_8_5.wav,0.8,0.5

The two initializers get the JSON object as it stands; the dataset's has `nx` added, the receptive field.
That is all it takes to bring a plugin written for the documented API of capture tools. A class with keyword
arguments, as in net_hammerstein.py, has its keys checked for it.
"""

import csv
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from nam_like.audio.io import read_audio
from nam_like.data import register_dataset_initializer
from nam_like.errors import UserError
from nam_like.models.base import BaseNet
from nam_like.train.lightning_module import LightningModule


class ParametricNAM(BaseNet):
    """An FIR filter into a layer of tanh units whose drive and bias the knobs set.

    Args:
        hidden: number of tanh units.
        taps: length of the filter (samples): the receptive field.
    """

    num_conditions = 2

    def __init__(self, hidden: int, taps: int) -> None:
        super().__init__()
        self.receptive_field = taps
        self.filter = nn.Conv1d(1, hidden, taps)
        self.knobs = nn.Linear(2, 2 * hidden)
        self.mix = nn.Conv1d(hidden, 1, 1)

    @classmethod
    def init_from_config(cls, config: dict) -> "ParametricNAM":
        """Make the net from ``net.config``."""
        return cls(hidden=config.get("hidden", 8), taps=config.get("taps", 32))

    def _forward(self, audio: Tensor, gain: Tensor, tone: Tensor) -> Tensor:
        """Audio ``(B, L)``, gain and tone ``(B, 1)`` → ``(B, L − taps + 1)``."""
        scale, shift = self.knobs(torch.cat((gain, tone), dim=1)).chunk(2, dim=1)
        units = torch.tanh(self.filter(audio[:, None]) * (1 + scale[:, :, None]) + shift[:, :, None])
        return self.mix(units)[:, 0]


class ParametricDataset(Dataset):
    """Segments of several recordings of one amp, each with the knob positions it was taken at.

    Args:
        captures: CSV with the columns x_path, y_path, gain, tone; its paths start at its own folder.
        nx: input samples per output sample.
        ny: output samples per item.
    """

    def __init__(self, captures: str, nx: int, ny: int) -> None:
        table = Path(captures)
        if not table.is_file():
            raise UserError(f"expected `captures` to be a CSV file, but got {captures}")
        self.nx, self.ny = nx, ny
        self.recordings: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                x, y = (read_audio(table.parent / row[key]) for key in ("x_path", "y_path"))
                self.sample_rate = x.sample_rate
                knobs = (torch.tensor([float(row[key])]) for key in ("gain", "tone"))
                self.recordings.append((torch.from_numpy(x.samples), torch.from_numpy(y.samples), *knobs))
        self.per_recording = [(len(x) - nx + 1) // ny for x, *_ in self.recordings]

    @classmethod
    def init_from_config(cls, config: dict) -> "ParametricDataset":
        """Make the dataset from its entry in data.json."""
        return cls(config["captures"], config["nx"], config["ny"])

    def __len__(self) -> int:
        return sum(self.per_recording)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return ``x (nx+ny−1,)`` and ``(y (ny,), gain (1,), tone (1,))``."""
        recording = 0
        while index >= self.per_recording[recording]:
            index -= self.per_recording[recording]
            recording += 1
        x, y, gain, tone = self.recordings[recording]
        start = index * self.ny
        past = self.nx - 1
        return x[start : start + past + self.ny], (y[start + past : start + past + self.ny], gain, tone)


LightningModule.register_net_initializer("ParametricNAM", ParametricNAM.init_from_config)
register_dataset_initializer("ParametricDataset", ParametricDataset.init_from_config)
