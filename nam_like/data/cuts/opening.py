"""From the items of a config to sources of cuts."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.nemo import NemoKeys
from nam_like.data.cuts.shar import ShardSource, SharFolder, shar_fields
from nam_like.data.cuts.sources import CutSource, HeldCuts, Limits, lhotse_cuts, nemo_cuts
from nam_like.data.cuts.tarred import TarredManifest, expand
from nam_like.data.store import find_file

__all__ = ["Defaults", "held", "is_sharded", "open_source", "paths_of", "shar_items"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Defaults:
    """What items of a mixture inherit unless they say otherwise.

    Attributes:
        folders: where relative paths are looked up after the current directory.
        limits: on the duration of cuts.
        keys: of NeMo manifests.
        require_target: whether cuts must have a target.
        slice_length: see :class:`nam_like.data.cuts.shar.SharFolder`.
    """

    folders: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    keys: NemoKeys = field(default_factory=NemoKeys)
    require_target: bool = True
    slice_length: int | None = None


def is_sharded(item: Mapping[str, Any]) -> bool:
    """Whether an item is read from archives, front to back."""
    return item["type"] in ("lhotse_shar", "nemo_tarred")


def open_source(item: Mapping[str, Any], defaults: Defaults) -> CutSource | ShardSource:
    """Open the source that an item describes.

    Raises:
        DataError: it holds no cuts, or its files do not fit each other.
        UserError: a file is missing.
    """
    folders = item.get("_folders", defaults.folders)
    limits = Limits(
        item.get("min_duration", defaults.limits.shortest), item.get("max_duration", defaults.limits.longest)
    )
    keys = NemoKeys(
        **{
            name: item.get(name, getattr(defaults.keys, name))
            for name in ("input_key", "target_key", "reference_key", "embedding_key")
        }
    )
    kind = item["type"]
    if kind == "lhotse":
        paths = paths_of(item["cuts_path"], folders, "cuts_path")
        return _with_cuts(lhotse_cuts(paths, limits), paths, limits)
    if kind == "nemo":
        paths = paths_of(item["manifest_filepath"], folders, "manifest_filepath")
        cuts = nemo_cuts(paths, keys, limits, require_target=defaults.require_target)
        return _with_cuts(cuts, paths, limits)
    if kind == "lhotse_shar":
        place = item["shar_path"]
        if not isinstance(place, Mapping):
            place = find_file(place, folders, "shar_path", "folder")
            return SharFolder(shar_fields(place), limits, item.get("slice_length", defaults.slice_length))
        found = {
            name: [str(path) for path in paths_of(files, folders, f"shar_path.{name}")]
            for name, files in place.items()
        }
        return SharFolder(shar_fields(found), limits, item.get("slice_length", defaults.slice_length))
    manifests = paths_of(item["manifest_filepath"], folders, "manifest_filepath")
    archives = paths_of(item["tarred_audio_filepaths"], folders, "tarred_audio_filepaths")
    return TarredManifest(manifests, archives, keys, limits, defaults.require_target)


def paths_of(given: Any, folders: Sequence[Path], key: str) -> list[Path]:
    """The files that a key names: one path, several with commas, or a list; ranges are expanded.

    Raises:
        DataError: it holds no paths.
        UserError: a file is missing.
    """
    listed = given.split(",") if isinstance(given, str) else given
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(item, str) for item in listed):
        raise DataError(f"expected `{key}` to be a path or a list of paths, but got {describe(given)}")
    names = itertools.chain.from_iterable(expand(item.strip()) for item in listed)
    return [find_file(name, folders, key) for name in names]


def shar_items(given: Any, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The items that ``shar_path`` stands for.

    A folder, or the files of each field, are one. Of a list of folders, each weighs as many cuts as it has;
    in a list of pairs the second is the weight.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(given, str | Mapping):
        return [{"type": "lhotse_shar", "shar_path": given, "tags": {}}]
    if not isinstance(given, Sequence) or not given:
        raise DataError(f"expected `shar_path` to be a folder or a list of them, but got {describe(given)}")
    items = []
    for entry in given:
        if isinstance(entry, str):
            weight: Any = SharFolder(shar_fields(find_file(entry, folders, "shar_path", "folder"))).count()
            path: Any = entry
        elif isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str):
            path, weight = entry
        else:
            raise DataError(
                f"expected the entries of `shar_path` to be folders or pairs [folder, weight], but got "
                f"{describe(entry)}"
            )
        items.append({"type": "lhotse_shar", "shar_path": path, "weight": weight, "tags": {}})
    return items


def held(source: CutSource | ShardSource, name: str) -> CutSource:
    """Cuts by number of any source: what comes from archives is read into memory, undecoded."""
    if isinstance(source, SharFolder | TarredManifest):
        rng = np.random.default_rng(0)
        cuts = [cut for shard in range(len(source)) for cut in source.read(shard, rng)]
        log.info("%s: %d cuts of %d archives are held in memory", name, len(cuts), len(source))
        return HeldCuts(cuts)
    cuts_by_number: Any = source
    found: CutSource = cuts_by_number
    return found


def _with_cuts(cuts: CutSource, paths: Sequence[Path], limits: Limits) -> CutSource:
    if not len(cuts):
        raise DataError(
            f"expected at least one cut from {limits.shortest or 0:g} to "
            f"{limits.longest or float('inf'):g} s in {', '.join(map(str, paths))}, but got none"
        )
    return cuts
