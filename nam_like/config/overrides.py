"""Overrides from the command line: ``--set learning.trainer.max_epochs=5``, ``--set ~model.lr_scheduler``."""

from __future__ import annotations

from typing import Any

from nam_like.config import jsonc, paths
from nam_like.config.locate import Loc

__all__ = ["apply"]


def apply(values: dict[str, Any], override: str) -> Loc:
    """Change the parsed files in place.

    Args:
        values: parsed files by root name.
        override: ``path=value`` with a JSON value (or else a bare string), or ``~path`` to remove.

    Returns:
        The path that was set or removed, root first.

    Raises:
        PathError: the override cannot be read, or the path leads nowhere.
    """
    if override.startswith("~"):
        path = paths.parse(override[1:].strip())
        if len(path) == 1:
            raise paths.PathError(f"expected a key inside {path[0]} to remove, but got all of {path[0]}")
        paths.lookup(values, path)
        parent = paths.lookup(values, path[:-1])
        del parent[path[-1]]
        return path
    target, equals, text = override.partition("=")
    if not equals:
        raise paths.PathError(f"expected path=value or ~path, but got '{override}'")
    path = paths.parse(target.strip())
    if len(path) == 1:
        raise paths.PathError(f"expected a key inside {path[0]} to set, but got all of {path[0]}")
    value = _value(text.strip())
    here: Any = values
    for depth, part in enumerate(path[:-1]):
        if (
            isinstance(here, dict)
            and isinstance(part, str)
            and part not in here
            and isinstance(path[depth + 1], str)
        ):
            here[part] = {}
        here = paths.step(here, part, _before(path, depth))
    last = path[-1]
    if isinstance(here, dict) and isinstance(last, str):
        here[last] = value
    else:
        paths.step(here, last, _before(path, len(path) - 1))
        here[last] = value
    return path


def _before(path: Loc, depth: int) -> str:
    return ".".join(str(part) for part in path[:depth]) or "the files"


def _value(text: str) -> Any:
    """A JSON value; anything else is a bare string, unless it begins like a list, an object or a string."""
    try:
        return jsonc.loads(text)
    except jsonc.JsonError as error:
        if text[:1] in ("[", "{", '"'):
            raise paths.PathError(f"{error.message} in '{text}'") from None
        return text
