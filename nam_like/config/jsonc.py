"""JSON as people write it: ``//`` and ``/* */`` comments, trailing commas, a byte order mark.

One regex blanks comments in place, so that every offset stays true, and the standard library parses the rest.
What JSON leaves open is an error here, at its line and column: duplicate keys, NaN and infinity, numbers too
large.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from nam_like.errors import UserError

__all__ = ["JsonError", "Token", "blank", "decode", "line_column", "loads", "read_text", "tokens"]

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT = re.compile(_STRING + r"|(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<open>/\*)", re.DOTALL)
_COMMA = re.compile(_STRING + r"|(?P<comma>,)(?=\s*[}\]])", re.DOTALL)
_TOKEN = re.compile(rf"(?P<string>{_STRING})|(?P<mark>[{{}}\[\]:,])|(?P<word>[^\s{{}}\[\]:,\"]+)", re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DEEPEST = 100

Token = re.Match[str]


class JsonError(UserError):
    """Text that is not JSON; `position` is the offset of what is wrong in `text`."""

    def __init__(self, message: str, text: str, position: int, width: int = 1) -> None:
        line, column = line_column(text, position)
        super().__init__(f"{line}:{column}  {message}")
        self.message = message
        self.text = text
        self.position = position
        self.width = width


class _BadNumberError(ValueError):
    """A number that is no finite double."""


def line_column(text: str, position: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset in `text`."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without byte order mark, whatever its line ends.

    Raises:
        UserError: there is no such file, or it cannot be read.
        JsonError: it is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"expected a JSON file, but there is no file '{path}'") from None
    except OSError as error:
        raise UserError(f"expected a JSON file, but cannot read '{path}': {error.strerror}") from error
    return decode(data)


def decode(data: bytes) -> str:
    """Bytes of a JSON file as text.

    Raises:
        JsonError: they are not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", errors="replace").removeprefix("\ufeff")
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        got = "UTF-16" if wide else f"the byte 0x{data[error.start]:02x}"
        text = before + data[error.start :].decode("latin-1").partition("\n")[0]
        raise JsonError(f"expected text in UTF-8, but got {got}", text, len(before)) from None
    return text.replace("\r\n", "\n")


def blank(text: str) -> str:
    """Replace comments and trailing commas by spaces; newlines and every offset stay.

    Raises:
        JsonError: a block comment that never ends.
    """

    def uncomment(match: Token) -> str:
        if match["open"]:
            raise JsonError(
                "expected '*/' to end the comment, but got the end of the file", text, match.start()
            )
        return re.sub(r"[^\n]", " ", match[0]) if match["comment"] else match[0]

    bare = _COMMENT.sub(uncomment, text)

    def uncomma(match: Token) -> str:
        if not match["comma"]:
            return match[0]
        before = match.start() - 1
        while before >= 0 and bare[before] in " \t\r\n":
            before -= 1
        return "," if before < 0 or bare[before] in "[{,:" else " "

    return _COMMA.sub(uncomma, bare)


def tokens(bare: str) -> Iterator[Token]:
    """The tokens of blanked text: groups ``string``, ``mark`` and ``word``."""
    return _TOKEN.finditer(bare)


def loads(text: str) -> Any:
    """Parse JSON with comments and trailing commas.

    Raises:
        JsonError: with line and column, for whatever is wrong.
    """
    bare = blank(text)
    if not bare.strip():
        raise JsonError("expected a JSON object, but got an empty file", text, 0)
    _refuse_depth(text, bare)
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            duplicates.append("")
        return found

    try:
        value = json.loads(
            bare, object_pairs_hook=pairs, parse_constant=_no_number, parse_float=_float, parse_int=_int
        )
    except json.JSONDecodeError as error:
        raise _explained(error, text, bare) from None
    except _BadNumberError as error:
        word = str(error)
        place = next(token for token in tokens(bare) if token["word"] == word)
        raise JsonError(
            f"expected a finite number, but got {word[:40]}", text, place.start(), len(word)
        ) from None
    if duplicates:
        _refuse_duplicates(text, bare)
    if _SURROGATE.search(bare):
        _refuse_surrogates(text, bare)
    return value


def _no_number(word: str) -> NoReturn:
    raise _BadNumberError(word)


def _float(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise _BadNumberError(word)
    return value


def _int(word: str) -> int:
    if len(word) > 300:  # beyond the largest double; int() itself refuses over 4300 digits
        raise _BadNumberError(word)
    return int(word)


def _refuse_depth(text: str, bare: str) -> None:
    """Raise where lists and objects nest deeper than any config needs and Python can follow."""
    if bare.count("[") + bare.count("{") <= _DEEPEST:
        return
    depth = 0
    for token in tokens(bare):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token["mark"] or "", 0)
        if depth > _DEEPEST:
            raise JsonError(
                f"expected at most {_DEEPEST} levels of nesting, but got more", text, token.start()
            )


def _refuse_duplicates(text: str, bare: str) -> NoReturn:
    """Raise for the first key that its object already has."""
    seen: list[dict[str, int]] = []
    previous: Token | None = None
    for token in tokens(bare):
        if token["mark"] in ("{", "["):
            seen.append({})
        elif token["mark"] in ("}", "]"):
            seen.pop()
        elif token["mark"] == ":" and previous is not None:
            key = json.loads(previous[0])
            if key in seen[-1]:
                first, _ = line_column(text, seen[-1][key])
                raise JsonError(
                    f"expected each key once, but got '{key}' again (first in line {first})",
                    text,
                    previous.start(),
                    len(previous[0]),
                )
            seen[-1][key] = previous.start()
        previous = token
    raise JsonError("expected each key once, but got one twice", text, 0)


def _refuse_surrogates(text: str, bare: str) -> None:
    """Raise for a string with half a surrogate pair, which no file name and no UTF-8 file can hold."""
    for token in tokens(bare):
        if token["string"] and _SURROGATE.search(token["string"]):
            try:
                json.loads(token["string"]).encode()
            except UnicodeEncodeError:
                raise JsonError(
                    "expected Unicode text, but got half a surrogate pair", text, token.start(), len(token[0])
                ) from None


_EXPECTED = {
    "Expecting property name enclosed in double quotes": 'a key in double quotes or "}"',
    "Expecting value": "a value",
    "Expecting ':' delimiter": "':' after the key",
    "Expecting ',' delimiter": "',' or the end of the list or object",
    "Extra data": "the end of the file",
    "Unterminated string starting at": "a closing '\"' in the same line",
    "Invalid control character at": "a closing '\"' in the same line",
    "Invalid \\escape": 'one of the escapes \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX',
    "Invalid \\uXXXX escape": "four hexadecimal digits after \\u",
}


def _explained(error: json.JSONDecodeError, text: str, bare: str) -> JsonError:
    """The standard library's error in our words; a missing end is shown after the last character."""
    expected = next((ours for theirs, ours in _EXPECTED.items() if error.msg.startswith(theirs)), error.msg)
    position, width = error.pos, 1
    if bare[position:].strip():
        rest = re.match(r"\w+|.", text[position:], re.DOTALL)
        got = f"'{rest[0][:40]}'" if rest and rest[0].isprintable() else "a control character"
        width = len(rest[0]) if rest else 1
        if error.msg.startswith(("Unterminated", "Invalid control")):
            got = "the end of the line"
    else:
        position, got = len(bare.rstrip()), "the end of the file"
    return JsonError(f"expected {expected}, but got {got}", text, position, width)
