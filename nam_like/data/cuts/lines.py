"""JSON objects of manifest files, one a line, kept as bytes: a million of them cost what their text costs.

They are parsed once when the files are read, which tells mistakes with their line, and again when one is
asked for. Worker processes share the bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.optional import require

__all__ = ["Keep", "LineTable", "objects_of"]

Keep: TypeAlias = Callable[[dict[str, Any], str], bool]
"""Whether an object is wanted; gets it and its place, ``file:line``."""

_WHOLE = (".json", ".yaml", ".yml")
"""Endings of files that hold a list instead of lines."""


class LineTable:
    """Objects of one or more manifest files.

    Args:
        paths: the files: JSON lines (also ``.gz``), or a list in ``.json`` or ``.yaml``.
        keep: which objects are wanted; it may raise for those that are wrong.

    Raises:
        DataError: a line is no JSON object, or a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path], keep: Keep) -> None:
        self.paths = list(paths)
        texts: list[bytes] = []
        stops: list[int] = [0]
        files: list[int] = []
        numbers: list[int] = []
        for number_of_file, path in enumerate(self.paths):
            for number, text, item in objects_of(path):
                if keep(item, f"{path}:{number}"):
                    texts.append(text)
                    stops.append(stops[-1] + len(text))
                    files.append(number_of_file)
                    numbers.append(number)
        self._blob = b"".join(texts)
        self._stops: npt.NDArray[np.int64] = np.array(stops, dtype=np.int64)
        self._files: npt.NDArray[np.int32] = np.array(files, dtype=np.int32)
        self._numbers: npt.NDArray[np.int32] = np.array(numbers, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._files)

    def item(self, index: int) -> dict[str, Any]:
        """The object."""
        found: dict[str, Any] = json.loads(self._blob[self._stops[index] : self._stops[index + 1]])
        return found

    def folder(self, index: int) -> Path:
        """The folder of the object's file, where its relative paths begin."""
        return self.paths[int(self._files[index])].parent

    def place(self, index: int) -> str:
        """``file:line``."""
        return f"{self.paths[self._files[index]]}:{self._numbers[index]}"


def objects_of(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield line number, text and object of each entry of a manifest file; blank lines are skipped.

    Raises:
        DataError: see :class:`LineTable`.
    """
    if path.suffix in _WHOLE:
        whole = _whole(path)
        if whole is not None:
            yield from whole
            return
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.strip()
                if text:
                    yield number, text, _object(text, f"{path}:{number}")
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: expected a manifest of JSON lines, but got {error}") from error


def _object(text: bytes, place: str) -> dict[str, Any]:
    try:
        item = json.loads(text)
    except ValueError as error:
        shown = text[:80].decode(errors="replace")
        raise DataError(f"{place}: expected a JSON object, but got {shown!r} ({error})") from error
    if not isinstance(item, dict):
        raise DataError(f"{place}: expected a JSON object, but got {describe(item)}")
    return item


def _whole(path: Path) -> list[tuple[int, bytes, dict[str, Any]]] | None:
    """The entries of a file that is one list; None where a ``.json`` file is JSON lines after all."""
    try:
        text = path.read_text(encoding="utf-8")
        content = (
            json.loads(text) if path.suffix == ".json" else require("yaml", "YAML manifests").safe_load(text)
        )
    except OSError as error:
        raise DataError(f"{path}: expected a manifest, but got {error}") from error
    except ValueError:
        return None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        raise DataError(f"{path}: expected a manifest, but got {error}") from error
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of objects, but got {describe(content)}")
    entries = []
    for number, item in enumerate(content, start=1):
        if not isinstance(item, dict):
            raise DataError(f"{path}: expected entry {number} to be an object, but got {describe(item)}")
        entries.append((number, json.dumps(item).encode(), item))
    return entries
