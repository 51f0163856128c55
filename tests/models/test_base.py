"""The base of all nets, and nets of plugins on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.net_contract import noise
from torch import Tensor, nn

from nam_like.errors import ExportError, HandshakeError
from nam_like.export.nam import NamExporter
from nam_like.models.amp.linear import Linear
from nam_like.models.base import BaseNet, Net, forward_in_pieces


class MyNet(BaseNet):
    """As plugins of other tools are written: `receptive_field`, `forward(x)`, `export_…`."""

    def __init__(self, taps: int, hidden: int = 2) -> None:
        super().__init__()
        self._taps = taps
        self.conv = nn.Conv1d(1, hidden, taps)
        self.out = nn.Conv1d(hidden, 1, 1)

    @property
    def receptive_field(self) -> int:
        return self._taps

    @classmethod
    def init_from_config(cls, config_dict: dict[str, Any]) -> MyNet:
        return cls(taps=config_dict["taps"], hidden=config_dict.get("hidden", 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.conv(x[:, None])))[:, 0]

    def export_config(self) -> dict[str, Any]:
        return {"taps": self._taps}

    def export_weights(self) -> np.ndarray[Any, Any]:
        return np.concatenate([p.detach().numpy().ravel() for p in self.parameters()])


def test_a_plugins_plain_forward_is_padded_and_cropped() -> None:
    net = MyNet.init_from_config({"taps": 5})
    x = noise(2, 20)
    with torch.no_grad():
        short = net(x, pad_start=False)
        padded = net(x, pad_start=True)
        assert short.shape == (2, 16)
        assert padded.shape == (2, 20)
        assert torch.equal(padded[:, 4:], short)
        assert torch.equal(net(x), padded)  # it pads unless told otherwise
        assert net(x[0]).shape == (20,)
    assert net.exports == {"torchscript"}  # the realtime engine does not know it


def test_a_plugin_may_pad_inside() -> None:
    class Inside(MyNet):
        def forward(self, x: Tensor) -> Tensor:
            return super()._forward(nn.functional.pad(x, (self._taps - 1, 0)))

    torch.manual_seed(0)
    inside = Inside(5)
    plain = MyNet(5)
    plain.load_state_dict(inside.state_dict())
    x = noise(2, 20)
    with torch.no_grad():
        for pad in (True, False):
            torch.testing.assert_close(inside(x, pad_start=pad), plain(x, pad_start=pad))


def test_a_plugin_that_takes_pad_start_keeps_its_forward() -> None:
    class Own(BaseNet):
        receptive_field = 3

        def forward(self, x: Tensor, pad_start: bool | None = None) -> Tensor:
            return x + 1.0

    assert torch.equal(Own()(torch.zeros(1, 4), pad_start=True), torch.ones(1, 4))


def test_conditions_of_a_plugin_are_counted() -> None:
    class Knobs(BaseNet):
        receptive_field = 1

        def forward(self, audio: Tensor, gain: Tensor, tone: Tensor) -> Tensor:
            return audio * gain + tone

    net = Knobs()
    assert net.num_conditions == 2
    gain, tone = torch.full((2, 1), 2.0), torch.full((2, 1), 1.0)
    assert torch.equal(net(torch.ones(2, 7), gain, tone), torch.full((2, 7), 3.0))
    with pytest.raises(ValueError, match="expected 2 condition tensors after the audio, but got 1"):
        net(torch.ones(2, 7), gain)

    class Optional(BaseNet):
        receptive_field = 1

        def forward(self, audio: Tensor, gain: Tensor | None = None) -> Tensor:
            return audio if gain is None else audio * gain

    assert torch.equal(Optional()(torch.ones(2, 3)), torch.ones(2, 3))
    assert torch.equal(Optional()(torch.ones(2, 3), gain), torch.full((2, 3), 2.0))


def test_the_newer_private_names_are_honoured() -> None:
    class Newer(BaseNet):
        def __init__(self) -> None:
            super().__init__()
            self.receptive_field = 2

        def _forward(self, x: Tensor) -> Tensor:
            return x[:, 1:] - x[:, :-1]

        def _export_config(self) -> dict[str, Any]:
            return {"a": 1}

        def _export_weights(self) -> list[float]:
            return [1.0, 2.0]

    net = Newer()
    assert torch.equal(net(torch.tensor([[1.0, 3.0]])), torch.tensor([[1.0, 2.0]]))
    assert net.export_config() == {"a": 1}
    assert net.export_weights().dtype == np.float32
    assert net.export_obstacles("nam") == []


def test_a_plugins_net_is_refused_as_nam_unless_asked_for(tmp_path: Path) -> None:
    net, path = MyNet(3).eval(), tmp_path / "model.nam"
    (reason,) = NamExporter().obstacles(net)
    assert "but got MyNet" in reason
    foreign = NamExporter(foreign=True)
    foreign.write(net, path, {"name": "mine"})
    assert '"architecture":"MyNet","config":{"taps":3}' in path.read_text()
    silence = np.zeros(10, dtype=np.float32)
    assert foreign.verify(net, path, silence).max_abs == 0.0
    with torch.no_grad():
        net.out.bias.add_(0.1)
    with pytest.raises(
        ExportError, match=r"expected the weights of the net, but got a difference of 1\.0e-01"
    ):
        foreign.verify(net, path, silence)


def test_a_plugin_may_write_files_that_the_engine_knows(tmp_path: Path) -> None:
    class Filter(BaseNet):
        architecture = "Linear"
        receptive_field = 2

        def forward(self, x: Tensor) -> Tensor:
            return 0.5 * x[:, 1:] + 0.25 * x[:, :-1]

        def export_config(self) -> dict[str, Any]:
            return {"receptive_field": 2, "bias": False}

        def export_weights(self) -> list[float]:
            return [0.5, 0.25]

    net, path = Filter().eval(), tmp_path / "model.nam"
    assert "nam" in net.exports
    NamExporter().write(net, path, {})
    NamExporter().verify(net, path, noise(50).numpy())


def test_aligned_conditions_are_padded_with_their_first_value() -> None:
    class Seen(Net):
        num_conditions = 1

        def __init__(self) -> None:
            super().__init__()
            self.receptive_field = 3

        def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
            return conditions[0][:, 0, :-2]  # what stood two samples before

    knobs = torch.arange(4.0).reshape(1, 1, 4) + 5
    assert Seen()(torch.zeros(1, 4), knobs).tolist() == [[5.0, 5.0, 5.0, 6.0]]
    with pytest.raises(ValueError, match=r"expected aligned conditions as long as the audio \(6 samples\)"):
        Seen()(torch.zeros(1, 6), knobs, pad_start=False)


@pytest.mark.parametrize("length", [7, 8, 9, 30, 31])
def test_pieces_make_the_same_whole(length: int) -> None:
    net = Linear(7)
    x = noise(2, length)
    with torch.no_grad():
        whole = net(x, pad_start=False)
        torch.testing.assert_close(forward_in_pieces(net, x, limit=10), whole)


def test_what_is_not_defined_says_so() -> None:
    net = BaseNet()
    with pytest.raises(NotImplementedError, match="does not define `receptive_field`"):
        _ = net.receptive_field
    net.receptive_field = 1
    for call in (lambda: net(torch.zeros(1, 1)), net.export_config, net.export_weights):
        with pytest.raises(NotImplementedError, match="does not define"):
            call()
    with pytest.raises(NotImplementedError, match="cannot scale its output"):
        net.scale_output(2.0)
    with pytest.raises(NotImplementedError, match="cannot import weights"):
        net.import_weights([])
    assert net.export_obstacles("nam") == ["a Net cannot be exported as 'nam'"]
    assert net.export_obstacles("torchscript") == []


class Data:
    """What a net looks at in a dataset."""

    def __init__(self, num_conditions: int = 0, rate: float | None = None) -> None:
        self.num_conditions, self.sample_rate = num_conditions, rate


def test_handshake() -> None:
    net = Linear(3, sample_rate=48_000)
    net.handshake(Data(rate=48_000.0))
    with pytest.raises(HandshakeError, match="expected a dataset with 0 conditions for Linear, but got 1"):
        net.handshake(Data(1))
    with pytest.raises(HandshakeError, match="48000 Hz, but got 44100 Hz"):
        net.handshake(Data(rate=44_100))
