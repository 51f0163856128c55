"""Streams: equal to the whole signal in one go, however it is cut, and refused where the future is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nam_like.audio.multichannel import Block
from nam_like.errors import UserError
from nam_like.export.enhance.model import EnhancementModel, load_model
from nam_like.export.enhance.stream import StreamingEnhancer, needs_peak
from nam_like.models.enhancement.beamformer import MaskBasedBeamformer
from nam_like.models.enhancement.masking import MaskReferenceChannel
from tests.export.enhance.nets import Same, mask_net, save

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")

NETS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"estimator": {"rnn_type": "gru"}},
    "compressed": {"shape": {"magnitude_power": 0.5, "scale": 0.33}},
    "half": {"shape": {"hop_length": 32}},
    "two_outputs": {
        "num_outputs": 2,
        "mask_processor": MaskReferenceChannel(ref_channel=1),
        "ref_channel": 1,
        "consistent": True,
    },
    "normalized": {"normalize_input": True},
}


def noise(samples: int, channels: int = 2) -> Block:
    return (0.3 * np.random.default_rng(1).standard_normal((channels, samples))).astype(np.float32)


def whole(net: Any, audio: Block) -> Block:
    with torch.no_grad():
        made: Block = net(torch.from_numpy(audio)[None])[0].numpy()
    return made


def fed(stream: StreamingEnhancer, audio: Block, size: int) -> Block:
    parts = [stream.feed(audio[:, first : first + size]) for first in range(0, audio.shape[1], size)]
    return np.concatenate([*parts, stream.finish()], axis=1)


@pytest.mark.parametrize("name", NETS)
def test_a_stream_gives_what_the_whole_gives(tmp_path: Path, name: str) -> None:
    net = mask_net(**NETS[name])
    model = load_model(save(net, tmp_path / "m.ts"), "cpu")
    audio = noise(403)
    stream = StreamingEnhancer(model, float(np.abs(audio).max()))
    expected = whole(net, audio)
    for size in (1, 16, 50, 1000):  # each is a stream of its own: it has forgotten the one before
        np.testing.assert_allclose(fed(stream, audio, size), expected, atol=2e-6)


@pytest.mark.parametrize("samples", [1, 15, 16, 31, 32, 33, 64, 65, 160])
def test_streams_of_any_length(samples: int) -> None:
    net = mask_net()
    audio = noise(samples, 1)
    stream = StreamingEnhancer(EnhancementModel(net, Path("m.ts")))
    np.testing.assert_allclose(fed(stream, audio, 7), whole(net, audio), atol=2e-6)


@pytest.mark.parametrize("size", [1, 16, 23, 200])
def test_blocks_of_the_same_length_come_back_late_by_the_latency(size: int) -> None:
    net = mask_net()
    audio = noise(600, 1)
    stream = StreamingEnhancer(EnhancementModel(net, Path("m.ts")))
    assert stream.latency == 64
    made = []
    for first in range(0, 600, size):
        block = audio[:, first : first + size]
        made.append(stream.process(block))
        assert made[-1].shape == block.shape
    late = np.concatenate(made, axis=1)
    assert not late[:, :64].any()
    # Nothing of the end is known yet, so the whole is made of a longer signal.
    longer = whole(net, np.pad(audio, ((0, 0), (0, 64))))
    np.testing.assert_allclose(late[:, 64:], longer[:, : 600 - 64], atol=2e-6)


def test_samples_are_given_as_soon_as_they_are_known() -> None:
    net = mask_net()
    stream = StreamingEnhancer(EnhancementModel(net, Path("m.ts")))
    given = 0
    for received in range(1, 300):
        given += stream.feed(np.zeros((1, 1), np.float32)).shape[1]
        assert given > received - stream.latency
        assert given <= received


def test_a_net_that_normalizes_needs_the_peak() -> None:
    model = EnhancementModel(mask_net(normalize_input=True), Path("m.ts"))
    assert needs_peak(model)
    assert not needs_peak(EnhancementModel(mask_net(), Path("m.ts")))
    with pytest.raises(UserError, match="expected the peak of the whole signal"):
        StreamingEnhancer(model)


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Same(), "it is no MaskEnhancer"),
        (mask_net(estimator={"bidirectional": True}), "its mask_estimator is bidirectional"),
        (mask_net(mask_processor=MaskBasedBeamformer()), "a MaskBasedBeamformer, weighs the whole signal"),
        (mask_net(shape={"hop_length": 40}), "its frames of 64 samples are 40 apart"),
    ],
)
def test_nets_that_hear_the_future(tmp_path: Path, net: Any, message: str, scripted: bool) -> None:
    model = (
        load_model(save(net, tmp_path / "m.ts"), "cpu") if scripted else EnhancementModel(net, Path("m.ts"))
    )
    with pytest.raises(UserError, match=f"m.ts: this net cannot run on a stream: .*{message}"):
        StreamingEnhancer(model)


def test_what_a_stream_refuses() -> None:
    stream = StreamingEnhancer(EnhancementModel(mask_net(), Path("m.ts")))
    with pytest.raises(UserError, match="at least one sample, but got none"):
        stream.finish()
    stream.feed(noise(10, 2))
    with pytest.raises(UserError, match="expected 2 channels as before, but got 1"):
        stream.feed(noise(10, 1))
