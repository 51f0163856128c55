"""From the JSON of a cut to a Lhotse cut.

A relative path begins in the folder of the manifest that holds it, if there is such a file; otherwise it is
left as it is.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.optional import require

__all__ = ["EMBEDDING", "REFERENCE", "TARGET", "decode_cut", "duration_of", "located", "resolve_paths"]

TARGET = "target_recording"
REFERENCE = "reference_recording"
EMBEDDING = "embedding_vector"


def located(path: str, folder: Path) -> str:
    """A path of a manifest, beginning in its folder where that holds the file."""
    if path.startswith("~"):
        path = os.path.expanduser(path)  # noqa: PTH111 - twenty times as fast as pathlib, for every file read
    if os.path.isabs(path):  # noqa: PTH117
        return path
    beside = folder / path
    return str(beside) if beside.exists() else path


def duration_of(item: Mapping[str, Any], place: str) -> float:
    """Seconds that the JSON of a cut, or a line of a NeMo manifest, says it lasts.

    Raises:
        DataError: it does not say.
    """
    if item.get("type") == "MixedCut" and isinstance(item.get("tracks"), list):
        return max(
            float(track.get("offset", 0.0)) + duration_of(track["cut"], place) for track in item["tracks"]
        )
    duration = item.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or duration <= 0:
        raise DataError(f"{place}: expected `duration` to be positive seconds, but got {describe(duration)}")
    return float(duration)


def decode_cut(item: dict[str, Any], folder: Path, place: str) -> Any:
    """Make the cut that a line of a cuts file describes.

    Raises:
        DataError: it describes none, or one without a recording.
    """
    serialization = require("lhotse.serialization", "Lhotse cuts")
    resolve_paths(item, folder)
    if not str(item.get("type", "")).endswith("Cut"):
        raise DataError(f"{place}: expected a cut with a `type`, but got {describe(item)}")
    name = item.get("id", "without id")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Your manifest was created with Lhotse version earlier than")
            cut = serialization.deserialize_item(item)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise DataError(f"{place}: cut {name}: expected a Lhotse cut, but got {error!r}") from error
    if not cut.has_recording:
        raise DataError(f"{place}: cut {name} has no recording")
    return cut


def resolve_paths(value: Any, folder: Path) -> None:
    """Let relative paths inside the JSON of a cut begin in `folder`."""
    if isinstance(value, list):
        for entry in value:
            resolve_paths(entry, folder)
    elif isinstance(value, dict):
        if value.get("type") == "file" and isinstance(value.get("source"), str):
            value["source"] = located(value["source"], folder)
        if isinstance(value.get("storage_path"), str):
            value["storage_path"] = located(value["storage_path"], folder)
        for entry in value.values():
            if isinstance(entry, dict | list):
                resolve_paths(entry, folder)
