"""From a line of a NeMo manifest to a Lhotse cut."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import EMBEDDING, REFERENCE, TARGET, duration_of, located
from nam_like.data.cuts.optional import require

__all__ = ["NemoKeys", "Parts", "recording_of"]

log = logging.getLogger(__name__)

Parts: TypeAlias = list[tuple[str, Path | bytes]]
"""Name and content of each file whose channels belong together."""

_KNOWN = ("duration", "offset", "id")
_ROUNDED = 0.01
"""Seconds by which the durations of manifests may miss the end of a file."""


@dataclass(frozen=True)
class NemoKeys:
    """What the keys of a NeMo manifest are called; makes cuts of its lines.

    Attributes:
        input_key: the recording: a path, or a list of paths whose channels belong together.
        target_key: what is wanted of it; null where there is none.
        reference_key: a further recording.
        embedding_key: an ``.npy`` file with a vector.
    """

    input_key: str = "audio_filepath"
    target_key: str | None = "target_filepath"
    reference_key: str | None = None
    embedding_key: str | None = None

    @property
    def audio(self) -> dict[str, str]:
        """Name in the cut → key in the manifest, of all recordings."""
        keys = {"recording": self.input_key, TARGET: self.target_key, REFERENCE: self.reference_key}
        return {name: key for name, key in keys.items() if key}

    def files(self, item: Mapping[str, Any], place: str, *, optional_target: bool) -> dict[str, list[str]]:
        """The paths of each recording.

        Raises:
            DataError: a key is not there, or holds no paths.
        """
        found = {}
        for name, key in self.audio.items():
            value = item.get(key)
            if value is None and name == TARGET and optional_target:
                continue
            if value is None:
                present = ", ".join(item)
                raise DataError(f"{place}: key '{key}' not found; keys present: {present}")
            paths = [value] if isinstance(value, str) else value
            if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
                raise DataError(f"{place}: expected `{key}` to be a path, but got {describe(value)}")
            found[name] = paths
        return found

    def decode(self, item: dict[str, Any], folder: Path, place: str) -> Any:
        """Make the cut that a line of the manifest describes; reads the headers of its files.

        Raises:
            DataError: a key or file is missing, or files that belong together differ.
        """
        # Whether a target is needed is told by whoever reads the cut.
        files = self.files(item, place, optional_target=True)
        sources: dict[str, Parts] = {
            name: [(path, Path(located(path, folder))) for path in paths] for name, paths in files.items()
        }
        return self.assemble(item, sources, folder, place)

    def assemble(
        self,
        item: Mapping[str, Any],
        sources: Mapping[str, Parts],
        folder: Path,
        place: str,
    ) -> Any:
        """Make a cut of recordings that are files or bytes.

        Args:
            item: the line of the manifest.
            sources: name in the cut → names and contents, one for each file whose channels belong together.
            folder: where the path of an embedding begins.
            place: of the line, for messages.
        """
        cuts = require("lhotse.cut", "Lhotse cuts")
        recordings = {name: recording_of(parts, place) for name, parts in sources.items()}
        main = recordings.pop("recording")
        first = sources["recording"][0][0]
        known = {*_KNOWN, *self.audio.values(), self.embedding_key}
        custom: dict[str, Any] = {key: value for key, value in item.items() if key not in known}
        custom.update(recordings)
        if self.embedding_key:
            custom[EMBEDDING] = _embedding(item, self.embedding_key, folder, place)
        offset = float(item.get("offset") or 0.0)
        duration = _seconds(item, offset, [main, *recordings.values()], place)
        kind = cuts.MonoCut if main.num_channels == 1 else cuts.MultiCut
        channel = main.channel_ids[0] if main.num_channels == 1 else main.channel_ids
        name = str(item.get("id", first))
        return kind(name, offset, duration, channel, recording=main, custom=custom)


def _seconds(item: Mapping[str, Any], offset: float, recordings: Sequence[Any], place: str) -> float:
    """How long a cut is: as its line says, but for rounding, and no longer than its file."""
    stated = duration_of(item, place)
    ends = [recording.duration for recording in recordings]
    # A recording that ends early by more than rounding is told where it is read.
    end = min((end for end in ends if ends[0] - end <= _ROUNDED), default=ends[0])
    if offset < 0 or offset >= end:
        raise DataError(
            f"{place}: expected `offset` from 0 to below {end:g} s, the end, but got {offset:g} s"
        )
    if offset + stated > end + _ROUNDED:
        log.warning("%s: `duration` of %g s ends behind its file, which has %g s", place, stated, ends[0])
    near_end = offset + stated >= end - _ROUNDED
    return float(end - offset) if near_end else stated


def recording_of(parts: Parts, place: str) -> Any:
    """A recording of files whose channels belong together.

    Raises:
        DataError: a file is no audio, or they differ in rate or length.
    """
    audio = require("lhotse.audio", "Lhotse cuts")
    sources, infos = [], []
    channels = 0
    for name, content in parts:
        with contextlib.ExitStack() as stack:
            try:
                opened = _open(content)
                if not isinstance(opened, str):
                    stack.enter_context(opened)
                info = soundfile.info(opened)
            except (soundfile.LibsndfileError, OSError) as error:
                raise DataError(f"{place}: expected {name} to be audio, but got {error}") from error
        infos.append((info.samplerate, info.frames))
        kind, source = ("memory", content) if isinstance(content, bytes) else ("file", str(content))
        sources.append(audio.AudioSource(kind, list(range(channels, channels + info.channels)), source))
        channels += info.channels
    rate, frames = infos[0]
    for (other_rate, other_frames), (name, _) in zip(infos[1:], parts[1:], strict=True):
        if (other_rate, other_frames) != (rate, frames):
            raise DataError(
                f"{place}: expected {name} to have {frames} samples at {rate} Hz, as {parts[0][0]} has, "
                f"but got {other_frames} at {other_rate} Hz"
            )
    return audio.Recording(
        parts[0][0], sources, rate, frames, frames / rate, channel_ids=list(range(channels))
    )


def _open(content: Path | bytes) -> Any:
    return io.BytesIO(content) if isinstance(content, bytes) else str(content)


def _embedding(item: Mapping[str, Any], key: str, folder: Path, place: str) -> Any:
    """The vector's manifest."""
    array = require("lhotse.array", "Lhotse cuts")
    path = item.get(key)
    if not isinstance(path, str):
        raise DataError(f"{place}: key '{key}' not found; keys present: {', '.join(item)}")
    if not path.endswith(".npy"):
        raise DataError(f"{place}: Unknown embedding file format in file: {path}")
    file = Path(located(path, folder))
    try:
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: expected `{key}` to be an .npy file, but got {error}") from error
    return array.Array("numpy_files", str(file.parent), file.name, list(shape))
