"""References: ``"${model.net.config.sample_rate}"`` as a whole value stands for another value."""

from __future__ import annotations

import copy
import re
from typing import Any

from nam_like.config import paths
from nam_like.config.locate import Loc

__all__ = ["resolve"]

_WHOLE = re.compile(r"^\$\{([^${}]*)\}$")


def resolve(values: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[Loc, str]]]:
    """Replace every reference by a copy of what it points to.

    Args:
        values: parsed files by root name.

    Returns:
        The files without references (what cannot be resolved stays), and the errors as (path with root,
        message).
    """
    problems: list[tuple[Loc, str]] = []

    def expand(value: Any, at: Loc, trail: tuple[Loc, ...]) -> Any:
        if isinstance(value, dict):
            return {key: expand(item, (*at, key), trail) for key, item in value.items()}
        if isinstance(value, list):
            return [expand(item, (*at, index), trail) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return follow(value, at, trail)
        except paths.PathError as error:
            problems.append((trail[0] if trail else at, str(error)))
            return value

    def follow(text: str, at: Loc, trail: tuple[Loc, ...]) -> Any:
        match = _WHOLE.match(text)
        if match is None:
            raise paths.PathError(f"expected a reference ${{…}} to be the whole value, but got '{text}'")
        target = paths.parse(match[1].strip())
        trail = (*trail, at)
        if any(place[: len(target)] == target for place in trail):
            raise paths.PathError(
                f"expected a reference to another value, but got '{text}', which leads back here"
            )
        found = paths.lookup(values, target)
        return expand(copy.deepcopy(found), target, trail)

    return {root: expand(value, (root,), ()) for root, value in values.items()}, problems
