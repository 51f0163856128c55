"""Extensions: Python files that register components, loaded before a run reads its JSONs.

They come from three places, in this order:

1. ``~/.nam_like/extensions``: every ``*.py`` file and every package in it, sorted by name;
2. ``$NAM_LIKE_EXTENSIONS``: files, packages or folders of them, separated as in ``$PATH``;
3. entry points of installed packages in the group ``nam_like.extensions``: a module, or a function to call.

Each file is a private submodule of this one, named after its path (``nam_like.extensions.mine_1f0c63ab``), so
that an extension called ``json.py`` shadows nothing and two of one name live side by side. The finder below
is installed when this module is imported; a worker process that unpickles an extension's dataset finds it.

An extension that fails is shown with its traceback and remembered. It stops a run only if the run names a
component that nothing else registers.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

from nam_like.registry import note_failed_owner, owned_by

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ENTRY_POINTS", "VARIABLE", "Extension", "default_folder", "load_extensions", "loaded"]

VARIABLE = "NAM_LIKE_EXTENSIONS"
ENTRY_POINTS = "nam_like.extensions"

logger = logging.getLogger(__name__)

# Submodules are found by the finder below, not in a folder; a module needs a path to have submodules at all.
__path__: list[str] = []


@dataclass(frozen=True)
class Extension:
    """One extension and what came of it.

    Attributes:
        source: path of the file or package, or ``entry point NAME``.
        problem: empty when it was loaded; else one line.
        details: the traceback from the extension's first line on; empty where there is none.
    """

    source: str
    problem: str = ""
    details: str = ""


_loaded: dict[str, Extension] = {}


def loaded() -> list[Extension]:
    """The extensions of this process so far, in the order in which they were loaded."""
    return list(_loaded.values())


def default_folder() -> Path | None:
    """``~/.nam_like/extensions``; None when the user has no home folder."""
    try:
        return Path.home() / ".nam_like" / "extensions"
    except RuntimeError:
        return None


def load_extensions() -> list[Extension]:
    """Load every extension that is not loaded yet.

    Returns:
        All extensions of this process, failed ones included; an extension never raises out of here.
    """
    for path in _paths():
        source = str(path)
        if source not in _loaded:
            _attempt(source, functools.partial(_import, path))
    for point in _entry_points():
        source = f"entry point {point.name} ({point.value})"
        if source not in _loaded:
            _attempt(source, functools.partial(_call, point))
    return loaded()


def _attempt(source: str, load: Callable[[], None]) -> None:
    """Load one extension as the owner of what it registers, and remember how it went."""
    try:
        with owned_by(source):
            load()
    except (Exception, SystemExit) as error:  # whatever a stranger's file raises
        summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        details = "".join(traceback.format_exception(type(error), error, _own_frames(error.__traceback__)))
        _loaded[source] = Extension(source, summary, details)
        note_failed_owner(source, summary, _text(source))
        logger.warning("the extension %s could not be loaded:\n%s", source, details.rstrip())
    else:
        _loaded[source] = Extension(source)


def _import(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"${VARIABLE} names {path}, but there is no such file or folder")
    if _is_extension(path):
        importlib.import_module(_module_name(path))
    else:
        raise ValueError(f"expected a folder, a package or a .py file, but got {path}")


def _call(point: EntryPoint) -> None:
    target = point.load()
    if not isinstance(target, ModuleType) and callable(target):
        target()


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of the import machinery that precede the extension's own."""
    machinery = (__file__, importlib.__file__)
    rest = frames
    while rest is not None:
        name = rest.tb_frame.f_code.co_filename
        if name not in machinery and not name.startswith("<frozen importlib"):
            return rest
        rest = rest.tb_next
    return None


def _text(source: str) -> str:
    """The source code of a failed extension; the names that it would have registered occur there."""
    path = Path(source)
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def _paths() -> Iterator[Path]:
    """Files and packages to load, in order, and paths that :func:`_import` will have to refuse."""
    home = default_folder()
    if home is not None and home.exists():
        yield from _members(home) if home.is_dir() else [home]
    for item in os.environ.get(VARIABLE, "").split(os.pathsep):
        if item.strip():
            path = Path(item.strip()).expanduser().absolute()
            yield from _members(path) if path.is_dir() and not _is_extension(path) else [path]


def _members(folder: Path) -> list[Path]:
    """The extensions in a folder, sorted by name; whatever else lies there is no concern of ours."""
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._" and _is_extension(path))


def _is_extension(path: Path) -> bool:
    return (path / "__init__.py").is_file() if path.is_dir() else path.suffix == ".py"


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _module_name(path: Path) -> str:
    """The private name of the module at `path`."""
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{__name__}.{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"


class _Finder(MetaPathFinder):
    """Finds the private modules, in this process and in workers that inherit its environment."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the extension called `fullname`; None where it is not ours."""
        if fullname.rpartition(".")[0] != __name__:
            return None
        for source in _paths():
            if _is_extension(source) and _module_name(source) == fullname:
                if source.is_dir():
                    return importlib.util.spec_from_file_location(
                        fullname, source / "__init__.py", submodule_search_locations=[str(source)]
                    )
                return importlib.util.spec_from_file_location(fullname, source)
        return None


sys.meta_path.append(_Finder())
