from __future__ import annotations

import logging
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nam_like.audio.errors import AudioError
from nam_like.audio.io import write_audio
from nam_like.data.align import StartError, StopError
from nam_like.data.base import DataError, DatasetContext, HandshakeError
from nam_like.data.paired import PairedDataset, PairedDatasetConfig
from nam_like.data.store import AudioStore
from nam_like.errors import UserError

RATE = 8000


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**14), 2**14, length) / 2**16


def build(config: dict[str, Any], nx: int = 5, **context: Any) -> PairedDataset:
    return PairedDatasetConfig.model_validate(config).build(DatasetContext(nx, **context))


def stored(path: str) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


@given(st.integers(1, 30), st.integers(30, 200), st.data())
def test_items_are_the_documented_slices(nx: int, length: int, data: st.DataObject) -> None:
    ny = data.draw(st.integers(1, length - nx + 1))
    x, y = torch.randn(length), torch.randn(length)
    dataset = PairedDataset(x, y, nx=nx, ny=ny)
    assert len(dataset) == (length - nx + 1) // ny
    for i in range(len(dataset)):
        item_x, item_y = dataset[i]
        assert torch.equal(item_x, x[i * ny : i * ny + nx + ny - 1])
        assert torch.equal(item_y, y[i * ny + nx - 1 : i * ny + nx - 1 + ny])
    indices = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=1, max_size=6))
    batch_x, batch_y = dataset.batch(torch.tensor(indices))
    assert torch.equal(batch_x, torch.stack([dataset[i][0] for i in indices]))
    assert torch.equal(batch_y, torch.stack([dataset[i][1] for i in indices]))


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_random_items_are_aligned_and_the_batch_agrees(seed: int, epoch: int) -> None:
    x = torch.arange(100.0)
    dataset = PairedDataset(x, -x, nx=7, ny=11, random_offset=True, seed=seed)
    dataset.set_epoch(epoch)
    assert len(dataset) == 94 // 11
    batch_x, batch_y = dataset.batch(torch.arange(len(dataset)))
    assert torch.equal(batch_x[:, 6:], -batch_y)
    assert torch.equal(batch_x.diff(), torch.ones(len(dataset), 16))
    assert torch.equal(batch_x[3], dataset[3][0])


def test_a_whole_recording_is_one_item_and_not_copied() -> None:
    x, y = torch.randn(50), torch.randn(50)
    dataset = PairedDataset(x, y, nx=8)
    (batch_x, batch_y), (item_x, item_y) = dataset.batch(torch.tensor([0])), dataset[0]
    assert len(dataset) == 1
    assert batch_x.shape == (1, 50)
    assert batch_y.shape == (1, 43)
    assert {t.untyped_storage().data_ptr() for t in (batch_x, item_x)} == {x.untyped_storage().data_ptr()}
    assert {t.untyped_storage().data_ptr() for t in (batch_y, item_y)} == {y.untyped_storage().data_ptr()}
    assert torch.equal(item_y, y[7:])


def test_indices_outside_are_refused() -> None:
    dataset = PairedDataset(torch.zeros(20), torch.zeros(20), nx=1, ny=5)
    assert torch.equal(dataset[-1][0], dataset[3][0])
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"from 0 to 3, but got {index}"):
            dataset[index]
    for index in (4, -1):
        with pytest.raises(IndexError, match=f"from 0 to 3, but got {index}"):
            dataset.batch(torch.tensor([0, index]))


def test_samples_of_the_files_arrive_unchanged_and_shared(pair: dict[str, Any]) -> None:
    store = AudioStore()
    train = build({**pair, "stop_samples": 600}, store=store)
    validation = build({**pair, "start_samples": 600}, store=store, split="validation")
    assert len(store) == 2
    np.testing.assert_array_equal(np.concatenate([train.x, validation.x]), stored(pair["x_path"]))
    np.testing.assert_array_equal(np.concatenate([train.y, validation.y]), stored(pair["y_path"]))
    assert train.x.untyped_storage().data_ptr() == validation.x.untyped_storage().data_ptr()
    assert train.sample_rate == RATE


@given(
    delay=st.integers(-30, 30), start=st.integers(-200, -121) | st.integers(0, 100), stop=st.integers(-80, -1)
)
def test_delay_and_bounds_find_the_truth(tmp_path_factory: Any, delay: int, start: int, stop: int) -> None:
    # y lags x by `delay`: y[n] = x[n − delay] / 2, so the aligned recordings are proportional.
    source = noise(400 + 60)
    x, y = source[30:430], 0.5 * source[30 - delay : 430 - delay]
    folder = tmp_path_factory.getbasetemp()
    for name, samples in (("dx.wav", x), ("dy.wav", y)):
        write_audio(folder / name, samples.astype(np.float32), RATE, subtype="FLOAT")
    dataset = build(
        {
            "x_path": str(folder / "dx.wav"),
            "y_path": str(folder / "dy.wav"),
            "delay": delay,
            "start_samples": start,
            "stop_samples": stop,
            "require_input_pre_silence": None,
        }
    )
    torch.testing.assert_close(dataset.y, 0.5 * dataset.x, rtol=0, atol=1e-7)
    assert len(dataset.x) == len(x[start:stop]) - abs(delay)


def test_gains_preroll_and_lengths(wav: Callable[..., Path]) -> None:
    x, y = noise(500, 1), noise(520, 2)
    paths = {"x_path": str(wav("x.wav", x)), "y_path": str(wav("y.wav", y))}
    dataset = build({**paths, "y_preroll": 20, "input_gain": 20.0, "y_scale": -0.5})
    torch.testing.assert_close(dataset.x, torch.tensor(10.0 * x, dtype=torch.float32))
    torch.testing.assert_close(dataset.y, torch.tensor(-0.5 * y[20:], dtype=torch.float32))
    with pytest.raises(AudioError, match=r"\(500 samples\) and .*\(520 samples\): 20 samples apart"):
        build(paths)
    shorter = build({**paths, "allow_unequal_lengths": True})
    torch.testing.assert_close(shorter.y, torch.tensor(y[:500], dtype=torch.float32))
    with pytest.raises(
        DataError, match="expected `y_preroll` to be smaller than its 520 samples, but got 520"
    ):
        build({**paths, "y_preroll": 520})


@pytest.mark.parametrize("old", ["start", "stop"])
def test_old_names_work_and_warn(old: str, pair: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    new = build({**pair, f"{old}_samples": 300})
    with caplog.at_level(logging.WARNING):
        assert torch.equal(build({**pair, old: 300}).x, new.x)
    assert f"`{old}` is deprecated: write `{old}_samples: 300`" in caplog.text


def test_seconds_are_samples_of_the_rate(pair: dict[str, Any]) -> None:
    one = build({**pair, "start_seconds": 0.05, "stop_seconds": -0.01})
    other = build({**pair, "start_samples": 400, "stop_samples": -80})
    assert torch.equal(one.y, other.y)


@pytest.mark.parametrize(
    "keys", [("start", "start_samples"), ("stop_samples", "stop_seconds"), ("start", "start_seconds")]
)
def test_two_starts_at_once(keys: tuple[str, str]) -> None:
    with pytest.raises(ValidationError, match=f"{keys[0]}: 1 and {keys[1]}: 1.* together"):
        PairedDatasetConfig.model_validate({"x_path": "x", "y_path": "y", **dict.fromkeys(keys, 1)})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("delay", 1.5, "expected an integer, but got 1.5"),
        ("delay", True, "expected an integer, but got true"),
        ("ny", "8192", 'expected an integer, but got the string "8192"'),
        ("ny", 0, "greater than 0"),
        ("input_gain", "3", 'expected a number, but got the string "3"'),
        ("y_scale", 0, "expected `y_scale` not to be 0"),
        ("require_input_pre_silence", True, "expected a number, but got true"),
        ("require_input_pre_silence", -0.1, "greater than or equal to 0"),
        ("chanel", 0, "expected a known key, but got 'chanel'; did you mean 'channel'"),
    ],
)
def test_values_that_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PairedDatasetConfig.model_validate({"x_path": "x", "y_path": "y", key: value})


def test_integral_floats_and_notes_are_taken() -> None:
    config = PairedDatasetConfig.model_validate(
        {
            "x_path": "x",
            "y_path": "y",
            "delay": 3.0,
            "ny": 2048.0,
            "_notes": [],
            "require_input_pre_silence": False,
        }
    )
    assert (config.delay, config.ny, config.require_input_pre_silence) == (3, 2048, None)


def test_the_nets_nx_wins_and_says_so(pair: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert build({**pair, "nx": 9}, nx=5).nx == 5
    assert "`nx` is 9 in the data config, but the net needs 5" in caplog.text


def test_random_offset_is_for_training_only(pair: dict[str, Any]) -> None:
    config = {**pair, "ny": 50, "random_offset": True}
    assert build(config).random_offset
    assert not build(config, split="validation").random_offset


def test_paths_are_relative_to_here_or_to_the_data_json(
    tmp_path: Path, wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"x_path": "x.wav", "y_path": "y.wav"}
    wav("x.wav", noise(100))
    wav("y.wav", noise(100))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(UserError) as caught:
        build(config)
    assert str(caught.value) == f"expected `x_path` to be a file, but there is no {elsewhere / 'x.wav'}"
    assert len(build(config, folders=(tmp_path,)).x) == 100
    write_audio(elsewhere / "x.wav", noise(100, 7).astype(np.float32), RATE, subtype="FLOAT")
    here = build(config, folders=(tmp_path,))
    assert [source.path for source in here.sources] == [elsewhere / "x.wav", tmp_path / "y.wav"]
    with pytest.raises(UserError) as caught:
        build({**config, "y_path": "z.wav"}, folders=(tmp_path,))
    assert str(elsewhere / "z.wav") in str(caught.value)
    assert str(tmp_path / "z.wav") in str(caught.value)


def test_channels_of_a_stereo_file(tmp_path: Path, pair: dict[str, Any]) -> None:
    stereo = np.stack([noise(1000, 3), noise(1000, 4)], axis=1).astype(np.float32)
    soundfile.write(tmp_path / "s.wav", stereo, RATE, subtype="FLOAT")
    config = {**pair, "y_path": str(tmp_path / "s.wav")}
    np.testing.assert_array_equal(build({**config, "y_channel": 1}).y, stereo[:, 1])
    both = build({**config, "x_path": config["y_path"], "channel": 1, "x_channel": 0})
    np.testing.assert_array_equal(both.x, stereo[:, 0])
    np.testing.assert_array_equal(both.y, stereo[:, 1])


def test_resampling_is_done_when_asked_for(wav: Callable[..., Path]) -> None:
    time = np.arange(4000) / RATE
    x = 0.5 * np.sin(2 * np.pi * 200 * time)
    y = 0.5 * np.sin(2 * np.pi * 200 * np.arange(8000) / (2 * RATE))
    paths = {"x_path": str(wav("x.wav", x)), "y_path": str(wav("y.wav", y, 2 * RATE))}
    with pytest.raises(AudioError, match=r"expected the sample rate of x, 8000 Hz .*, but got 16000 Hz"):
        build(paths)
    dataset = build({**paths, "resample": True})
    assert dataset.sample_rate == RATE
    torch.testing.assert_close(dataset.y[200:-200], dataset.x[200:-200], atol=1e-3, rtol=0)
    higher = build({**paths, "resample": True, "sample_rate": 2 * RATE})
    assert (higher.sample_rate, len(higher.x)) == (2 * RATE, 8000)


def test_one_file_may_not_be_taken_for_two_rates(pair: dict[str, Any]) -> None:
    store = AudioStore()
    build(pair, store=store)
    with pytest.raises(AudioError, match="expected a sample rate of 44100 Hz, but got 8000 Hz"):
        build({**pair, "sample_rate": 44100}, store=store)


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-400])
    return path


def with_value(samples: np.ndarray, at: int, value: float) -> np.ndarray:
    changed = samples.copy()
    changed[at] = value
    return changed


BAD_AUDIO: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {}


def bad(message: str) -> Callable[[Callable[[Path], dict[str, Any]]], Callable[[Path], dict[str, Any]]]:
    def note(make: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
        BAD_AUDIO[make.__name__] = (make, message)
        return make

    return note


def float_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> dict[str, str]:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return {f"{path.stem}_path": str(path)}


@bad(r"expected `y_path` to be a file, but there is no .*gone\.wav")
def missing(folder: Path) -> dict[str, Any]:
    return {"y_path": str(folder / "gone.wav")}


@bad(r"y\.wav: the file is empty")
def empty(folder: Path) -> dict[str, Any]:
    (folder / "y.wav").write_bytes(b"")
    return {"y_path": str(folder / "y.wav")}


@bad(r"y\.wav: truncated")
def cut_off(folder: Path) -> dict[str, Any]:
    config = float_wav(folder / "y.wav", noise(1000))
    truncated(folder / "y.wav")
    return config


@bad(r"y\.wav.*clips: .*got 1\.25 \(2 samples .*the first at sample 300\)")
def clipped(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", with_value(with_value(noise(1000), 300, -1.0), 700, 1.25))


@bad(r"y\.wav \(samples counted from 200\): .*clips: .*first at sample 100\)")
def clipped_after_start(folder: Path) -> dict[str, Any]:
    return {**float_wav(folder / "y.wav", with_value(noise(1000), 300, 1.0)), "start_samples": 200}


@bad(r"y\.wav: the signal is silent: all 1000 samples are zero")
def silent_y(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", np.zeros(1000))


@bad(r"x\.wav: the signal is silent")
def silent_x(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "x.wav", np.zeros(1000))


@bad(r"y\.wav: expected finite samples, but got 1 NaN or infinite ones, the first at sample 12")
def nan(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", with_value(noise(1000), 12, np.nan))


@bad(r"y\.wav: expected the sample rate of x, 8000 Hz .*but got 9000 Hz")
def other_rate(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", noise(1000), 9000)


@bad(r"x\.wav: expected a sample rate of 48000 Hz, but got 8000 Hz")
def not_the_rate_asked_for(folder: Path) -> dict[str, Any]:
    return {"sample_rate": 48000}


@bad(r"expected .*x\.wav and .*y\.wav to be equally long, .*0:00:00\.125 \(1000 samples\) and .*100 \(800")
def other_length(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", noise(800))


@bad(r"y\.wav: expected 1 channel, but got 2 \(`channel: 0`")
def stereo(folder: Path) -> dict[str, Any]:
    return float_wav(folder / "y.wav", np.stack([noise(1000)] * 2, axis=1))


@bad(r"x\.wav: expected digital silence for 0\.01 s \(80 samples\) before the start at sample 500")
def sound_before_the_start(folder: Path) -> dict[str, Any]:
    return {"start_samples": 500, "require_input_pre_silence": 0.01}


@bad(r"`start_samples` to be from -1000 to 999 .* but got 1000")
def start_outside(folder: Path) -> dict[str, Any]:
    return {"start_samples": 1000}


@bad(r"x\.wav: expected at least 64 samples \(the receptive field\), but got 50")
def too_short_for_the_net(folder: Path) -> dict[str, Any]:
    return {"stop_samples": 50}


@bad(r"`ny` to be from 1 to 937 \(1000 samples with a receptive field of 64\), but got 938")
def too_short_for_ny(folder: Path) -> dict[str, Any]:
    return {"ny": 938}


@pytest.mark.parametrize("case", sorted(BAD_AUDIO))
def test_bad_audio_has_its_own_message(case: str, tmp_path: Path) -> None:
    config = {
        **float_wav(tmp_path / "x.wav", noise(1000, 1)),
        **float_wav(tmp_path / "y.wav", noise(1000, 2)),
        "require_input_pre_silence": None,
    }
    make, message = BAD_AUDIO[case]
    config.update(make(tmp_path))
    with pytest.raises(UserError, match=message):
        build(config, nx=64)


def test_silence_before_the_start_is_accepted(wav: Callable[..., Path]) -> None:
    x = noise(8000)
    x[:4000] = 0.0
    paths = {"x_path": str(wav("x.wav", x)), "y_path": str(wav("y.wav", noise(8000, 2)))}
    assert len(build({**paths, "start_samples": 4000}).x) == 4000
    with pytest.raises(AudioError, match=r"digital silence for 0\.4 s \(3200 samples\)"):
        build({**paths, "start_samples": 4001})
    assert len(build({**paths, "start_samples": 4001, "require_input_pre_silence": False}).x) == 3999
    assert len(build(paths).x) == 8000


def test_start_and_stop_errors_can_be_told_apart(pair: dict[str, Any]) -> None:
    with pytest.raises(StartError, match=r"`start_seconds · 8000 Hz`"):
        build({**pair, "start_seconds": 1.0})
    with pytest.raises(StopError):
        build({**pair, "stop_samples": 1001})


def test_handshake() -> None:
    dataset = PairedDataset(torch.zeros(20), torch.zeros(20), nx=4, ny=5, sample_rate=48000)
    fitting = {"receptive_field": 4, "sample_rate": None}
    dataset.handshake(types.SimpleNamespace(**fitting))
    for change, message in (
        ({"receptive_field": 5}, "receptive field, 5, but got 4"),
        ({"sample_rate": 44100}, "sample rate, 44100 Hz, but got 48000 Hz"),
    ):
        with pytest.raises(HandshakeError, match=message):
            dataset.handshake(types.SimpleNamespace(**{**fitting, **change}))


def test_scaling_leaves_the_shared_file_alone(pair: dict[str, Any]) -> None:
    store = AudioStore()
    one, other = build(pair, store=store), build(pair, store=store)
    one.scale_output(2.0)
    one.scale_output(0.25)
    torch.testing.assert_close(one.y, 0.5 * other.y)
    assert (one.output_gain, other.output_gain) == (0.5, 1.0)


def test_sources_are_recorded(pair: dict[str, Any]) -> None:
    import hashlib

    record = build(pair).sources[1].as_dict()
    content = Path(pair["y_path"]).read_bytes()
    assert record == {
        "path": os.path.realpath(pair["y_path"]),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "sample_rate": RATE,
        "frames": 1000,
        "subtype": "FLOAT",
        "channel": None,
    }


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3), r"shape \(L,\), but got \(3, 2\) and \(3,\)"),
        (torch.zeros(3), torch.zeros(4), "equally long, but got 3 and 4 samples"),
    ],
)
def test_shapes_are_checked(x: torch.Tensor, y: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        PairedDataset(x, y, nx=1)
