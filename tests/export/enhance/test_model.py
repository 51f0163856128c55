"""Reading TorchScript files: what they say about themselves, and what is no enhancement net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nam_like.errors import UserError
from nam_like.export.enhance.model import EnhancementModel, choose_device, load_model
from tests.export.enhance.nets import First, Loud, Same, mask_net, save

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")


def test_a_file_says_what_it_plays(tmp_path: Path) -> None:
    model = load_model(save(Same(2.0, 8000.0, 3), tmp_path / "m.ts", {"name": "x"}), "cpu")
    assert (model.sample_rate, model.in_channels, model.metadata) == (8000, 3, {"name": "x"})
    audio = np.float32([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    np.testing.assert_array_equal(model.play(audio), 2 * audio)


def test_what_a_file_does_not_say(tmp_path: Path) -> None:
    bare = load_model(save(First(), tmp_path / "m.ts"), "cpu")
    assert (bare.sample_rate, bare.in_channels, bare.metadata) == (None, None, {})
    told = load_model(save(First(), tmp_path / "n.ts", {"sample_rate": 16000.0}), "cpu")
    assert told.sample_rate == 16000
    assert load_model(save(Same(sample_rate=0.0), tmp_path / "o.ts"), "cpu").sample_rate is None


def test_a_wrapped_net_is_asked_too(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mask_net()

        def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
            return self.net(x, lengths)

    model = load_model(save(Wrapped(), tmp_path / "m.ts"), "cpu")
    # The layers of a mask net have attributes of the same names, which are not the net's.
    assert (model.sample_rate, model.in_channels) == (8000, None)


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Amp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.receptive_field = 5

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_files_that_hold_no_enhancement_net(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.ts: no such file"):
        load_model(tmp_path / "gone.ts")
    with pytest.raises(UserError, match="expected a file, but got a folder"):
        load_model(tmp_path)
    (tmp_path / "text.ts").write_text("no net")
    with pytest.raises(UserError, match=r"text.ts: expected a TorchScript file"):
        load_model(tmp_path / "text.ts")
    with pytest.raises(UserError, match=r"expected a net of one input, \(B, C, T\), but got x, y"):
        load_model(save(Two(), tmp_path / "two.ts"))
    with pytest.raises(UserError, match="but this one captures an amp"):
        load_model(save(Amp(), tmp_path / "amp.ts"))


class Shorter(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., 1:]


def test_answers_that_are_none(tmp_path: Path) -> None:
    audio = np.float32([[0.0, 1.0, 0.5]])
    with pytest.raises(UserError, match=r"here with T = 3, but got \(1, 1, 2\)"):
        load_model(save(Shorter(), tmp_path / "s.ts"), "cpu").play(audio)
    with pytest.raises(UserError, match="the net gives NaN or infinity"):
        load_model(save(Loud(), tmp_path / "l.ts"), "cpu").play(audio)


def test_the_cause_is_told_without_torchs_traceback() -> None:
    net = mask_net(estimator={"num_input_channels": 2, "mag_reduction": None})
    model = EnhancementModel(net, Path("m.ts"))
    with pytest.raises(
        UserError, match=r"^m.ts: the net cannot be played with audio of 1 channels: mat1 and"
    ):
        model.play(np.zeros((1, 200), np.float32))


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UserError, match="expected a device of this machine, but got 'toaster'"):
        choose_device("toaster")
