"""Cuts that can be asked for by number."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import decode_cut, duration_of
from nam_like.data.cuts.lines import LineTable
from nam_like.data.cuts.nemo import NemoKeys

__all__ = ["CutSource", "HeldCuts", "JoinedCuts", "Limits", "LineCuts", "lhotse_cuts", "nemo_cuts"]


class CutSource(Protocol):
    """Cuts that can be asked for by number."""

    def __len__(self) -> int: ...

    def cut(self, index: int) -> Any:
        """The Lhotse cut."""

    def name(self, index: int) -> str:
        """What messages call it."""


@dataclass(frozen=True)
class Limits:
    """Which cuts are wanted, by how long they are.

    Attributes:
        shortest: seconds; None sets no limit.
        longest: seconds; None sets no limit.
    """

    shortest: float | None = None
    longest: float | None = None

    def allow(self, seconds: float) -> bool:
        """Whether a cut of this length is wanted; the limits themselves are."""
        return (self.shortest is None or seconds >= self.shortest) and (
            self.longest is None or seconds <= self.longest
        )


class Decoder(Protocol):
    """What makes a cut of a line; must survive pickling."""

    def __call__(self, item: dict[str, Any], folder: Path, place: str) -> Any: ...


@dataclass(frozen=True)
class LineCuts:
    """Cuts of a manifest, each made when it is asked for.

    Attributes:
        lines: of the manifest.
        decode: makes a cut of a line.
        key: of a line that names the cut.
    """

    lines: LineTable
    decode: Decoder
    key: str = "id"

    def __len__(self) -> int:
        return len(self.lines)

    def cut(self, index: int) -> Any:
        """The Lhotse cut."""
        return self.decode(self.lines.item(index), self.lines.folder(index), self.lines.place(index))

    def name(self, index: int) -> str:
        """What messages call it."""
        name = self.lines.item(index).get(self.key)
        return name if isinstance(name, str) else self.lines.place(index)


@dataclass(frozen=True)
class HeldCuts:
    """Cuts in memory, with the bytes of their recordings where they came from an archive."""

    cuts: Sequence[Any]

    def __len__(self) -> int:
        return len(self.cuts)

    def cut(self, index: int) -> Any:
        """The Lhotse cut."""
        return self.cuts[index]

    def name(self, index: int) -> str:
        """What messages call it."""
        return str(self.cuts[index].id)


@dataclass(frozen=True)
class JoinedCuts:
    """Several sources, one after the other."""

    members: Sequence[CutSource]

    @functools.cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(len(member) for member in self.members))

    def __len__(self) -> int:
        return self._ends[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """The member that holds a cut, and its number there."""
        member = bisect.bisect_right(self._ends, index)
        return member, index - (self._ends[member - 1] if member else 0)

    def cut(self, index: int) -> Any:
        """The Lhotse cut."""
        member, inside = self.locate(index)
        return self.members[member].cut(inside)

    def name(self, index: int) -> str:
        """What messages call it."""
        member, inside = self.locate(index)
        return self.members[member].name(inside)


def lhotse_cuts(paths: Sequence[Path], limits: Limits) -> LineCuts:
    """The cuts of Lhotse manifests.

    Raises:
        DataError: a line is no cut.
    """

    def keep(item: dict[str, Any], place: str) -> bool:
        return limits.allow(duration_of(item, place))

    return LineCuts(LineTable(paths, keep), decode_cut)


def nemo_cuts(paths: Sequence[Path], keys: NemoKeys, limits: Limits, *, require_target: bool) -> LineCuts:
    """The lines of NeMo manifests, as cuts.

    Raises:
        DataError: a line lacks a key.
    """

    def keep(item: dict[str, Any], place: str) -> bool:
        if "duration" not in item:
            path, _, _ = place.rpartition(":")
            raise DataError(f"Duration not available in line: {item}. Manifest file: {path} ({place})")
        keys.files(item, place, optional_target=not require_target)
        return limits.allow(duration_of(item, place))

    return LineCuts(LineTable(paths, keep), keys.decode, keys.input_key)
