"""Audio files of a run: found by one rule, read once, shared by all datasets, hashed for the run's record.

Where all recordings of a run together are long, they are not held in memory: see :meth:`AudioStore.open`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nam_like.audio.cache import AudioCache
from nam_like.audio.checks import check_finite
from nam_like.audio.io import audio_info, check_rate, read_audio
from nam_like.audio.opening import open_signal
from nam_like.audio.pcm import Layout
from nam_like.audio.resample import resampled_length
from nam_like.audio.signal import Signal
from nam_like.config.find_file import find_file
from nam_like.files import SAMPLED_ABOVE, sha256_file, sha256_sampled

__all__ = ["AudioKey", "AudioSource", "AudioStore", "MappedAudio", "StoredAudio", "find_file"]

_SAMPLE_BYTES = 4


@dataclass(frozen=True)
class AudioSource:
    """Where the samples of a dataset come from; what ``run.json`` records.

    Attributes:
        path: the file, absolute.
        sample_rate: Hz, of the file (before resampling).
        frames: samples per channel in the file.
        subtype: how the file stores a sample (``PCM_24``, ``FLOAT``, …).
        channel: the channel read, counted from 0; None where the file has only one.
    """

    path: Path
    sample_rate: int
    frames: int
    subtype: str
    channel: int | None = None

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, computed when first asked for."""
        return sha256_file(self.path)

    @functools.cached_property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self.path.stat().st_size

    def as_dict(self) -> dict[str, Any]:
        """The source as JSON.

        Of a file of more than 256 MiB, blocks are hashed (:func:`nam_like.files.sha256_sampled`), and the key
        says so: hashing ten hours of audio would keep a run waiting for a minute.
        """
        if self.size > SAMPLED_ABOVE:
            digest = {"sha256": None, "sha256_sampled": sha256_sampled(self.path)}
        else:
            digest = {"sha256": self.sha256}
        return {
            "path": str(self.path),
            **digest,
            "size": self.size,
            "sample_rate": self.sample_rate,
            "frames": self.frames,
            "subtype": self.subtype,
            "channel": self.channel,
        }


@dataclass(frozen=True)
class StoredAudio:
    """One channel of a file in memory.

    Attributes:
        samples: `(L,)` float32, full scale is ±1; shared, so never change it in place.
        sample_rate: Hz, of ``samples``.
        source: the file.
    """

    samples: Tensor
    sample_rate: int
    source: AudioSource


@dataclass(frozen=True)
class MappedAudio:
    """One channel of a file that stays in its file.

    Attributes:
        samples: `(L,)` float32 when they are read, full scale is ±1.
        sample_rate: Hz, of ``samples``.
        source: the file.
    """

    samples: Signal
    sample_rate: int
    source: AudioSource


@dataclass(frozen=True)
class AudioKey:
    """What a dataset wants of a file; see :meth:`AudioStore.read`."""

    path: Path
    channel: int | None = None
    sample_rate: int | None = None
    resample: bool = False


class AudioStore:
    """Reads each file once per run, however many datasets use it.

    The key is the resolved path, the channel and, where resampling is asked for, the rate.

    Args:
        mapped: whether :meth:`open` leaves samples in their files.
        cache: where :meth:`open` keeps what has to be decoded first; None takes the user's cache folder.

    Attributes:
        mapped: as above; a run decides it when it knows all its files.
    """

    def __init__(self, mapped: bool = False, cache: AudioCache | None = None) -> None:
        self.mapped = mapped
        self.cache = cache
        self._audio: dict[tuple[Path, int | None, int | None], StoredAudio] = {}
        self._signals: dict[tuple[Path, int | None, int | None], MappedAudio] = {}
        self._finite: set[Layout] = set()

    def __len__(self) -> int:
        return len(self._audio) + len(self._signals)

    def open(
        self,
        path: Path,
        *,
        channel: int | None = None,
        sample_rate: int | None = None,
        resample: bool = False,
    ) -> StoredAudio | MappedAudio:
        """Return one channel of a file as :meth:`read` does, but leave it in its file where :attr:`mapped`.

        Both hold the same samples. Arguments and errors are those of :meth:`read`, but whether a mapped file
        holds finite numbers is not known before :meth:`check_finite`.
        """
        if not self.mapped:
            return self.read(path, channel=channel, sample_rate=sample_rate, resample=resample)
        path = Path(path).resolve()
        native = self._signals.get((path, channel, None))
        if native is not None and sample_rate in (None, native.sample_rate):
            return native
        if native is not None and sample_rate is not None and not resample:
            check_rate(path, native.sample_rate, sample_rate)
        found = self._signals.get((path, channel, sample_rate))
        if found is None:
            signal, info = open_signal(
                path, channel=channel, sample_rate=sample_rate, resample=resample, cache=self.cache
            )
            rate = info.sample_rate if sample_rate is None else sample_rate
            source = AudioSource(path, info.sample_rate, info.frames, info.subtype, channel)
            found = MappedAudio(signal, rate, source)
            self._signals[path, channel, None if rate == info.sample_rate else rate] = found
        return found

    def check_finite(self, audio: StoredAudio | MappedAudio) -> None:
        """Go through a mapped file that holds floats, once; what was read or decoded is known to be finite.

        Raises:
            NotFiniteError: a sample is NaN or infinite.
        """
        signal, path = audio.samples, audio.source.path
        if not isinstance(signal, Signal) or not signal.layout.may_hold_nan or signal.layout.path != path:
            return
        if signal.layout not in self._finite:
            check_finite(signal, str(path))
            self._finite.add(signal.layout)

    @staticmethod
    def size(wanted: AudioKey) -> int:
        """Bytes that the samples of a file take in memory; only its header is read.

        Raises:
            AudioError: the file cannot be used.
        """
        info = audio_info(wanted.path)
        frames = info.frames
        if wanted.resample and wanted.sample_rate is not None:
            frames = resampled_length(frames, info.sample_rate, wanted.sample_rate)
        return frames * _SAMPLE_BYTES

    def read(
        self,
        path: Path,
        *,
        channel: int | None = None,
        sample_rate: int | None = None,
        resample: bool = False,
    ) -> StoredAudio:
        """Return one channel of a file, from memory where it was read before.

        Args:
            path: the file.
            channel: counted from 0; None requires a file with one channel.
            sample_rate: Hz wanted; None takes what the file has.
            resample: convert to ``sample_rate`` where the file has another rate.

        Raises:
            AudioError: the file cannot be used (see :func:`nam_like.audio.io.read_audio`), or has another
                rate.
        """
        path = Path(path).resolve()
        native = self._audio.get((path, channel, None))
        if native is not None and sample_rate is not None and not resample:
            check_rate(path, native.sample_rate, sample_rate)
        if native is not None and (sample_rate is None or native.sample_rate == sample_rate):
            return native
        key = (path, channel, sample_rate if resample else None)
        if key not in self._audio:
            self._audio[key] = self._load(path, channel, sample_rate, resample)
        return self._audio[key]

    def _load(self, path: Path, channel: int | None, sample_rate: int | None, resample: bool) -> StoredAudio:
        audio = read_audio(path, channel=channel, sample_rate=sample_rate, resample=resample)
        info = audio_info(path)
        source = AudioSource(path, info.sample_rate, info.frames, info.subtype, channel)
        return StoredAudio(torch.from_numpy(audio.samples), audio.sample_rate, source)
