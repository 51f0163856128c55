"""Samples that stay in their files are those that the libraries read."""

from __future__ import annotations

import copy
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from nam_like.audio import io, pcm, signal
from nam_like.audio.errors import AudioError
from nam_like.audio.io import audio_info, audio_layout, decoded_blocks, read_audio
from nam_like.audio.signal import NotResidentError, Signal, blocks, read

RATE = 8000
LENGTH = 301
SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]
CONTAINERS = ["WAV", "WAVEX", "RF64", "W64", "BW64"]


def noise(channels: int = 1, length: int = LENGTH) -> np.ndarray:
    return np.random.default_rng(channels).uniform(-1, 1, (length, channels))


def write(path: Path, samples: np.ndarray, subtype: str, container: str) -> Path:
    own = "RF64" if container == "BW64" else container
    soundfile.write(path, samples, RATE, subtype=subtype, format=own)
    if container == "BW64":
        path.write_bytes(b"BW64" + path.read_bytes()[4:])
    return path


def as_read_by_soundfile(path: Path, container: str, dtype: str = "float32") -> np.ndarray:
    if container == "BW64":  # libsndfile does not know it
        other = path.with_name("other.wav")
        other.write_bytes(b"RF64" + path.read_bytes()[4:])
        path = other
    return soundfile.read(path, dtype=dtype, always_2d=True)[0]


def mapped(path: Path, channel: int | None = None) -> Signal:
    layout = audio_layout(path, channel)[1]
    assert layout is not None
    return Signal(layout)


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_samples_are_those_of_soundfile(tmp_path, subtype, container, channels):
    path = write(tmp_path / "a.wav", noise(channels), subtype, container)
    expected = as_read_by_soundfile(path, container)
    for channel in range(channels):
        whole = mapped(path, channel)
        assert whole.layout.path == path
        np.testing.assert_array_equal(whole.read(), expected[:, channel])
        np.testing.assert_array_equal(read_audio(path, channel=channel).samples, expected[:, channel])
    info = audio_info(path)
    assert (info.sample_rate, info.frames, info.channels, info.subtype) == (RATE, LENGTH, channels, subtype)
    assert info.format == container


@pytest.mark.parametrize("subtype", SUBTYPES[:4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_wav_files_are_read_as_short_ones(tmp_path, monkeypatch, subtype, dtype):
    path = write(tmp_path / "a.wav", noise(2), subtype, "WAV")
    short = read_audio(path, channel=1, dtype=dtype).samples
    monkeypatch.setattr(io, "WAVIO_BYTES", 0)
    monkeypatch.setattr(io, "BLOCK", 100)
    long = read_audio(path, channel=1, dtype=dtype).samples
    assert long.dtype == short.dtype
    np.testing.assert_array_equal(long, short)
    np.testing.assert_array_equal(long, soundfile.read(path, dtype=dtype)[0][:, 1])


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.wav", "a.aiff"])
def test_decoding_in_blocks_gives_the_same(tmp_path, name):
    soundfile.write(tmp_path / name, noise(2, 20_000), 48_000)
    expected = soundfile.read(tmp_path / name, dtype="float32")[0]
    got = [block.copy() for block in decoded_blocks(tmp_path / name, channel=1, block=777)]
    assert {len(block) for block in got[:-1]} == {777}
    np.testing.assert_array_equal(np.concatenate(got), expected[:, 1])
    np.testing.assert_array_equal(read_audio(tmp_path / name, channel=1).samples, expected[:, 1])


def test_decoding_in_blocks_says_what_is_not_finite(tmp_path):
    samples = noise()[:, 0].astype(np.float32)
    samples[250] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN or infinity at sample 250"):
        list(decoded_blocks(tmp_path / "a.wav", block=100))


@pytest.mark.parametrize("container", ["RF64", "W64"])
def test_truncation_of_64_bit_files_is_noticed(tmp_path, container):
    path = write(tmp_path / "a.wav", noise(), "PCM_24", container)
    whole = path.read_bytes()
    for length in (len(whole) - 3, len(whole) // 2, 100, 50, 20):  # there may be a byte of padding
        path.write_bytes(whole[:length])
        with pytest.raises(AudioError):
            read_audio(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match="truncated: the header promises 903 bytes"):
        audio_info(path)


def sparse(path: Path, size: int) -> None:
    os.truncate(path, size)
    if path.stat().st_blocks * 512 > size // 2:
        pytest.skip("this file system knows no sparse files")


def rf64_header(frames: int) -> bytes:
    size = 3 * frames
    return (
        b"RF64\xff\xff\xff\xffWAVE"
        + b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, frames, 0)
        + b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 48_000, 144_000, 3, 24)
        + b"data\xff\xff\xff\xff"
    )  # fmt: skip


def test_samples_beyond_4_gib(tmp_path):
    frames, path = 10 * 3600 * 48_000, tmp_path / "ten_hours.wav"
    header = rf64_header(frames)
    path.write_bytes(header)
    sparse(path, len(header) + 3 * frames)
    with path.open("rb+") as file:
        file.seek(len(header) + 3 * (frames - 2))
        file.write(b"\x00\x00\x40\x00\x00\xc0")
    whole = mapped(path)
    assert whole.shape == (frames,)
    np.testing.assert_array_equal(whole.read(frames - 3, frames), np.float32([0, 0.5, -0.5]))
    np.testing.assert_array_equal(whole[-2:].scaled(0.5).read(), np.float32([0.25, -0.25]))


def test_a_size_that_wrapped_around_is_noticed(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_24")
    sparse(path, path.stat().st_size + (1 << 32))
    with pytest.raises(AudioError, match="cannot say that it is larger than 4 GiB; save it as RF64 or W64"):
        read_audio(path)


def test_a_streamed_wav_can_be_mapped(tmp_path):
    path = write(tmp_path / "a.wav", noise(), "PCM_16", "WAV")
    expected = read_audio(path).samples
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    np.testing.assert_array_equal(mapped(path).read(), expected)


@pytest.mark.parametrize(("name", "subtype"), [("a.flac", "PCM_16"), ("a.wav", "ULAW"), ("a.aiff", "PCM_16")])
def test_what_cannot_be_mapped(tmp_path, name, subtype):
    soundfile.write(tmp_path / name, noise(), RATE, subtype=subtype)
    assert audio_layout(tmp_path / name)[1] is None


@pytest.fixture(scope="module")
def stereo(tmp_path_factory) -> tuple[Path, np.ndarray]:
    path = write(tmp_path_factory.mktemp("stereo") / "a.wav", noise(2), "PCM_24", "WAV")
    return path, soundfile.read(path, dtype="float32")[0][:, 1]


@given(st.data())
def test_slices_and_gains_are_those_of_an_array(stereo, data):
    path, array = stereo
    one: Signal = mapped(path, 1)
    for _ in range(data.draw(st.integers(0, 4))):
        if data.draw(st.booleans()):
            ends = st.none() | st.integers(-LENGTH - 5, LENGTH + 5)
            part = slice(data.draw(ends), data.draw(ends))
            one, array = one[part], array[part]
        else:
            gain = data.draw(st.floats(-10, 10))
            one, array = one.scaled(gain), array * np.float32(gain)
    assert one.shape == array.shape
    assert len(one) == one.size == len(array)
    np.testing.assert_array_equal(one.read(), array)
    size = data.draw(st.integers(1, LENGTH))
    pieces = [(start, block.copy()) for start, block in one.blocks(size)]
    assert [start for start, _ in pieces] == list(range(0, len(array), size))
    np.testing.assert_array_equal(np.concatenate([np.zeros(0), *(block for _, block in pieces)]), array)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(-3, len(array) + 3)] * 2)))
    np.testing.assert_array_equal(read(one, start, stop), read(array, start, stop))


def test_gains_are_those_of_torch(stereo):
    path, array = stereo
    for gain in (10.0 ** (3.3 / 20), 0.123456789012345, 1e-3 / 3):
        expected = torch.from_numpy(array.copy()) * gain * 0.3
        np.testing.assert_array_equal(mapped(path, 1).scaled(gain).scaled(0.3).read(), expected.numpy())


def test_reading_beyond_the_end(stereo):
    one = mapped(stereo[0], 0)[10:20]
    for start, stop in ((-1, 3), (0, 11), (5, 4)):
        with pytest.raises(IndexError, match=f"within 0…10, but got {start}…{stop}"):
            one.read(start, stop)


def test_copies_map_the_file_again(stereo):
    path, array = stereo
    one = mapped(path, 1)[5:].scaled(2.0)
    before = one.read(0, 3)
    for copied in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert len(pickle.dumps(copied)) < 2000
        np.testing.assert_array_equal(copied.read(), 2 * array[5:])
    np.testing.assert_array_equal(before, 2 * array[5:8])


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("a NumPy array of it", np.asarray),
        ("a NumPy array of it", np.square),
        ("a NumPy array of it", lambda s: np.ones(LENGTH) * s),
        ("`mul`", lambda s: s * 2),
        ("`sub`", lambda s: torch.ones(LENGTH) - s),
        ("`truediv`", lambda s: 1.0 / s),
        ("`abs`", abs),
        ("`square`", lambda s: s.square()),
        ("`torch.square`", torch.square),
        ("going through single samples", list),
    ],
)
def test_what_needs_all_samples_says_so(stereo, name, use):
    with pytest.raises(
        NotResidentError, match=r'stay in their file;.* or set "memory": "resident"'
    ) as caught:
        use(mapped(stereo[0], 0))
    assert name in str(caught.value)
    assert str(stereo[0]) in str(caught.value)


def test_single_samples_and_steps_are_refused(stereo):
    for part in (3, slice(0, 10, 2)):
        with pytest.raises(NotResidentError, match="expected a slice of step 1"):
            mapped(stereo[0], 0)[part]


def test_a_file_that_became_shorter_or_went_away(tmp_path):
    path = write(tmp_path / "a.wav", noise(), "PCM_16", "WAV")
    one, other = mapped(path), mapped(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(
        AudioError, match="truncated: expected at least 646 bytes, but the file holds only 644"
    ):
        one.read()
    path.unlink()
    with pytest.raises(AudioError, match="cannot be mapped into memory"):
        other.read()


def test_pages_are_handed_back_and_had_again(stereo, monkeypatch):
    path, array = stereo
    monkeypatch.setattr(pcm, "PAGES_KEPT", 100)
    one = mapped(path, 1)
    for start in range(0, LENGTH - 50, 50):
        np.testing.assert_array_equal(one.read(start, start + 50), array[start : start + 50])


def test_memory_does_not_grow_with_the_length(tmp_path):
    frames = 1 << 23
    path = tmp_path / "long.wav"
    path.write_bytes(rf64_header(frames))
    os.truncate(path, path.stat().st_size + 3 * frames)
    tracemalloc.start()
    try:
        total = sum(float(block.sum()) for _, block in blocks(mapped(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 0.0
    assert peak < 4 * signal.BLOCK * 4 < frames * 4 / 4
