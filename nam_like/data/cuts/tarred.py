"""NeMo's tarred datasets: manifests whose recordings are members of tar archives.

A path such as ``audio__OP_0..31_CL_.tar`` or ``audio_{0..31}.tar`` stands for a numbered row of files.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import duration_of
from nam_like.data.cuts.lines import objects_of
from nam_like.data.cuts.nemo import NemoKeys, Parts
from nam_like.data.cuts.sources import Limits

__all__ = ["TarredManifest", "expand"]

_RANGES = (re.compile(r"_OP_(\d+)\.\.(\d+)_CL_"), re.compile(r"\{(\d+)\.\.(\d+)\}"))


def expand(path: str) -> list[str]:
    """The paths that a path with a range stands for; ``a_{0..2}.tar`` stands for three.

    Raises:
        DataError: the range is empty.
    """
    for pattern in _RANGES:
        found = pattern.search(path)
        if found:
            first, last = int(found[1]), int(found[2])
            if last < first:
                raise DataError(f"expected a range from the lower to the higher number, but got {path}")
            width = len(found[1]) if found[1].startswith("0") and len(found[1]) > 1 else 0
            rest = [
                path[: found.start()] + f"{n:0{width}d}" + path[found.end() :] for n in range(first, last + 1)
            ]
            return [whole for part in rest for whole in expand(part)]
    return [path]


@dataclass(frozen=True)
class TarredManifest:
    """Cuts whose recordings come out of tar archives.

    Attributes:
        manifests: one for each archive, or one for all, whose lines then say ``shard_id``.
        archives: the tar files.
        keys: of the manifests.
        limits: which cuts are wanted.
        require_target: whether each line must have a target.

    Raises:
        DataError: there are neither one nor as many manifests as archives.
    """

    manifests: Sequence[Path]
    archives: Sequence[Path]
    keys: NemoKeys
    limits: Limits = field(default_factory=Limits)
    require_target: bool = True

    def __post_init__(self) -> None:
        if len(self.manifests) not in (1, len(self.archives)):
            raise DataError(
                f"expected one manifest, or one for each of the {len(self.archives)} files of "
                f"`tarred_audio_filepaths`, but got {len(self.manifests)}"
            )

    def __len__(self) -> int:
        return len(self.archives)

    def count(self) -> int:
        """How many cuts there are in all, before limits."""
        return sum(1 for path in self.manifests for _ in objects_of(path))

    def read(self, shard: int, rng: np.random.Generator) -> Iterator[Any]:
        """The cuts of one archive, each as soon as all its recordings were read.

        Raises:
            DataError: a member that the manifest names is missing, or the archive cannot be read.
        """
        archive = self.archives[shard]
        waiting = self._entries(shard)
        wanted: dict[str, list[_Entry]] = {}
        for entry in waiting:
            for member in entry.members:
                wanted.setdefault(member, []).append(entry)
        folder = self._manifest(shard).parent
        held: dict[str, bytes] = {}
        try:
            with tarfile.open(archive, "r|*") as tar:
                for info in tar:
                    name = _plain(info.name)
                    file = tar.extractfile(info) if info.isfile() and name in wanted else None
                    if file is None:
                        continue
                    held[name] = file.read()
                    for entry in [entry for entry in wanted[name] if entry.complete(held)]:
                        yield self._cut(entry, held, folder)
                        for member in entry.members:
                            wanted[member].remove(entry)
                            if not wanted[member]:
                                held.pop(member, None)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(f"{archive}: expected a readable tar archive, but got {error!r}") from error
        for entries in wanted.values():
            for entry in entries:
                missing = next(member for member in entry.members if member not in held)
                raise DataError(
                    f"{archive}: expected a member {missing}, as {entry.place} says, but got none"
                )

    def _manifest(self, shard: int) -> Path:
        return self.manifests[shard if len(self.manifests) > 1 else 0]

    def _entries(self, shard: int) -> list[_Entry]:
        path = self._manifest(shard)
        shared = len(self.archives) > 1 and len(self.manifests) == 1
        entries = []
        for line, _, item in objects_of(path):
            place = f"{path}:{line}"
            if shared and not isinstance(item.get("shard_id"), int):
                raise DataError(
                    f"{place}: expected `shard_id`, as one manifest is for {len(self.archives)} archives, "
                    "but got none"
                )
            if (shared and item["shard_id"] != shard) or not self.limits.allow(duration_of(item, place)):
                continue
            files = self.keys.files(item, place, optional_target=not self.require_target)
            names = {key: [_plain(name) for name in paths] for key, paths in files.items()}
            entries.append(_Entry(item, names, place))
        return entries

    def _cut(self, entry: _Entry, held: dict[str, bytes], folder: Path) -> Any:
        sources: dict[str, Parts] = {
            key: [(name, held[name]) for name in names] for key, names in entry.names.items()
        }
        return self.keys.assemble(entry.item, sources, folder, entry.place)


@dataclass(frozen=True, eq=False)
class _Entry:
    """A line of a manifest, and the members that it names."""

    item: dict[str, Any]
    names: dict[str, list[str]]
    place: str

    @property
    def members(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.names.values() for name in names))

    def complete(self, held: dict[str, bytes]) -> bool:
        return all(member in held for member in self.members)


def _plain(name: str) -> str:
    return name.removeprefix("./")
