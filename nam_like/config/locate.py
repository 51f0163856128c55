"""Where in a JSON text a value stands: from a path to line, column and width."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from nam_like.config.jsonc import Token, blank, line_column, tokens

__all__ = ["Loc", "Place", "locate"]

#: Keys and indices from the top of a file to a value.
Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A value in a text.

    Attributes:
        line: from 1.
        column: from 1.
        span: characters that it fills in that line, at least 1.
    """

    line: int
    column: int
    span: int


@dataclass(frozen=True)
class _Spans:
    """Offsets (start, end) of a member's key and value; the key of a list's member is its value."""

    key: tuple[int, int]
    value: tuple[int, int]


def locate(text: str, path: Sequence[str | int], *, key: bool = False) -> Place:
    """Find the value at `path`, or its nearest ancestor that exists.

    Args:
        text: JSON, with comments or without, that has been parsed before.
        path: keys and indices, such as ``("net", "config", "layers_configs", 1, "channels")``.
        key: point at the key rather than at its value.
    """
    index = _index(text)
    wanted = tuple(path)
    while wanted not in index:
        wanted = wanted[:-1]
    exact = len(wanted) == len(path)
    spans = index[wanted]
    start, end = spans.key if key and exact else spans.value
    line, column = line_column(text, start)
    end_of_line = text.find("\n", start)
    end = end if end_of_line < 0 else min(end, end_of_line)
    if not exact or text[start] in "{[":
        end = start + 1
    return Place(line, column, max(1, end - start))


@functools.lru_cache(maxsize=16)
def _index(text: str) -> dict[Loc, _Spans]:
    """The offsets of every value of a text; the last of duplicate keys wins, as in parsing."""
    stream = list(tokens(blank(text)))
    found: dict[Loc, _Spans] = {}
    # of each open object or list: its path, the offsets of its own key, its start
    open_values: list[tuple[Loc, tuple[int, int], int]] = []
    members: list[str | int] = []  # of each open object the current key, of each list the current index
    key_at: tuple[int, int] | None = None
    for position, token in enumerate(stream):
        path = tuple(members)
        span = key_at or token.span()
        if token["mark"] in ("{", "["):
            open_values.append((path, span, token.start()))
            members.append("" if token["mark"] == "{" else 0)
            key_at = None
        elif token["mark"] in ("}", "]"):
            members.pop()
            at, key_span, start = open_values.pop()
            found[at] = _Spans(key_span, (start, token.end()))
        elif token["mark"] == ",":
            last = members[-1]
            members[-1] = last + 1 if isinstance(last, int) else ""
            key_at = None
        elif token["string"] and _is_key(stream, position, members):
            members[-1] = json.loads(token[0])
            key_at = token.span()
        elif token["mark"] != ":":
            found[path] = _Spans(span, token.span())
    found.setdefault((), _Spans((0, 1), (0, 1)))
    return found


def _is_key(stream: list[Token], position: int, members: list[str | int]) -> bool:
    following = stream[position + 1] if position + 1 < len(stream) else None
    return bool(members) and following is not None and following["mark"] == ":"
