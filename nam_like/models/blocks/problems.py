"""Errors of a config model that name the exact key, for rules that span several keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import ValidationError

from nam_like.config.lines import line

__all__ = ["Problem", "refuse", "refuse_all"]


class Problem(NamedTuple):
    """One broken rule: the path of the key below the model, what was expected, and the value."""

    loc: tuple[str | int, ...]
    message: str
    value: Any = None


def refuse_all(title: str, problems: Iterable[Problem]) -> None:
    """Raise all problems as one pydantic error; do nothing when there are none.

    Raises:
        ValidationError: with one line per problem.
    """
    lines = [line(problem.message, problem.loc, problem.value) for problem in problems]
    if lines:
        raise ValidationError.from_exception_data(title, lines)


def refuse(title: str, loc: tuple[str | int, ...], message: str, value: Any = None) -> None:
    """Raise one problem; see :func:`refuse_all`."""
    refuse_all(title, [Problem(loc, message, value)])
