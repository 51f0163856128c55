"""Where a file is that a config names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nam_like.errors import UserError

__all__ = ["find_file"]


def find_file(path: str | Path, folders: Sequence[Path] = (), key: str = "path", kind: str = "file") -> Path:
    """Find a file that a config names.

    A relative path is looked up in the current directory first, as the field's tools do, then in each of
    `folders` (the folder of the data JSON).

    Args:
        path: as the config gives it; ``~`` is the home folder.
        folders: where else to look.
        key: the config key that holds it, for the message.
        kind: what it should be, for the message.

    Returns:
        The absolute path, links resolved.

    Raises:
        UserError: it is in none of these places; the message names each place that was tried.
    """
    given = Path(path).expanduser()
    candidates = [given] if given.is_absolute() else [Path.cwd() / given, *(Path(f) / given for f in folders)]
    tried = list(dict.fromkeys(candidate.resolve() for candidate in candidates))
    for candidate in tried:
        if candidate.exists():
            return candidate
    if len(tried) == 1:
        raise UserError(f"expected `{key}` to be a {kind}, but there is no {tried[0]}")
    raise UserError(
        f"expected `{key}` to be a {kind}, but '{path}' is found neither as "
        f"{' nor as '.join(map(str, tried))}"
    )
