"""What a run exports: plugins' nets with files of their own, and nets whose knobs only the data knows."""

import numpy as np
import pytest
import torch
from torch import nn

from nam_like.data.base import AbstractDataset
from nam_like.errors import ExportError
from nam_like.export.nam import NamExporter
from nam_like.export.torchscript import TorchScriptExporter
from nam_like.models.base import Net
from nam_like.train.evaluate import condition_sizes, loudest
from nam_like.train.exporting import export_all, ready_net, undo_gain

AUDIO = np.random.default_rng(0).normal(0, 0.1, 200).astype(np.float32)


class Own(Net):
    """A net with an architecture that only its author's player knows."""

    architecture = "Own"

    def __init__(self):
        super().__init__()
        self.receptive_field = 1
        self.gain = nn.Parameter(torch.tensor([0.5]))

    def _forward(self, x):
        return self.gain * x

    def export_config(self):
        return {}

    def export_weights(self):
        return self.gain.detach().numpy()


class Knobs(Net):
    """A net that does not say how many knobs it takes, but needs three."""

    num_conditions = 1

    def __init__(self):
        super().__init__()
        self.receptive_field = 1
        self.mix = nn.Linear(3, 1)

    def _forward(self, x, knobs):
        return x * self.mix(knobs)


class ThreeKnobs(AbstractDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.zeros(8), torch.full((3,), 0.1), torch.zeros(8)


def test_the_weights_of_a_file_that_nothing_can_play_are_verified(tmp_path):
    (export,) = export_all(Own().eval(), [NamExporter(foreign=True)], tmp_path, {}, AUDIO)
    assert not export.verification.plays
    assert export.verification.max_abs == 0.0


def test_a_file_with_other_weights_is_removed(tmp_path):
    class Wrong(NamExporter):
        def write(self, net, path, metadata):
            super().write(net, path, metadata)
            path.write_text(path.read_text().replace("[0.5]", "[0.25]"))

    with pytest.raises(ExportError, match="expected the weights of the net"):
        export_all(Own().eval(), [Wrong(foreign=True)], tmp_path, {}, AUDIO)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_a_net_is_tried_out_with_the_knobs_of_the_data(tmp_path, gain):
    net = Knobs().eval()
    net.condition_sizes = condition_sizes(ThreeKnobs())
    assert net.condition_sizes == (3,)
    (export,) = export_all(undo_gain(net, gain), [TorchScriptExporter()], tmp_path, {}, AUDIO)
    assert export.verification.max_abs < 1e-6


@pytest.mark.parametrize("samples", [1, 7, 30, 1000])
def test_the_loudest_stretch_is_found(samples):
    x = torch.from_numpy(np.random.default_rng(3).normal(0, 1, 200) * np.hanning(200) ** 2)
    found = loudest(x, samples)
    length = min(samples, 200)
    assert found.stop - found.start == length
    energies = [float((x[start : start + length] ** 2).sum()) for start in range(201 - length)]
    assert found.start == int(np.argmax(energies))


def test_a_file_is_proven_where_there_is_sound(tmp_path):
    """Recordings begin with silence, on which every file plays as its net."""
    rate, past = 8000, 3
    x = np.zeros(4 * rate, np.float32)
    x[3 * rate :] = 0.5

    class Validation(AbstractDataset):
        sample_rate, output_gain = rate, 1.0

        def __init__(self):
            self.x = self.y = torch.from_numpy(x)

        def base_datasets(self):
            return [self]

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self.x, self.y

    class Data:
        validation, output_gain = Validation(), 1.0

    net = Own()
    net.sample_rate, net.receptive_field = rate, past
    ready = ready_net(net, Data(), {}, {})
    assert len(ready.piece.x) == len(x)
    assert len(ready.proof) == rate + past
    assert np.count_nonzero(ready.proof) == rate
