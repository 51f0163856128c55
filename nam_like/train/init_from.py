"""Weights that training starts from: taken from other models by name, and a report of what was taken.

`learning.json` names the sources (:mod:`nam_like.config.init_from`). Nothing in them is executed. What a
source holds beside the net's weights (windows, losses, metrics) is listed and does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, nn

from nam_like.config.init_from import InitEntry, PathEntry, PretrainedEntry, init_entries
from nam_like.config.learning import LearningConfig
from nam_like.data.store import find_file
from nam_like.train.checkpoints import CheckpointError, load_checkpoint
from nam_like.train.nemo_archive import read_nemo_weights, tensors_of

__all__ = ["Mismatch", "Report", "Source", "pretrained_path", "start_from"]

log = logging.getLogger(__name__)

#: what stands before the names of a net's weights in the checkpoints of trainers
_PREFIXES = ("", "net.", "_net.", "module.", "model.")
_SHOWN = 3


@dataclass(frozen=True)
class Mismatch:
    """A weight whose shapes differ.

    Attributes:
        name: of the weight.
        ours: its shape in the net.
        theirs: its shape in the source.
    """

    name: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {list(self.theirs)} for {list(self.ours)}"


@dataclass(frozen=True)
class Source:
    """What became of one source's weights, by name.

    Attributes:
        label: of the entry.
        path: of the file.
        loaded: taken.
        excluded: weights of the net that `include` and `exclude` leave out.
        mismatched: left out for their shape.
        unexpected: not of the net.
    """

    label: str
    path: str
    loaded: tuple[str, ...]
    excluded: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    unexpected: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What training starts from.

    Attributes:
        sources: in the order in which they were applied.
        missing: weights of the net that no source gave; they stay as they were initialised.
    """

    sources: tuple[Source, ...]
    missing: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return asdict(self)

    def table(self) -> str:
        """Counts and the first names, one line each."""
        lines = []
        for source in self.sources:
            lines.append(f"weights from {source.path} ({source.label}): {len(source.loaded)} loaded")
            for title, names in (
                ("excluded", source.excluded),
                ("mismatched", source.mismatched),
                ("unexpected", source.unexpected),
            ):
                lines.append(f"  {title:<10} {_listed(names)}")
        lines.append(f"  {'missing':<10} {_listed(self.missing)}")
        return "\n".join(lines)


def start_from(
    learning: LearningConfig, net: nn.Module, folders: Sequence[Path], resuming: bool
) -> Report | None:
    """Give a net the weights that `learning` names.

    Args:
        learning: the learning JSON.
        net: changed in place.
        folders: where relative paths are looked up after the current directory.
        resuming: the run goes on from a checkpoint of its own, whose weights count.

    Returns:
        What was taken; None where nothing is named, or the run resumes.

    Raises:
        CheckpointError: a source cannot be read, gives the net nothing, or has weights of another shape.
        UserError: there is no such file.
    """
    given = init_entries(learning)
    if given is None:
        return None
    key, entries = given
    if resuming:
        log.info("`%s` is not applied: the run goes on from its own checkpoint", key)
        return None
    ours = net.state_dict()
    chosen: dict[str, Tensor] = {}
    sources = []
    for label, entry in entries.items():
        path = _path_of(entry, folders, key)
        weights = _named(_read(key, path), ours)
        source = _sort(label, path, entry, weights, ours)
        _check(source, entry, ours)
        chosen |= {name: weights[name] for name in source.loaded}
        sources.append(source)
    net.load_state_dict(chosen, strict=False)
    report = Report(tuple(sources), tuple(name for name in ours if name not in chosen))
    if int(getattr(rank_zero_only, "rank", 0) or 0) == 0:
        log.info("%s", report.table())
    return report


def pretrained_path(name: str) -> Path:
    """Where a public model's archive belongs: ``~/.nam_like/pretrained``, with ``--`` for ``/``."""
    return Path.home() / ".nam_like" / "pretrained" / f"{name.replace('/', '--')}.nemo"


def _path_of(entry: InitEntry, folders: Sequence[Path], key: str) -> Path:
    if isinstance(entry, PretrainedEntry):
        path = pretrained_path(entry.name)
        if not path.is_file():
            raise CheckpointError(
                f"expected the archive of '{entry.name}' at {path}, but there is no such file; "
                "nothing is downloaded: put its .nemo file there, under this name"
            )
        return path
    if isinstance(entry, PathEntry):
        return find_file(entry.path, folders, key)
    raise TypeError(f"expected an entry with a path or a name, but got {type(entry).__name__}")


def _read(key: str, path: Path) -> dict[str, Tensor]:
    """The weights of a source, with the names that they have there."""
    if key == "init_from_ptl_ckpt":
        return tensors_of(load_checkpoint(path), path)
    return read_nemo_weights(path)


def _named(weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without what the trainer of the source put before all of the net's names."""

    def common(prefix: str) -> int:
        return sum(name.startswith(prefix) and name[len(prefix) :] in ours for name in weights)

    prefix = max(_PREFIXES, key=common)  # of equals the first: none
    return {name[len(prefix) :] if name.startswith(prefix) else name: item for name, item in weights.items()}


def _sort(
    label: str, path: Path, entry: InitEntry, weights: Mapping[str, Tensor], ours: Mapping[str, Tensor]
) -> Source:
    """Tell what would become of each weight."""
    loaded, excluded, mismatched, unexpected = [], [], [], []
    for name, value in weights.items():
        if name not in ours:
            unexpected.append(name)
        elif not entry.takes(name):
            excluded.append(name)
        elif value.shape != ours[name].shape:
            mismatched.append(Mismatch(name, tuple(ours[name].shape), tuple(value.shape)))
        else:
            loaded.append(name)
    return Source(label, str(path), tuple(loaded), tuple(excluded), tuple(mismatched), tuple(unexpected))


def _check(source: Source, entry: InitEntry, ours: Iterable[str]) -> None:
    if source.mismatched and not entry.ignore_mismatched:
        first, more = source.mismatched[0], len(source.mismatched) - 1
        raise CheckpointError(
            f"expected {first.name} of '{source.path}' ({source.label}) to have the net's shape "
            f"{list(first.ours)}, but got {list(first.theirs)}"
            + (f", and {more} more differ" if more else "")
            + "; `ignore_mismatched: true` leaves such weights out"
        )
    if not source.loaded:
        raise CheckpointError(
            f"expected weights of the net in '{source.path}' ({source.label}), but none "
            f"can be loaded: {len(source.excluded)} excluded, {len(source.mismatched)} "
            f"mismatched, {len(source.unexpected)} unexpected ({_first(source.unexpected)}); "
            f"the net's are {_first(list(ours))}"
        )


def _listed(names: Sequence[object]) -> str:
    return f"{len(names)}: {_first(names)}" if names else "0"


def _first(names: Iterable[object]) -> str:
    everything = [str(name) for name in names]
    more = len(everything) - _SHOWN
    return ", ".join(everything[:_SHOWN]) + (f", … ({more} more)" if more > 0 else "") or "none"
