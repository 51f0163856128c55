"""One of the three files: its text, its values, and where each value came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nam_like.config import jsonc
from nam_like.config.errors import Problem, dotted
from nam_like.config.locate import Loc, locate
from nam_like.errors import UserError

__all__ = ["Document"]


@dataclass
class Document:
    """A JSON file of a run.

    Attributes:
        name: ``data``, ``model`` or ``learning``.
        path: the file as the user named it.
        text: its text; empty where it could not be read.
        value: what it holds, without notes, with overrides and references applied.
        overridden: path → the override that set or removed it.
        unreadable: why there is no value.
    """

    name: str
    path: Path
    text: str = ""
    value: Any = None
    overridden: dict[Loc, str] = field(default_factory=dict)
    unreadable: Problem | None = None

    @classmethod
    def read(cls, name: str, path: Path) -> Document:
        """Read and parse a file; what is wrong with it is kept in :attr:`unreadable`."""
        document = cls(name, path)
        try:
            document.text = jsonc.read_text(path)
            document.value = without_notes(jsonc.loads(document.text))
        except jsonc.JsonError as error:
            line, column = jsonc.line_column(error.text, error.position)
            source = error.text.split("\n")[line - 1]
            document.unreadable = Problem(str(path), line, column, "", error.message, source, error.width)
        except UserError as error:
            document.unreadable = Problem(str(path), 0, 0, "", str(error))
        return document

    def problem(self, loc: Loc, message: str, *, key: bool = False) -> Problem:
        """A problem of the value at `loc`, placed in the file, or at the override that set it.

        Args:
            loc: path inside the file.
            message: "expected …, but got …".
            key: the key itself is wrong, rather than its value.
        """
        for depth in range(len(loc), 0, -1):
            override = self.overridden.get(loc[:depth])
            if override is not None:
                return Problem(f"--set {override}", 0, 0, dotted((self.name, *loc)), message)
        place = locate(self.text, loc, key=key)
        lines = self.text.split("\n")
        return Problem(
            str(self.path), place.line, place.column, dotted(loc), message, lines[place.line - 1], place.span
        )

    def key_at_fault(self, place: Loc, message: str) -> Loc:
        """The key of a dataset (or of `common`) that a message speaks of; the dataset where it names none.

        A message names a key as `` `ny` ``, or a recording by its path.

        Args:
            place: path of the dataset.
            message: what is wrong with it.
        """
        named = re.findall(r"`([A-Za-z_][A-Za-z_0-9]*)`", message)
        holders = [(*place, "config"), place, ("common",)]
        for holder in holders:
            found = self._value_at(holder)
            if not isinstance(found, dict):
                continue
            for key in named:
                if key in found:
                    return (*holder, key)
        for holder in holders:
            found = self._value_at(holder)
            for key, item in found.items() if isinstance(found, dict) else ():
                if isinstance(item, str) and key.endswith("path") and Path(item).name in message:
                    return (*holder, key)
        return place

    def _value_at(self, loc: Loc) -> Any:
        value = self.value
        try:
            for step in loc:
                value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
        return value


def without_notes(value: Any) -> Any:
    """Drop every key that begins with ``_``, at any depth; ``_target_`` is a spelling and stays."""
    if isinstance(value, dict):
        return {
            key: without_notes(item)
            for key, item in value.items()
            if not key.startswith("_") or key == "_target_"
        }
    if isinstance(value, list):
        return [without_notes(item) for item in value]
    return value
