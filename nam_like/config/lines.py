"""Line errors: how config models say what is wrong, and at which path.

Pydantic places an error of a validator at the whole object. :func:`refusal` places it at a key of that
object, and :func:`relocated` moves the errors of a nested validation under the path where the nested value
stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from nam_like.config.locate import Loc

__all__ = ["Loc", "line", "refusal", "relocated"]

_BUILTIN_TYPES = frozenset(get_args(core_schema.ErrorType))


def line(message: str, loc: Loc = (), value: Any = None, kind: str = "expected") -> InitErrorDetails:
    """One error: `message` ("expected …, but got …") at `loc`, relative to the object validated."""
    error = PydanticCustomError(kind, "{text}", {"text": message})
    return InitErrorDetails(type=error, loc=loc, input=value)


def refusal(message: str, loc: Loc = (), value: Any = None) -> ValidationError:
    """An exception for validators to raise, placed at a key of their object: ``("val_loss",)``."""
    return ValidationError.from_exception_data("config", [line(message, loc, value)])


def relocated(error: ValidationError, prefix: Iterable[str | int] = ()) -> list[InitErrorDetails]:
    """The line errors of `error` with `prefix` before their paths."""
    moved = []
    for item in error.errors(include_url=False):
        context = item.get("ctx", {})
        kind: Any = item["type"]
        if kind not in _BUILTIN_TYPES:
            kind = PydanticCustomError(kind, "{text}", {**context, "text": item["msg"]})
        moved.append(
            InitErrorDetails(type=kind, loc=(*prefix, *item["loc"]), input=item["input"], ctx=context)
        )
    return moved
