"""Reading the part of a file that a segment needs, at the data's rate."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from harness.manifests import RATE, indices, ramp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nam_like.audio.errors import AudioError
from nam_like.data.base import DataError
from nam_like.data.manifest.reading import Reader, read_embedding
from nam_like.data.manifest.segment import Span
from nam_like.errors import UserError

KEY = "input_channel_selector"
FORMATS = {"w.wav": "PCM_16", "w24.wav": "PCM_24", "f.wav": "FLOAT", "f.flac": "PCM_16", "o.ogg": "VORBIS"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_part_is_what_the_whole_file_has_there(
    name: str, tmp_path: Path, write: Callable[..., str]
) -> None:
    path = str(
        tmp_path / write(name, np.random.default_rng(0).uniform(-0.9, 0.9, (9000, 2)), 16000, FORMATS[name])
    )
    whole, _ = soundfile.read(path, dtype="float32")
    reader = Reader(RATE)
    assert reader.length(path) == 9000
    for start, stop in ((0, 9000), (0, 10), (1234, 5678), (8999, 9000)):
        part = reader.read([path], Span(start, stop), None, KEY)
        np.testing.assert_array_equal(part.numpy(), whole[start:stop].T)


def test_files_become_channels_in_order(tmp_path: Path, write: Callable[..., str]) -> None:
    one = write("1.wav", np.stack([ramp(100), ramp(100, 1000)], axis=1))
    other = write("2.wav", np.stack([ramp(120, 2000), ramp(120, 3000)], axis=1))
    paths = [str(tmp_path / name) for name in (other, one)]
    reader = Reader(RATE)
    for selector, expected in (
        (None, [2050, 3050, 50, 1050]),
        (1, [3050, 1050]),
        ([1, 0], [3050, 2050, 1050, 50]),
        ("average", [2550, 550]),
    ):
        assert indices(reader.read(paths, Span(50, 60), selector, KEY)[:, 0]) == expected


@pytest.mark.parametrize("file_rate", [8000, 22050, 44100, 48000])
def test_a_file_of_another_rate_keeps_its_time(
    file_rate: int, tmp_path: Path, write: Callable[..., str]
) -> None:
    def signal(rate: int) -> Any:
        time = np.arange(rate) / rate  # one second
        tones = np.sin(2 * np.pi * 440 * time + 0.3) + np.cos(2 * np.pi * 2900 * time)
        return 0.4 * tones * np.sin(np.pi * time) ** 2

    path = str(tmp_path / write("a.wav", signal(file_rate), file_rate))
    reader = Reader(RATE)
    assert reader.length(path) == RATE
    expected = signal(RATE)
    for start, stop in ((0, 16000), (0, 100), (7001, 9003), (15900, 16000)):
        part = reader.read([path], Span(start, stop), None, KEY)[0]
        np.testing.assert_allclose(part.numpy(), expected[start:stop], atol=2e-6)


@given(
    st.sampled_from([8000, 11025, 24000, 44100, 48000]),
    st.integers(0, 2**16),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_part_is_what_converting_the_whole_file_gives(
    tmp_path: Path, file_rate: int, seed: int, low: float, high: float
) -> None:
    samples = (
        np.random.default_rng(seed).uniform(-0.9, 0.9, 3 * file_rate // 2 + seed % 100).astype(np.float32)
    )
    path = str(tmp_path / f"{file_rate}.wav")
    soundfile.write(path, samples, file_rate, subtype="FLOAT")
    reader = Reader(RATE)
    length = reader.length(path)
    whole = np.zeros(length, dtype=np.float32)
    converted = soxr.resample(samples, file_rate, RATE, quality="HQ")[:length]
    whole[: len(converted)] = converted
    start = int(low * (length - 1))
    span = Span(start, start + 1 + int(high * (length - 1 - start)))
    part = reader.read([path], span, None, KEY)[0].numpy()
    np.testing.assert_allclose(part, whole[span.start : span.stop], atol=3e-6)


def test_without_the_converter_it_is_said_before_reading(
    tmp_path: Path, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / write("a.wav", np.zeros(480), 48000))
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "soxr":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        UserError, match=r"from 48000 Hz to 16000 Hz needs soxr: pip install 'nam_like\[resample\]'"
    ):
        Reader(RATE).check([path], None, KEY)
    Reader(48000).check([path], None, KEY)


def test_the_header_is_read_once(
    tmp_path: Path, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / write("a.wav", ramp(100)))
    calls = []
    from nam_like.data.manifest import reading

    real = reading.audio_info
    monkeypatch.setattr(reading, "audio_info", lambda path: calls.append(path) or real(path))
    reader = Reader(RATE)
    for _ in range(3):
        reader.check([path], 0, KEY)
        reader.read([path], Span(0, reader.length(path)), 0, KEY)
    assert calls == [path]


def test_files_that_cannot_be_used(tmp_path: Path, write: Callable[..., str]) -> None:
    bad = ramp(100)
    bad[40] = np.nan
    nan = str(tmp_path / write("nan.wav", bad))
    reader = Reader(RATE)
    assert reader.read([nan], Span(0, 40), None, KEY).shape == (1, 40)
    with pytest.raises(
        AudioError, match=r"nan.wav: expected finite samples, but got NaN or infinity at sample 40"
    ):
        reader.read([nan], Span(30, 50), None, KEY)
    with pytest.raises(
        AudioError, match=r"nan.wav: expected `input_channel_selector` to choose 0, its only channel"
    ):
        reader.read([nan], Span(0, 1), 1, KEY)
    whole = (tmp_path / write("cut.wav", ramp(1000))).read_bytes()
    cut = tmp_path / "cut.wav"
    reader.header(str(cut))
    cut.write_bytes(whole[:-400])  # after its header was read
    with pytest.raises(
        AudioError, match=r"cut.wav: truncated or damaged: expected 1000 samples, but got only 900"
    ):
        reader.read([str(cut)], Span(500, 1000), None, KEY)
    with pytest.raises(AudioError, match=r"cut.wav: truncated"):
        Reader(RATE).header(str(cut))
    cut.unlink()
    with pytest.raises(AudioError, match=r"cut.wav: truncated or damaged"):
        reader.read([str(cut)], Span(0, 10), None, KEY)


def test_embeddings_follow_each_other(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.0, 2.0]]))
    np.save(tmp_path / "b.npy", np.array([3], dtype=np.int16))
    vector = read_embedding([str(tmp_path / "a.npy"), str(tmp_path / "b.npy")])
    assert vector.tolist() == [1.0, 2.0, 3.0]
    assert vector.dtype.is_floating_point


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 3)), r"expected one vector, \(D,\), but got the shape \(2, 3\)"),
        (np.zeros(0), r"expected one vector, \(D,\), but got the shape \(0,\)"),
        (np.array([1.0, np.inf]), "expected finite numbers, but got NaN or infinity"),
        (np.array(["a"]), "expected real numbers, but got <U1"),
        (np.array([1j]), "expected real numbers, but got complex128"),
        (np.array([{}], dtype=object), "not a .npy file of numbers: Object arrays cannot be loaded"),
    ],
)
def test_what_is_no_embedding(value: Any, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", value, allow_pickle=True)
    with pytest.raises(DataError, match=rf"e.npy: {message}"):
        read_embedding([str(tmp_path / "e.npy")])


def test_an_embedding_that_is_no_npy_file(tmp_path: Path) -> None:
    (tmp_path / "e.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"e.npy: not a .npy file of numbers: No data left in file"):
        read_embedding([str(tmp_path / "e.npy")])
