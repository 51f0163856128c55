"""The JSON files in the making: their values, where each came from, and their text with comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nam_like.config.errors import dotted
from nam_like.config.locate import Loc
from nam_like.config.nemo.tree import value_at

__all__ = ["Draft"]

_WIDEST = 100


@dataclass
class Draft:
    """One file.

    Attributes:
        root: what references call it: ``data``, ``model`` or ``learning``.
        value: what it holds.
        origins: path in it → path in the YAML file.
        notes: path in it → a comment.
        head: comments before everything.
        quiet: paths that need no comment.
    """

    root: str
    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[Loc, Loc] = field(default_factory=dict)
    notes: dict[Loc, str] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    quiet: set[Loc] = field(default_factory=set)

    def put(self, loc: Loc, value: Any, origin: Loc | None = None, note: str = "") -> None:
        """Set a value; objects on the way are made.

        Args:
            loc: where.
            value: plain JSON.
            origin: where it stood in the YAML file.
            note: a comment.
        """
        here: Any = self.value
        for part in loc[:-1]:
            here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        here[loc[-1]] = value
        if origin is not None:
            self.origins[loc] = origin
        if note:
            self.notes[loc] = note

    def at(self, loc: Loc) -> Any:
        """The value at a path; None where there is none."""
        return value_at(self.value, loc)

    def origin_of(self, loc: Loc) -> Loc | None:
        """Where the value at `loc` stood in the YAML file, as far as that is known."""
        for depth in range(len(loc), -1, -1):
            if loc[:depth] in self.origins:
                return (*self.origins[loc[:depth]], *loc[depth:])
        return None

    def place_of(self, path: Loc) -> Loc | None:
        """Where the value at `path` of the YAML file went, if it is here."""
        for loc, origin in self.origins.items():
            if path[: len(origin)] == origin:
                found = (*loc, *path[len(origin) :])
                if self.at(found) is not None:
                    return found
        return None

    def leaves(self) -> Iterator[tuple[Loc, Any]]:
        """Every value that is no object and no list."""
        yield from _leaves(self.value, ())

    def text(self) -> str:
        """The file, commented."""
        head = "".join(f"// {line}\n" if line else "//\n" for line in self.head)
        return f"{head}{self._text((), self.value, 0)}\n"

    def _text(self, loc: Loc, value: Any, indent: int) -> str:
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if not isinstance(value, dict | list) or not value:
            return plain
        commented = any(self._comment((*loc, *inner)) for inner in _inside(value))
        if not commented and loc and indent + len(plain) <= _WIDEST:
            return plain
        pad = " " * (indent + 2)
        lines = []
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        for number, (key, item) in enumerate(items):
            name = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(key, str) else ""
            comma = "," if number + 1 < len(items) else ""
            body = self._text((*loc, key), item, indent + 2)
            comment = self._comment((*loc, key))
            first, newline, rest = body.partition("\n")
            first = f"{pad}{name}{first}{'' if newline else comma}"
            rest = f"{newline}{rest}{comma}" if newline else ""
            if not comment:
                lines.append(f"{first}{rest}")
            elif len(first) + len(comment) + 5 <= _WIDEST:
                lines.append(f"{first}  // {comment}{rest}")
            else:
                lines.append(f"{pad}// {comment}\n{first}{rest}")
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return "\n".join([opening, *lines, " " * indent + closing])

    def _comment(self, loc: Loc) -> str:
        """What stands beside a key: where it comes from, unless that follows from the key around it."""
        note = self.notes.get(loc, "")
        origin = self.origins.get(loc)
        if origin is None or origin == loc or loc in self.quiet:
            return note
        around = self.origin_of(loc[:-1]) if loc else None
        if around is not None and origin == (*around, loc[-1]):
            return note
        return f"{dotted(origin)}{'; ' + note if note else ''}"


def _inside(value: Any) -> Iterator[Loc]:
    """The paths of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (key,)
        for rest in _inside(item):
            yield (key, *rest)


def _leaves(value: Any, at: Loc) -> Iterator[tuple[Loc, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, dict | list) and item:
            yield from _leaves(item, (*at, key))
        else:
            yield (*at, key), item
