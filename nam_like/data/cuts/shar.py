"""Lhotse Shar: cuts and their recordings in numbered archives that are read from front to back."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import decode_cut, duration_of
from nam_like.data.cuts.lines import objects_of
from nam_like.data.cuts.optional import require
from nam_like.data.cuts.sources import Limits

__all__ = ["SharFolder", "ShardSource", "shar_fields"]

CUTS = "cuts"
_NOTHING = object()


class ShardSource(Protocol):
    """Archives, each of which is read from front to back."""

    def __len__(self) -> int:
        """How many archives there are."""

    def read(self, shard: int, rng: np.random.Generator) -> Iterator[Any]:
        """The cuts of one archive, in its order."""

    def count(self) -> int:
        """How many cuts there are in all; reads the manifests, not the audio."""


def shar_fields(
    place: str | Path | Mapping[str, Sequence[str]], folder: Path | None = None
) -> dict[str, list[Path]]:
    """The files of each field, in the order of the shards.

    Args:
        place: a folder, or the files of each field; ``cuts`` must be among them.
        folder: where relative paths of files begin.

    Raises:
        DataError: there are no cuts, or a field has fewer shards than there are of cuts.
    """
    if isinstance(place, Mapping):
        fields = {
            name: [Path(path) if folder is None else folder / path for path in paths]
            for name, paths in place.items()
        }
    else:
        fields = {}
        for path in sorted(Path(place).glob("*")):
            name = path.name.partition(".")[0]
            if ".tar" in path.suffixes or ".jsonl" in path.suffixes:
                fields.setdefault(name, []).append(path)
    if not fields.get(CUTS):
        raise DataError(f"shar_path {place} has no cuts.*.jsonl.gz")
    for name, paths in fields.items():
        if len(paths) != len(fields[CUTS]):
            raise DataError(
                f"shar_path: expected {len(fields[CUTS])} shards of field '{name}', as there are of cuts, "
                f"but got {len(paths)}: {', '.join(path.name for path in paths)}"
            )
        for path in paths:
            if not path.exists():
                raise DataError(f"shar_path: expected shards of field '{name}', but there is no {path}")
    return fields


@dataclass(frozen=True)
class SharFolder:
    """Cuts of Shar archives; a cut brings the bytes of its recordings along.

    Attributes:
        fields: see :func:`shar_fields`.
        limits: which cuts are wanted.
        slice_length: cuts taken from each archive, one after the other from a random one on; None takes all.
    """

    fields: Mapping[str, Sequence[Path]]
    limits: Limits = field(default_factory=Limits)
    slice_length: int | None = None

    def __len__(self) -> int:
        return len(self.fields[CUTS])

    def count(self) -> int:
        """How many cuts there are in all, before limits."""
        return sum(1 for path in self.fields[CUTS] for _ in objects_of(path))

    def read(self, shard: int, rng: np.random.Generator) -> Iterator[Any]:
        """The cuts of one archive, in its order.

        Raises:
            DataError: the archives of a shard do not fit each other, or cannot be read.
        """
        manifest = self.fields[CUTS][shard]
        names = [name for name in self.fields if name != CUTS]
        first, stop = self._slice(manifest, rng)
        columns = [_column(self.fields[name][shard], name) for name in names]
        rows = itertools.zip_longest(objects_of(manifest), *columns, fillvalue=_NOTHING)
        try:
            for number, (entry, *values) in enumerate(rows):
                if stop is not None and number >= stop:
                    return
                if entry is _NOTHING or _NOTHING in values:
                    short = (
                        manifest if entry is _NOTHING else self.fields[names[values.index(_NOTHING)]][shard]
                    )
                    raise DataError(
                        f"{short}: expected as many entries as the other fields of its shard have, but got "
                        f"{number}"
                    )
                line, _, item = entry
                place = f"{manifest}:{line}"
                if number < first or not self.limits.allow(duration_of(item, place)):
                    continue
                yield _filled(item, dict(zip(names, values, strict=True)), manifest.parent, place)
        except (tarfile.TarError, RuntimeError, AssertionError, OSError, EOFError) as error:
            raise DataError(f"{manifest}: expected a readable shard, but got {error!r}") from error

    def _slice(self, manifest: Path, rng: np.random.Generator) -> tuple[int, int | None]:
        """First entry, and the one after the last."""
        if self.slice_length is None:
            return 0, None
        entries = sum(1 for _ in objects_of(manifest))
        first = int(rng.integers(max(entries - self.slice_length, 0) + 1))
        return first, first + self.slice_length


def _column(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    """Names of cuts and their values of one field."""
    if ".tar" in path.suffixes:
        reader = require("lhotse.shar.readers.tar", "Lhotse Shar")
        serialization = require("lhotse.serialization", "Lhotse Shar")
        # Lhotse's own iterator leaves the file open.
        with tarfile.open(path, "r|*") as tar:
            for (data, data_path), (meta, _) in reader.iterate_tarfile_pairwise(tar):
                value = None if meta is None else serialization.deserialize_item(json.loads(meta))
                if value is not None:
                    reader.fill_shar_placeholder(manifest=value, data=data, tarpath=data_path)
                yield str(data_path.parent / data_path.stem), value
    else:
        for _, _, item in objects_of(path):
            yield str(item.get("cut_id")), item.get(name)


def _filled(item: dict[str, Any], values: Mapping[str, tuple[str, Any]], folder: Path, place: str) -> Any:
    """The cut with its recordings."""
    cut = decode_cut(item, folder, place)
    for name, (owner, value) in values.items():
        if owner != cut.id:
            raise DataError(f"{place}: expected {name} of cut {cut.id}, but got that of {owner}")
        if value is not None:
            setattr(cut, name, value)
    return cut
