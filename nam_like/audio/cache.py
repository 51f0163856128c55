"""Decoded audio kept on disk: what cannot be used where it stands is decoded once, in blocks, and mapped.

Each file of the cache holds the samples of one channel as float32, least significant byte first, and nothing
else. Its name says of which bytes and at which rate, so a recording that was moved is found and one that was
changed is not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.pcm import Layout
from nam_like.files import SAMPLED_ABOVE, atomic_path, sha256_file, sha256_sampled

__all__ = ["FOLDER_VARIABLE", "LIMIT_VARIABLE", "AudioCache", "cache_folder", "cache_name", "content_digest"]

LOGGER = logging.getLogger(__name__)

Float32Array: TypeAlias = npt.NDArray[np.float32]

FOLDER_VARIABLE = "NAM_LIKE_CACHE"
LIMIT_VARIABLE = "NAM_LIKE_CACHE_GIB"
DEFAULT_LIMIT_GIB = 50.0
SPARE_BYTES = 256 << 20
"""Disk space that is left to others."""
STALE_SECONDS = 24 * 3600.0
"""After so long a half-written file is nobody's any more."""
_SAMPLE_BYTES = 4
_GIB = 1 << 30


def cache_folder() -> Path:
    """Where decoded audio is kept: ``$NAM_LIKE_CACHE``, or the user's cache folder of the system.

    Raises:
        AudioError: there is neither.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise AudioError(
            "expected a home folder to keep decoded audio in, but there is none "
            f"(${FOLDER_VARIABLE} names another folder)"
        ) from error
    return base / "nam_like" / "audio"


def cache_name(path: Path, channel: int | None, sample_rate: int) -> str:
    """Return the name under which a channel of a file is kept, once it is decoded.

    Args:
        path: the file; its bytes count, not its name.
        channel: counted from 0.
        sample_rate: Hz, after resampling.
    """
    return f"{content_digest(path)}-{channel or 0}-{sample_rate}.f32"


def content_digest(path: Path) -> str:
    """Return what the names of all that is kept about a file begin with."""
    stat = path.stat()
    if stat.st_size <= SAMPLED_ABOVE:
        return sha256_file(path)[:40]
    # Not all bytes are looked at, so the time of the last change counts too.
    return f"{sha256_sampled(path)[:40]}-{stat.st_mtime_ns:x}"


class AudioCache:
    """A folder of decoded audio.

    Args:
        folder: where it is; None takes :func:`cache_folder`.
        limit: bytes that all files may take together; what was used least recently goes first, but nothing
            that this object has given out. None takes ``$NAM_LIKE_CACHE_GIB``, or 50 GiB.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = cache_folder() if folder is None else folder
        self.limit = _limit() if limit is None else limit
        self._used: set[Path] = set()

    def find(self, name: str, frames: int) -> Layout | None:
        """Return the samples kept under `name`; None where there are none, or not `frames` of them."""
        path = self.folder / name
        try:
            if path.stat().st_size != frames * _SAMPLE_BYTES:
                return None
            os.utime(path)
        except OSError:
            return None
        self._used.add(path)
        return Layout(path, 0, _SAMPLE_BYTES, frames, "f32")

    def keep(self, name: str, frames: int, blocks: Iterable[Float32Array], about: str) -> Layout:
        """Write samples, whole or not at all, and make room for them.

        Args:
            name: see :func:`cache_name`.
            frames: how many samples there are.
            blocks: `(n,)` each, in order.
            about: what they are, for messages.

        Raises:
            AudioError: there is not enough space, the folder cannot be written, or there are not exactly
                `frames` samples.
        """
        path = self.folder / name
        needed = frames * _SAMPLE_BYTES
        LOGGER.info("%s: decoded once into %s (%.1f GiB)", about, path, needed / _GIB)
        try:
            self._check_space(needed, about)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                for block in blocks:
                    file.write(np.ascontiguousarray(block, dtype="<f4").data)
                written = file.tell()
                if written != needed:
                    got = written // _SAMPLE_BYTES
                    raise AudioError(f"{about}: expected {frames} samples, but got {got} when decoding it")
        except OSError as error:
            raise AudioError(
                f"{about}: its samples cannot be kept in {path}: {error.strerror or error} "
                f"(${FOLDER_VARIABLE} names another folder)"
            ) from error
        self._used.add(path)
        self.clean()
        return Layout(path, 0, _SAMPLE_BYTES, frames, "f32")

    def clean(self) -> None:
        """Remove what was used least recently, until the limit is met, and what was left half-written."""
        files = []
        for path in self.folder.glob("*.f32"):
            with contextlib.suppress(OSError):  # another process was quicker
                stat = path.stat()
                files.append((stat.st_mtime, stat.st_size, path))
        for _, _, path in [entry for entry in files if entry[2].name.startswith(".")]:
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()
        files = sorted(entry for entry in files if not entry[2].name.startswith("."))
        excess = sum(size for _, size, _ in files) - self.limit
        for _, size, path in files:
            if excess <= 0:
                break
            if path in self._used:
                continue
            with contextlib.suppress(OSError):  # where files in use cannot be removed, they stay
                path.unlink()
                LOGGER.info(
                    "%s: removed, as the cache is over its limit of %.3g GiB", path, self.limit / _GIB
                )
                excess -= size

    def _check_space(self, needed: int, about: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free - SPARE_BYTES
        if needed > free:
            raise AudioError(
                f"{about}: expected {needed / _GIB:.2f} GiB of free disk space in {self.folder} for its "
                f"samples, but got {max(free, 0) / _GIB:.2f} GiB (${FOLDER_VARIABLE} names another folder; "
                "WAV files of the wanted rate need no space)"
            )


def _limit() -> int:
    """The limit that the environment names (bytes)."""
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return int(DEFAULT_LIMIT_GIB * _GIB)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0.0 <= limit < float("inf"):
        raise AudioError(f"expected ${LIMIT_VARIABLE} to be a number of GiB, but got '{text}'")
    return int(limit * _GIB)
