"""Reading the part of files that a segment needs, at the data's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nam_like.audio.errors import AudioError, reason
from nam_like.audio.io import AudioInfo, audio_info
from nam_like.audio.resample import resample, resampled_length
from nam_like.data.base import DataError
from nam_like.data.manifest.channels import Selector, check_selector, select_channels
from nam_like.data.manifest.segment import Span, Window, file_window

__all__ = ["Reader", "read_embedding"]

_MAY_HOLD_NAN = ("FLOAT", "DOUBLE")


class Reader:
    """Reads signals at one rate; the header of each file is read once.

    Args:
        sample_rate: of what it returns (Hz).
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._headers: dict[str, AudioInfo] = {}

    def header(self, path: str) -> AudioInfo:
        """What the header of a file says.

        Raises:
            AudioError: the file is missing, truncated, empty or not audio.
        """
        found = self._headers.get(path)
        if found is None:
            found = self._headers[path] = audio_info(path)
        return found

    def length(self, path: str) -> int:
        """How many samples of the data's rate a file has."""
        info = self.header(path)
        return resampled_length(info.frames, info.sample_rate, self.sample_rate)

    def check(self, paths: Sequence[str], selector: Selector, key: str) -> None:
        """Raise for what headers tell: a channel that is not there, a rate that cannot be converted.

        Raises:
            AudioError: a file has not the channels that `selector`, of the config key `key`, chooses.
            UserError: a file has another rate, and the package that converts it is not installed.
        """
        for path in paths:
            info = self.header(path)
            check_selector(selector, info.channels, key, path)
            if info.sample_rate != self.sample_rate:
                resample(np.zeros(1, dtype=np.float32), info.sample_rate, self.sample_rate)

    def read(self, paths: Sequence[str], span: Span, selector: Selector, key: str) -> Tensor:
        """Read samples of files and select channels of each.

        Args:
            paths: files whose channels, after selection, follow each other.
            span: samples of the data's rate, within each file's :meth:`length`.
            selector: of channels.
            key: of the config that holds the selector, for messages.

        Returns:
            `(C, span.length)` float32.

        Raises:
            AudioError: a file cannot be read, holds NaN, or has no such channel.
            UserError: as :meth:`check`.
        """
        parts = [self._read_one(path, span, selector, key) for path in paths]
        return torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _read_one(self, path: str, span: Span, selector: Selector, key: str) -> npt.NDArray[np.float32]:
        info = self.header(path)
        check_selector(selector, info.channels, key, path)
        window = file_window(span, self.sample_rate, info.sample_rate, info.frames)
        samples = select_channels(_read_frames(path, info, window), selector)
        if info.sample_rate == self.sample_rate:
            return samples
        converted = [resample(channel, info.sample_rate, self.sample_rate) for channel in samples]
        return np.stack([channel[window.skip : window.skip + span.length] for channel in converted])


def read_embedding(paths: Sequence[str]) -> Tensor:
    """Read vectors from .npy files.

    Returns:
        `(D,)` float32, the vectors one after the other.

    Raises:
        DataError: a file is none of numbers, holds NaN, or no vector.
    """
    return torch.cat([_read_vector(path) for path in paths])


def _read_frames(path: str, info: AudioInfo, window: Window) -> npt.NDArray[np.float32]:
    """Read a part of a file, `(count, C)`."""
    import soundfile

    samples: npt.NDArray[np.float32]
    try:
        with soundfile.SoundFile(path) as file:
            if window.first:
                file.seek(window.first)
            samples = file.read(window.count, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: truncated or damaged: {reason(error)}") from error
    if samples.shape[0] < window.count:
        raise AudioError(
            f"{path}: truncated or damaged: expected {info.frames} samples, but got only "
            f"{window.first + samples.shape[0]}"
        )
    if info.subtype in _MAY_HOLD_NAN and not np.isfinite(samples).all():
        bad = np.flatnonzero(~np.isfinite(samples).all(axis=1))
        raise AudioError(
            f"{path}: expected finite samples, but got NaN or infinity at sample {window.first + bad[0]}"
        )
    return samples


def _read_vector(path: str) -> Tensor:
    try:
        values: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a .npy file of numbers: {error}") from error
    if not np.issubdtype(values.dtype, np.floating) and not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"{path}: expected real numbers, but got {values.dtype}")
    if values.size == 0 or values.size != max(values.shape, default=1):
        raise DataError(f"{path}: expected one vector, (D,), but got the shape {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"{path}: expected finite numbers, but got NaN or infinity")
    return torch.from_numpy(values.reshape(-1).astype(np.float32))
