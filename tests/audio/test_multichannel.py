"""Files of several channels in pieces: against soundfile, against the reader of single channels, and soxr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nam_like.audio.errors import AudioError
from nam_like.audio.io import read_audio
from nam_like.audio.multichannel import Block, fitted, read_blocks, resample_channels, write_blocks
from nam_like.audio.resample import resample


def noise(channels: int, samples: int) -> Block:
    return (0.3 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def pieces(audio: Block, size: int) -> Iterator[Block]:
    for first in range(0, audio.shape[1], size):
        yield audio[:, first : first + size]


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")],
)
def test_pieces_are_the_samples_that_the_reader_of_one_channel_gives(
    tmp_path: Path, suffix: str, subtype: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, noise(3, 1000).T, 8000, subtype)
    read = np.concatenate(list(read_blocks(path, block=300)), axis=1)
    for channel in range(3):
        np.testing.assert_array_equal(read[channel], read_audio(path, channel=channel).samples)
    chosen = np.concatenate(list(read_blocks(path, (2, 0), block=7)), axis=1)
    np.testing.assert_array_equal(chosen, read[[2, 0]])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    audio = noise(2, 100)
    soundfile.write(path, audio.T, 8000, "FLOAT")
    with pytest.raises(AudioError, match="expected channels from 0 to 1, but got 2"):
        next(read_blocks(path, (0, 2)))
    audio[1, 70] = np.nan
    soundfile.write(path, audio.T, 8000, "FLOAT")
    assert next(read_blocks(path, (0,))).shape == (1, 100)  # the other channel is not looked at
    with pytest.raises(AudioError, match="NaN or infinity at sample 70"):
        list(read_blocks(path, block=32))
    flac = tmp_path / "x.flac"
    soundfile.write(flac, noise(1, 20000).T, 8000)
    flac.write_bytes(flac.read_bytes()[:-5000])
    with pytest.raises(AudioError, match=r"truncated or damaged|truncated: expected 20000"):
        list(read_blocks(flac))


@pytest.mark.parametrize(("from_rate", "to_rate"), [(16000, 8000), (44100, 16000), (8000, 8000)])
def test_conversion_in_pieces_is_that_of_every_channel_in_one_go(from_rate: int, to_rate: int) -> None:
    audio = noise(2, 9001)
    made = np.concatenate(list(resample_channels(pieces(audio, 500), 2, 9001, from_rate, to_rate)), axis=1)
    for channel in range(2):
        np.testing.assert_allclose(made[channel], resample(audio[channel], from_rate, to_rate), atol=1e-6)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 250])
def test_fitted_signals_have_the_length(length: int) -> None:
    audio = noise(2, 100)
    made = np.concatenate(list(fitted(pieces(audio, 30), length)), axis=1)
    assert made.shape == (2, length)
    np.testing.assert_array_equal(made[:, :100], audio[:, :length])
    assert not made[:, 100:].any()


def test_writing_says_how_long_and_how_loud(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    audio = np.float32([[0.5, -2.0, 0.25, 1.5], [0.0, 0.0, -1.0, 1.0]])
    told = write_blocks(path, pieces(audio, 3), 8000, channels=2, frames=4, subtype="FLOAT")
    assert told == (4, 2.0, 2)
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0].T, audio)
    write_blocks(path, pieces(audio, 3), 8000, channels=2, frames=4, subtype="PCM_16")
    read, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    assert read.T.tolist() == [[16384, -32768, 8192, 32767], [0, 0, -32768, 32767]]


def test_what_no_wav_can_count_becomes_rf64(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_blocks(path, pieces(noise(1, 10), 10), 8000, channels=1, frames=1 << 30, subtype="FLOAT")
    assert path.read_bytes()[:4] == b"RF64"
