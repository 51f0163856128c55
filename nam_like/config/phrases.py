"""Pydantic's errors in our grammar, without the noise of unions: "expected …, but got …"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nam_like.config.base import describe
from nam_like.config.lines import Loc

__all__ = ["phrased"]

_SPLIT = re.compile(r"^expected (?P<expected>.*), but got (?P<got>.*)$", re.DOTALL)
_TAG = re.compile(
    r"[\[(\-{]|Config$|^(int|float|str|bool|none|dict|list|tuple|any|decimal|nullable|literal|model)$"
)
_PLAIN = {
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "string_type": "a string",
    "path_type": "a path",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer of at most 64 bits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "none_required": "null",
    "callable_type": "something that can be called",
}
_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda context: f"more than {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"at least {_number(context['ge'])}",
    "less_than": lambda context: f"less than {_number(context['lt'])}",
    "less_than_equal": lambda context: f"at most {_number(context['le'])}",
    "multiple_of": lambda context: f"a multiple of {_number(context['multiple_of'])}",
    "literal_error": lambda context: context["expected"],
    "enum": lambda context: context["expected"],
    "too_short": lambda context: f"at least {context['min_length']} members",
    "too_long": lambda context: f"at most {context['max_length']} members",
    "string_too_short": lambda context: f"at least {context['min_length']} characters",
    "string_too_long": lambda context: f"at most {context['max_length']} characters",
    "string_pattern_mismatch": lambda context: f"text that matches {context['pattern']}",
    "is_instance_of": lambda context: f"a {context['class']}",
}


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def phrased(error: ValidationError, value: Any) -> list[tuple[Loc, str, bool]]:
    """The problems of a validation, each as (path, message, whether the path names an unknown key).

    Args:
        error: what pydantic raised.
        value: the value that was validated; it tells keys from the names of union members in a path.

    Where a union refused a value, the members that got furthest into it are heard, in one message.
    """
    found: dict[Loc, list[tuple[Loc, str, bool]]] = {}
    for item in error.errors(include_url=False):
        loc, union_at = _without_tags(item["loc"], value)
        unknown = item["type"] in ("unknown_key", "extra_forbidden")
        group = (*union_at, "|") if union_at is not None else (*loc, "", _message(item))
        found.setdefault(group, []).append((loc, _message(item), unknown))
    return [problem for group in found.values() for problem in _merged(group)]


def _merged(group: list[tuple[Loc, str, bool]]) -> Iterable[tuple[Loc, str, bool]]:
    """Of the errors of one union those with the deepest path; "a or b" where they expect different types."""
    if len(group) == 1:
        return group
    deepest = max(len(loc) for loc, _, _ in group)
    group = [item for item in group if len(item[0]) == deepest]
    by_place: dict[tuple[Loc, str], list[str]] = {}
    unknown_at: dict[Loc, bool] = {}
    for loc, message, unknown in group:
        match = _SPLIT.match(message)
        expected, got = (match["expected"], match["got"]) if match else (message, "")
        by_place.setdefault((loc, got), []).append(expected)
        unknown_at[loc] = unknown
    return [
        (
            loc,
            f"expected {' or '.join(dict.fromkeys(wanted))}, but got {got}"
            if got
            else " or ".join(dict.fromkeys(wanted)),
            unknown_at[loc],
        )
        for (loc, got), wanted in by_place.items()
    ]


def _without_tags(loc: Loc, value: Any) -> tuple[Loc, Loc | None]:
    """Drop the names of union members from a path; also returns the path of the outermost union in it."""
    kept: list[str | int] = []
    union_at: Loc | None = None
    here: Any = value
    for part in loc:
        member = _member(here, part)
        if member is not None:
            here = member[0]
        elif isinstance(part, str) and _TAG.search(part):
            union_at = tuple(kept) if union_at is None else union_at
            continue
        kept.append(part)
    return tuple(kept), union_at


def _member(value: Any, part: str | int) -> tuple[Any] | None:
    """The member of a value in a tuple, or None where there is none."""
    if isinstance(value, dict):
        return (value[part],) if part in value else None
    if isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
        return (value[part],)
    return None


def _message(item: ErrorDetails) -> str:  # noqa: PLR0911 - one line per kind of error
    """One error in our words."""
    kind, context, got = item["type"], item.get("ctx", {}), item["input"]
    if kind == "missing":
        return f"expected the key '{item['loc'][-1]}', but got {describe(got)}"
    if kind == "extra_forbidden":
        return f"expected a known key, but got '{item['loc'][-1]}'"
    if kind in _PLAIN:
        return f"expected {_PLAIN[kind]}, but got {describe(got)}"
    if kind in _BOUNDS:
        return f"expected {_BOUNDS[kind](context)}, but got {describe(got)}"
    if kind == "value_error":
        return str(context.get("error", item["msg"]))
    if kind in ("expected", "unknown_key", "unknown_name") or item["msg"].startswith("expected"):
        return item["msg"]
    return f"expected a valid value ({item['msg']}), but got {describe(got)}"
