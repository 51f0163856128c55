"""Whether examples of one split are made of the same audio as examples of the other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from nam_like.data.manifest.lines import ManifestEntry

__all__ = ["shared_entries"]


def shared_entries(used: Sequence[ManifestEntry], entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
    """Those of `entries` whose targets, in part at least, are targets of `used` too.

    Without a target it is the input that counts.
    """
    # Telling whether two paths are one file takes long; where no names agree, it is not needed.
    names = _names(used) & _names(entries)
    spans: dict[Path, list[tuple[float, float]]] = defaultdict(list)
    for entry in used:
        for path in _resolved(entry, names):
            spans[path].append((entry.offset, entry.offset + entry.duration))
    return [
        entry
        for entry in entries
        if any(
            start < entry.offset + entry.duration and entry.offset < stop
            for path in _resolved(entry, names)
            for start, stop in spans.get(path, ())
        )
    ]


def _targets(entry: ManifestEntry) -> tuple[str, ...]:
    return entry.files.get("target") or entry.files["input"]


def _names(entries: Sequence[ManifestEntry]) -> set[str]:
    return {_last_part(path) for entry in entries for path in _targets(entry)}


def _resolved(entry: ManifestEntry, names: set[str]) -> Iterator[Path]:
    """The targets of an entry that have one of the names, links resolved."""
    for path in _targets(entry):
        if _last_part(path) in names:
            yield Path(path).resolve()


def _last_part(path: str) -> str:
    return os.path.basename(path)  # noqa: PTH119 - a third of the time
