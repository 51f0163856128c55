"""Dotted paths into the three files: ``model.net.config.layers_configs[1].channels``."""

from __future__ import annotations

import re
from typing import Any

from nam_like.errors import UserError
from nam_like.registry import did_you_mean

__all__ = ["ROOTS", "PathError", "lookup", "parse"]

ROOTS = ("data", "model", "learning")
_PART = re.compile(
    r"""(?:^|\.)(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\]"""
)


class PathError(UserError):
    """A path that cannot be read, or that leads nowhere."""


def parse(text: str) -> tuple[str | int, ...]:
    """Split a dotted path; its first part is one of :data:`ROOTS`.

    Raises:
        PathError: another root, or not a path at all.
    """
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            break
        parts.append(int(match["index"]) if match["index"] else match["key"] or match["quoted"])
        position = match.end()
    if position < len(text) or not parts:
        raise PathError(f"expected a path such as learning.trainer.max_epochs, but got '{text}'")
    if parts[0] not in ROOTS:
        hint = did_you_mean(str(parts[0]), ROOTS)
        raise PathError(f"expected a path that begins with data, model or learning, but got '{text}'{hint}")
    return tuple(parts)


def step(value: Any, part: str | int, way: str) -> Any:
    """The member `part` of `value`; `way` is the path to `value`, for the message.

    Raises:
        PathError: there is none.
    """
    if isinstance(value, dict) and isinstance(part, str):
        if part in value:
            return value[part]
        hint = did_you_mean(part, list(value))
        raise PathError(f"expected a key of {way}, but got '{part}'{hint}")
    if isinstance(value, list) and isinstance(part, int):
        if part < len(value):
            return value[part]
        raise PathError(f"expected an index below {len(value)}, the length of {way}, but got {part}")
    if isinstance(part, int):
        raise PathError(f"expected {way} to be a list, but got {_kind(value)} and the index [{part}]")
    raise PathError(f"expected {way} to be an object, but got {_kind(value)} and the key '{part}'")


def lookup(values: dict[str, Any], path: tuple[str | int, ...]) -> Any:
    """The value at a parsed path.

    Raises:
        PathError: no such value.
    """
    here: Any = values
    for depth, part in enumerate(path):
        here = step(here, part, _way(path[:depth]))
    return here


def _way(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the files"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a single value"
