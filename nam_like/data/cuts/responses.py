"""Room impulse responses drawn at random: from a Lhotse manifest of recordings, or of rooms made up."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from nam_like.audio.rooms import random_room, reverberate
from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import resolve_paths
from nam_like.data.cuts.lines import LineTable
from nam_like.data.cuts.optional import require
from nam_like.data.cuts.reading import FloatArray, read_recording

__all__ = ["Reverberation"]

_HELD = 256
"""Responses that are kept after reading."""


class Reverberation:
    """Lets a signal sound in a room; the target stays dry.

    Args:
        paths: manifests of recordings (a Lhotse ``RecordingSet``), whose first channel is the response; None
            makes up a room each time.
        probability: that a signal gets it.
        sample_rate: Hz; responses of other rates are resampled.

    Raises:
        DataError: a manifest holds no recordings.
    """

    def __init__(self, paths: list[Path] | None, probability: float, sample_rate: int) -> None:
        self.probability = probability
        self.sample_rate = sample_rate
        self.lines = None if paths is None else LineTable(paths, _is_recording)
        if self.lines is not None and not len(self.lines):
            raise DataError(f"expected `rir_path` to hold recordings, but got none in {paths}")
        self._held: OrderedDict[int, FloatArray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": OrderedDict()}

    def __call__(self, signal: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `signal` `(C, T)` in a room, or as it is.

        Raises:
            DataError: the response cannot be read.
        """
        chance, choice = float(rng.random()), float(rng.random())
        if chance >= self.probability:
            return signal
        if self.lines is None:
            return reverberate(signal, random_room(self.sample_rate, rng)).astype(np.float32, copy=False)
        response = self._response(int(choice * len(self.lines)), self.lines)
        return reverberate(signal, response).astype(np.float32, copy=False)

    def _response(self, index: int, lines: LineTable) -> FloatArray:
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        item, place = lines.item(index), lines.place(index)
        resolve_paths(item, lines.folder(index))
        recording = require("lhotse.serialization", "Lhotse recordings").deserialize_item(item)
        where = f"{place}: recording {recording.id}"
        channels = [min(recording.channel_ids)]
        whole = read_recording(
            recording, channels, 0.0, recording.duration, sample_rate=self.sample_rate, where=where
        )
        response: FloatArray = whole[0]
        if not response.any():
            raise DataError(f"{where}: expected a room impulse response, but got silence")
        self._held[index] = response
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return response


def _is_recording(item: dict[str, Any], place: str) -> bool:
    if not isinstance(item.get("sources"), list):
        raise DataError(
            f"{place}: expected a recording, as `rir_path` is a manifest of recordings, but got "
            f"{describe(item)}"
        )
    return True
