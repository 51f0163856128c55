"""What cannot be used where it stands is decoded once, kept, found again, and thrown away in the end."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nam_like.audio import cache as cache_module
from nam_like.audio.cache import AudioCache, cache_folder, cache_name
from nam_like.audio.errors import AudioError
from nam_like.audio.io import read_audio
from nam_like.audio.opening import open_signal
from nam_like.errors import UserError

RATE = 8000


def noise(seed: int = 0, length: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


@pytest.fixture
def cache(tmp_path) -> AudioCache:
    return AudioCache(tmp_path / "cache", limit=1 << 20)


@pytest.fixture
def flac(tmp_path) -> Path:
    soundfile.write(tmp_path / "a.flac", noise(), RATE)
    return tmp_path / "a.flac"


def test_compressed_audio_is_decoded_once(flac, cache, caplog):
    with caplog.at_level(logging.INFO):
        one, info = open_signal(flac, cache=cache)
        again, _ = open_signal(flac, cache=AudioCache(cache.folder, limit=0))
    assert caplog.text.count("decoded once into") == 1
    assert (info.sample_rate, info.frames) == (RATE, 5000)
    assert one.layout == again.layout
    assert [path.suffix for path in cache.folder.iterdir()] == [".f32"]
    np.testing.assert_array_equal(again.read(), soundfile.read(flac, dtype="float32")[0])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("rate", [4000, 11025, 48000])
def test_resampled_audio_is_that_of_the_reader(tmp_path, cache, name, rate):
    soundfile.write(tmp_path / name, noise(length=300_000), RATE)  # more than a block
    one, info = open_signal(tmp_path / name, sample_rate=rate, resample=True, cache=cache)
    expected = read_audio(tmp_path / name, sample_rate=rate, resample=True)
    assert info.sample_rate == RATE
    np.testing.assert_array_equal(one.read(), expected.samples)


def test_a_wav_of_the_wanted_rate_needs_no_cache(tmp_path, cache):
    soundfile.write(tmp_path / "a.wav", noise(), RATE)
    one, _ = open_signal(tmp_path / "a.wav", sample_rate=RATE, resample=True, cache=cache)
    assert one.layout.path == tmp_path / "a.wav"
    assert not cache.folder.exists()
    with pytest.raises(AudioError, match="expected a sample rate of 9000 Hz, but got 8000 Hz"):
        open_signal(tmp_path / "a.wav", sample_rate=9000, cache=cache)


def test_bytes_count_not_names(flac, cache):
    one, _ = open_signal(flac, cache=cache)
    moved = shutil.move(flac, flac.with_name("b.flac"))
    assert open_signal(moved, cache=cache)[0].layout == one.layout
    soundfile.write(flac, noise(1), RATE)
    other, _ = open_signal(flac, cache=cache)
    assert other.layout.path != one.layout.path
    np.testing.assert_array_equal(other.read(), soundfile.read(flac, dtype="float32")[0])


def test_of_large_files_the_time_of_change_counts_too(flac, monkeypatch):
    whole = cache_name(flac, None, RATE)
    monkeypatch.setattr(cache_module, "SAMPLED_ABOVE", 1000)
    one = cache_name(flac, 0, RATE)
    os.utime(flac, (1, 1))
    assert len({whole, one, cache_name(flac, 0, RATE), cache_name(flac, 1, RATE)}) == 4
    assert cache_name(flac, None, RATE) == cache_name(flac, 0, RATE)


def test_a_half_written_or_damaged_file_is_not_used(flac, cache, monkeypatch):
    def fail(*args):
        yield np.zeros(100, dtype=np.float32)
        raise AudioError("truncated")

    name = cache_name(flac, None, RATE)
    with pytest.raises(AudioError, match="truncated"):
        cache.keep(name, 5000, fail(), str(flac))
    assert list(cache.folder.iterdir()) == []
    with pytest.raises(AudioError, match="expected 5000 samples, but got 7 when decoding it"):
        cache.keep(name, 5000, [np.zeros(7, dtype=np.float32)], str(flac))
    (cache.folder / name).write_bytes(b"short")
    one, _ = open_signal(flac, cache=cache)
    np.testing.assert_array_equal(one.read(), read_audio(flac).samples)


def test_the_least_recently_used_goes_first(tmp_path):
    folder = tmp_path / "cache"
    for number in range(5):
        AudioCache(folder).keep(f"{number}.f32", 1000, [np.zeros(1000, dtype=np.float32)], "x")
        os.utime(folder / f"{number}.f32", (number, number))
    assert AudioCache(folder).find("0.f32", 1000) is not None  # used now
    user = AudioCache(folder, limit=11_000)
    assert user.find("1.f32", 1000) is not None
    os.utime(folder / "1.f32", (0, 0))  # the oldest, but this object has given it out
    user.keep("5.f32", 1000, [np.zeros(1000, dtype=np.float32)], "x")
    assert {path.name for path in folder.iterdir()} == {"1.f32", "5.f32"}


def test_what_a_killed_process_left_goes_after_a_day(tmp_path):
    cache = AudioCache(tmp_path)
    old, new = tmp_path / ".a.0123.tmp.f32", tmp_path / ".b.0123.tmp.f32"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    cache.clean()
    assert [path.name for path in tmp_path.iterdir()] == [new.name]


def test_a_full_disk_is_noticed_before_decoding(flac, cache, monkeypatch):
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(AudioError, match=r"expected 0\.00 GiB of free disk space in .*cache for its samples"):
        open_signal(flac, cache=cache)
    assert list(cache.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(flac, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match=r"cannot be kept in .*\$NAM_LIKE_CACHE names another folder"):
        open_signal(flac, cache=AudioCache(tmp_path / "file" / "cache"))


def test_the_environment_names_folder_and_limit(monkeypatch, tmp_path):
    monkeypatch.setenv("NAM_LIKE_CACHE", str(tmp_path))
    monkeypatch.setenv("NAM_LIKE_CACHE_GIB", "0.5")
    assert (AudioCache().folder, AudioCache().limit) == (tmp_path, 1 << 29)
    for bad in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("NAM_LIKE_CACHE_GIB", bad)
        with pytest.raises(UserError, match=rf"\$NAM_LIKE_CACHE_GIB to be a number of GiB, but got '{bad}'"):
            AudioCache()
    monkeypatch.delenv("NAM_LIKE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(cache_module.sys, "platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "nam_like" / "audio"
