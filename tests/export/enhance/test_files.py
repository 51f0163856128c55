"""Whole files: length, rate, channels, determinism, and that nothing is left of what fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from nam_like.audio.multichannel import Block
from nam_like.errors import UserError
from nam_like.export.enhance.files import EnhanceOptions, enhance_file
from nam_like.export.enhance.model import EnhancementModel, load_model
from nam_like.export.scripted import write_scripted
from nam_like.models.enhancement.ncsnpp import NCSNpp
from nam_like.models.enhancement.predictive import PredictiveEnhancer
from nam_like.models.enhancement.spectrogram import AudioToSpectrogram, SpectrogramToAudio
from tests.export.enhance.nets import First, Loud, Noisy, Same, mask_net, save

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")

SHORT = EnhanceOptions(block=0.1, overlap=0.02)


def tone(samples: int, rate: int, channels: int = 1) -> Block:
    time = np.arange(samples) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(channels)]).astype(
        np.float32
    )


def write(path: Path, audio: Block, rate: int, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, audio.T, rate, subtype)
    return path


def read(path: Path) -> Block:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def model_of(net: Any, rate: int | None = 8000, channels: int | None = None) -> EnhancementModel:
    return EnhancementModel(net, Path("m.ts"), rate, channels)


@pytest.mark.parametrize("samples", [1, 799, 800, 801, 5000])
def test_a_net_that_changes_nothing_gives_the_file_back(tmp_path: Path, samples: int) -> None:
    noisy = write(tmp_path / "x.wav", tone(samples, 8000, 2), 8000)
    told: list[tuple[int, int]] = []
    done = enhance_file(model_of(Same()), noisy, tmp_path / "y.wav", SHORT, lambda *at: told.append(at))
    np.testing.assert_array_equal(read(tmp_path / "y.wav"), tone(samples, 8000, 2))
    assert (done.samples, done.sample_rate, done.channels) == (samples, 8000, 2)
    assert done.peak == pytest.approx(float(np.abs(tone(samples, 8000, 2)).max()))
    assert told[-1] == (samples, samples)


@pytest.mark.parametrize("rate", [44100, 16000, 7999])
@pytest.mark.parametrize("stream", [False, True])
def test_other_rates_come_back_at_their_own(tmp_path: Path, rate: int, stream: bool) -> None:
    audio = tone(rate, rate)
    noisy = write(tmp_path / "x.wav", audio, rate)
    # A mask of (nearly) one everywhere, for the stream.
    net = mask_net(mask_processor=_OnlyOnes())
    net.mask_processor.original_name = "MaskReferenceChannel"  # what a scripted one says
    options = EnhanceOptions(block=0.1, overlap=0.02, stream=stream)
    done = enhance_file(model_of(net), noisy, tmp_path / "y.wav", options)
    made = read(tmp_path / "y.wav")
    assert made.shape == audio.shape
    assert done.sample_rate == soundfile.info(tmp_path / "y.wav").samplerate == rate
    inner = slice(rate // 10, -rate // 10)  # the ends ring
    np.testing.assert_allclose(made[:, inner], audio[:, inner], atol=1e-3)


class _OnlyOnes(torch.nn.Module):
    def forward(self, x: torch.Tensor, frames: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return x[:, :1] * torch.ones_like(masks)


def test_a_stream_is_the_net_on_the_whole_file(tmp_path: Path) -> None:
    audio = (0.3 * np.random.default_rng(0).standard_normal((2, 9000))).astype(np.float32)
    noisy = write(tmp_path / "x.wav", audio, 8000)
    for normalize in (False, True):
        net = mask_net(normalize_input=normalize)
        model = load_model(save(net, tmp_path / "m.ts"), "cpu")
        with torch.no_grad():
            whole = net(torch.from_numpy(audio)[None])[0].numpy()
            alone = np.concatenate([net(torch.from_numpy(audio[None, c : c + 1]))[0].numpy() for c in (0, 1)])
        enhance_file(model, noisy, tmp_path / "y.wav", EnhanceOptions(stream=True))
        np.testing.assert_allclose(read(tmp_path / "y.wav"), whole, atol=2e-6)
        enhance_file(model, noisy, tmp_path / "y.wav", EnhanceOptions(stream=True, channels="each"))
        np.testing.assert_allclose(read(tmp_path / "y.wav"), alone, atol=2e-6)


def test_blocks_of_a_mask_net_are_close_to_the_whole(tmp_path: Path) -> None:
    audio = (0.3 * np.random.default_rng(0).standard_normal((1, 8000))).astype(np.float32)
    noisy = write(tmp_path / "x.wav", audio, 8000)
    net = mask_net()
    with torch.no_grad():
        whole = net(torch.from_numpy(audio)[None])[0].numpy()
    enhance_file(model_of(net), noisy, tmp_path / "y.wav", EnhanceOptions(block=0.5, overlap=0.1))
    error = np.square(read(tmp_path / "y.wav") - whole).sum() / np.square(whole).sum()
    assert 0 < error < 1e-2


def test_channels_are_chosen(tmp_path: Path) -> None:
    audio = tone(2000, 8000, 3)
    noisy = write(tmp_path / "x.wav", audio, 8000)
    out = tmp_path / "y.wav"
    mono = model_of(Same(), channels=1)
    with pytest.raises(
        UserError, match=r"x.wav: expected 1 channels, as the net takes, but got 3 .*--channels"
    ):
        enhance_file(mono, noisy, out, SHORT)
    assert not out.exists()
    enhance_file(mono, noisy, out, EnhanceOptions(block=0.1, overlap=0.02, channels=(2,)))
    np.testing.assert_array_equal(read(out), audio[2:])
    enhance_file(mono, noisy, out, EnhanceOptions(block=0.1, overlap=0.02, channels="each"))
    np.testing.assert_array_equal(read(out), audio)
    enhance_file(model_of(First()), noisy, out, EnhanceOptions(block=0.1, overlap=0.02, channels=(1, 2)))
    np.testing.assert_array_equal(read(out), audio[1:2])


def test_random_numbers_are_those_of_the_seed(tmp_path: Path) -> None:
    noisy = write(tmp_path / "x.wav", tone(3000, 8000), 8000)
    made = []
    for number, seed in enumerate((1, 1, 2)):
        before = torch.get_rng_state()
        options = EnhanceOptions(block=0.1, overlap=0.02, seed=seed)
        enhance_file(model_of(Noisy()), noisy, tmp_path / f"{number}.wav", options)
        assert torch.equal(torch.get_rng_state(), before)
        made.append(read(tmp_path / f"{number}.wav"))
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()


def test_integers_are_clipped_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noisy = write(tmp_path / "x.wav", np.float32([[0.25, 0.75, -0.75]]), 8000, "PCM_16")
    enhance_file(model_of(Same(2.0)), noisy, tmp_path / "y.wav", EnhanceOptions(subtype="PCM_16"))
    np.testing.assert_array_equal(read(tmp_path / "y.wav"), np.float32([[0.5, 32767 / 32768, -1.0]]))
    assert "2 samples were clipped at full scale, the largest is 1.500" in caplog.text
    assert soundfile.info(tmp_path / "y.wav").subtype == "PCM_16"
    enhance_file(model_of(Same(2.0)), noisy, tmp_path / "y.wav")
    np.testing.assert_array_equal(read(tmp_path / "y.wav"), np.float32([[0.5, 1.5, -1.5]]))
    assert "2 samples lie beyond full scale" in caplog.text


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    audio = tone(4000, 8000)
    audio[0, 3000] = 0.95
    noisy = write(tmp_path / "x.wav", audio, 8000)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="the net gives NaN or infinity"):
        enhance_file(model_of(Loud()), noisy, out / "y.wav", SHORT)
    assert list(out.iterdir()) == []
    (out / "y.wav").write_bytes(b"older")
    with pytest.raises(UserError, match="the net gives NaN or infinity"):
        enhance_file(model_of(Loud()), noisy, out / "y.wav", SHORT)
    assert (out / "y.wav").read_bytes() == b"older"
    with pytest.raises(UserError, match="expected the output to be another file than the input"):
        enhance_file(model_of(Same()), noisy, noisy, SHORT)
    np.testing.assert_array_equal(read(noisy), audio)


def test_what_a_run_exports_is_played(tmp_path: Path) -> None:
    """The files of the exporter: rates, channels and answers are those of the net."""
    audio = (0.3 * np.random.default_rng(0).standard_normal((1, 3000))).astype(np.float32)
    noisy = write(tmp_path / "x.wav", audio, 8000)
    parts = {"encoder": AudioToSpectrogram, "decoder": SpectrogramToAudio}
    shape = {"fft_length": 30, "hop_length": 8}
    small = NCSNpp(channels=[4, 4, 4], num_resolutions=2, num_res_blocks=1)
    nets: dict[str, Any] = {
        "mask": mask_net(),
        "predictive": PredictiveEnhancer(
            estimator=small, sample_rate=8000.0, **{name: part(**shape) for name, part in parts.items()}
        ).eval(),
    }
    for name, net in nets.items():
        path = tmp_path / f"{name}.ts"
        write_scripted(net, path, {"name": name})
        model = load_model(path, "cpu")
        assert (model.sample_rate, model.in_channels) == (8000, net.in_channels)
        assert model.metadata == {"name": name}
        with torch.no_grad():
            whole = net(torch.from_numpy(audio)[None])[0].numpy()
        for stream in (False, True) if name == "mask" else (False,):
            enhance_file(model, noisy, tmp_path / "y.wav", EnhanceOptions(stream=stream))
            np.testing.assert_allclose(read(tmp_path / "y.wav"), whole, atol=2e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 0.0}, "a block of more than 0 seconds, but got 0"),
        ({"block": float("nan")}, "a block of more than 0 seconds"),
        ({"overlap": -1.0}, "an overlap from 0 to half a block"),
        ({"block": 1.0, "overlap": 0.6}, r"half a block \(0.5 seconds\), but got 0.6"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EnhanceOptions(**options)
