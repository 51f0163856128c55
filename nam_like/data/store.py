"""Audio files of a run: found by one rule, read once, shared by all datasets, hashed for the run's record."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nam_like.audio.errors import AudioError
from nam_like.audio.io import audio_info, read_audio
from nam_like.errors import UserError
from nam_like.files import sha256_file

__all__ = ["AudioSource", "AudioStore", "StoredAudio", "find_file"]


def find_file(path: str | Path, folders: Sequence[Path] = (), key: str = "path") -> Path:
    """Find a file that a config names.

    A relative path is looked up in the current directory first, as the field's tools do, then in each of
    `folders` (the folder of the data JSON).

    Args:
        path: as the config gives it; ``~`` is the home folder.
        folders: where else to look.
        key: the config key that holds it, for the message.

    Returns:
        The absolute path, links resolved.

    Raises:
        UserError: it is in none of these places; the message names each place that was tried.
    """
    given = Path(path).expanduser()
    candidates = [given] if given.is_absolute() else [Path.cwd() / given, *(Path(f) / given for f in folders)]
    tried = list(dict.fromkeys(candidate.resolve() for candidate in candidates))
    for candidate in tried:
        if candidate.exists():
            return candidate
    if len(tried) == 1:
        raise UserError(f"expected `{key}` to be a file, but there is no {tried[0]}")
    raise UserError(
        f"expected `{key}` to be a file, but '{path}' is found neither as {' nor as '.join(map(str, tried))}"
    )


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
        """The source as JSON."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
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


class AudioStore:
    """Reads each file once per run, however many datasets use it.

    The key is the resolved path, the channel and, where resampling is asked for, the rate.
    """

    def __init__(self) -> None:
        self._audio: dict[tuple[Path, int | None, int | None], StoredAudio] = {}

    def __len__(self) -> int:
        return len(self._audio)

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
        if (
            native is not None
            and sample_rate is not None
            and native.sample_rate != sample_rate
            and not resample
        ):
            raise AudioError(
                f"{path}: expected a sample rate of {sample_rate} Hz, but got {native.sample_rate} Hz "
                "(`resample: true` converts it)"
            )
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
