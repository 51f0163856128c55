"""Values that must still be given: ``???`` stands for them in files that were made from other tools'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nam_like.config.errors import dotted
from nam_like.config.locate import Loc

__all__ = ["UNFILLED", "unfilled"]

UNFILLED = "???"


def unfilled(root: str, value: Any) -> list[tuple[Loc, str]]:
    """Where a file says ``???``, each as (path, message).

    Args:
        root: ``data``, ``model`` or ``learning``.
        value: what the file holds.
    """
    return [
        (loc, f"expected a value for {dotted((root, *loc))}, but got {UNFILLED}")
        for loc in _places(value, ())
    ]


def _places(value: Any, at: Loc) -> Iterator[Loc]:
    if value == UNFILLED:
        yield at
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*at, key))
