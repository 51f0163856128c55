"""The splits of a data JSON: each dataset taken apart, with what all have in common merged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from nam_like.config.base import describe
from nam_like.config.component import SPELLINGS
from nam_like.config.lines import Loc, line, relocated
from nam_like.registry import closest

__all__ = ["SPLITS", "SplitReader"]

SPLITS = ("train", "validation")
DEFAULT_TYPE = "paired"
#: names that other tools have for our types
_ALIASES = {"dataset": DEFAULT_TYPE}

Member = TypeVar("Member")


@dataclass(frozen=True)
class _Entry:
    """One dataset as it stands in the file: its kind, its own keys, and where both were read."""

    name: str
    name_at: Loc
    own: dict[str, Any]
    own_at: Loc


class SplitReader(Generic[Member]):
    """Merges the splits of one file; errors collect in :attr:`errors`, each where its key stands.

    Args:
        value: what the file holds.
        check: makes a member of a kind of dataset and its keys, the common ones merged in; what it finds
            wrong stands at ``("name",)``, or behind ``("config",)``.
    """

    def __init__(self, value: dict[str, Any], check: Callable[[str, dict[str, Any]], Member]) -> None:
        self.value = value
        self.check = check
        self.errors: list[InitErrorDetails] = []
        self.seen: set[tuple[Loc, str]] = set()
        self.common: dict[str, Any] = {}
        self.default_name: str | None = DEFAULT_TYPE
        self.default_at: Loc = ("type",)
        self._top()

    def _top(self) -> None:
        common = self.value.get("common")
        if isinstance(common, dict):
            self.common = {key: item for key, item in common.items() if not key.startswith("_")}
        elif common is not None:
            self._add(f"expected an object, but got {describe(common)}", ("common",), common)
        places: list[tuple[dict[str, Any], Loc]] = [
            (self.value, ("type",)),
            (self.common, ("common", "type")),
        ]
        for holder, at in places:
            name = holder.get("type")
            if isinstance(name, str):
                self.default_name, self.default_at = name, at
            elif "type" in holder:
                self.default_name = None
                self._add(f"expected the name of a kind of dataset, but got {describe(name)}", at, name)
        self.common.pop("type", None)

    def _add(self, message: str, at: Loc, value: Any, kind: str = "expected") -> None:
        if (at, message) not in self.seen:
            self.seen.add((at, message))
            self.errors.append(line(message, at, value, kind))

    def split(self, split: str, known_keys: Sequence[str]) -> list[Member]:
        """The datasets of one split; empty where it cannot be read.

        Args:
            split: ``train`` or ``validation``.
            known_keys: of the file; a misspelt one is not missing as well.
        """
        if split not in self.value:
            if any(closest(key, known_keys) == split for key in self.value):
                return []  # the misspelt key is reported
            self._add(f"expected the key '{split}', but got {describe(self.value)}", (split,), self.value)
            return []
        section = self.value[split]
        if isinstance(section, list):
            if not section:
                self._add("expected at least one dataset, but got an empty list", (split,), section)
            found = [self._dataset(item, (split, index)) for index, item in enumerate(section)]
        else:
            found = [self._dataset(section, (split,))]
        return [item for item in found if item is not None]

    def _dataset(self, value: Any, at: Loc) -> Member | None:
        if not isinstance(value, dict):
            wanted = "an object" if len(at) > 1 else "an object or a list of them"
            self._add(f"expected {wanted}, but got {describe(value)}", at, value)
            return None
        entry = self._entry(value, at)
        if entry is None:
            return None
        name = _ALIASES.get(entry.name, entry.name)
        try:
            return self.check(name, {**self.common, **entry.own})
        except ValidationError as error:
            for item in relocated(error):
                self._relocate(item, entry)
            return None

    def _entry(self, value: dict[str, Any], at: Loc) -> _Entry | None:
        """Take one dataset apart: a component with a key that names it, or flat keys."""
        keys = {key: item for key, item in value.items() if key == "_target_" or not key.startswith("_")}
        named = list(_naming_keys(keys))
        if len(named) > 1:
            self._add(
                f"expected one key that names the dataset, but got '{named[0]}' and '{named[1]}'",
                (*at, named[1]),
                value,
            )
            return None
        if not named:
            if self.default_name is None:
                return None  # the wrong `type` is reported
            return _Entry(self.default_name, self.default_at, keys, at)
        return self._named(keys, named[0], at)

    def _named(self, keys: dict[str, Any], naming: str, at: Loc) -> _Entry | None:
        """As :meth:`_entry`, for a dataset with a key that names its kind."""
        name = keys.pop(naming)
        if not isinstance(name, str):
            self._add(f"expected a name, but got {describe(name)}", (*at, naming), name)
            return None
        holder = next((holder for holder in SPELLINGS[naming] if holder in keys), None)
        if holder is None:
            return _Entry(name, (*at, naming), keys, at)
        config = {} if keys[holder] is None else keys[holder]
        del keys[holder]
        if not isinstance(config, dict):
            self._add(f"expected an object, but got {describe(config)}", (*at, holder), config)
            return None
        for other, item in keys.items():
            self._add(
                f"expected it inside `{holder}`, but got the key '{other}' beside it", (*at, other), item
            )
        return _Entry(name, (*at, naming), config, (*at, holder))

    def _relocate(self, item: InitErrorDetails, entry: _Entry) -> None:
        """Put an error of the merged config where its key stands: in the dataset or in `common`."""
        loc = item.get("loc", ())
        if item["type"] == "missing" and not isinstance(self.value.get("common") or {}, dict):
            return  # it may stand in the part that could not be read
        if loc[:1] == ("name",):
            place: Loc = entry.name_at
        else:
            inside = loc[1:]
            in_common = bool(inside) and inside[0] in self.common and inside[0] not in entry.own
            place = ("common", *inside) if in_common else (*entry.own_at, *inside)
        kind = item["type"]
        key = (place, kind if isinstance(kind, str) else kind.message())
        if key not in self.seen:
            self.seen.add(key)
            self.errors.append(
                InitErrorDetails(type=kind, loc=place, input=item["input"], ctx=item.get("ctx", {}))
            )


def _naming_keys(value: dict[str, Any]) -> Iterator[str]:
    """The keys that name the kind of dataset; ``path`` and the like only beside the key of their config."""
    for key, holders in SPELLINGS.items():
        if key in value and (
            key in ("type", "name", "_target_") or any(holder in value for holder in holders)
        ):
            yield key
