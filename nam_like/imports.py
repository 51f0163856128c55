"""From an import path to an object, and from a name to the one that was meant.

Whatever goes wrong becomes an :class:`UnknownNameError`: import paths are written by users, into JSON files.
"""

from __future__ import annotations

import difflib
import importlib
import traceback
from collections.abc import Sequence
from typing import Any

from nam_like.errors import UserError
from nam_like.lightning import import_lightning

__all__ = ["UnknownNameError", "closest", "did_you_mean", "import_path"]


class UnknownNameError(UserError):
    """A name that no registry entry, namespace or importable module answers to."""


def closest(name: str, known: Sequence[str]) -> str | None:
    """The known name that `name` resembles most, or None."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the known name closest to `name`, or an empty string."""
    meant = closest(name, known)
    return f"; did you mean '{meant}'?" if meant is not None else ""


def import_path(path: str) -> Any:
    """Import ``package.module.attribute`` (or ``package.module:attribute``) and return the attribute.

    The attribute may be nested: ``package.module.Class.method``.

    Raises:
        UnknownNameError: the module cannot be found or fails while it is imported, or it has no such
            attribute; the message says which.
    """
    module_name, _, attributes = path.rpartition(":") if ":" in path else path.rpartition(".")
    if not all(part.isidentifier() for part in f"{module_name}.{attributes}".split(".")):
        raise UnknownNameError(f"expected an import path such as package.module.Name, but got '{path}'")
    while True:
        try:
            module = _import_module(module_name, path)
            break
        except _NoModuleError:
            outer, _, inner = module_name.rpartition(".")
            if not outer:
                raise
            module_name, attributes = outer, f"{inner}.{attributes}"
    found = module
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except (AttributeError, ImportError) as error:  # noqa: PERF203 - one look-up per part
            hint = did_you_mean(attribute, [name for name in dir(found) if not name.startswith("_")])
            owner = f"module '{module_name}'" if found is module else f"'{getattr(found, '__name__', found)}'"
            raise UnknownNameError(f"cannot import '{path}': {owner} has no '{attribute}'{hint}") from error
    return found


class _NoModuleError(UnknownNameError):
    """There is no module of that name."""

    def __init__(self, path: str, missing: str) -> None:
        super().__init__(f"cannot import '{path}': there is no module '{missing}'")
        self.missing = missing


def _import_module(module_name: str, path: str) -> Any:
    """Import a module; what a user's module raises becomes an :class:`UnknownNameError` that says where."""
    if module_name.partition(".")[0] == "pytorch_lightning":
        import_lightning()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise _NoModuleError(path, missing) from error
        raise UnknownNameError(
            f"cannot import '{path}': module '{module_name}' itself needs '{missing}', which is not installed"
        ) from error
    except (Exception, SystemExit) as error:
        if module_name.split(".", maxsplit=1)[0] == __name__.split(".")[0]:
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({frame.filename}:{frame.lineno})"
        if isinstance(error, SyntaxError):
            place = ""  # its text says where
        raise UnknownNameError(
            f"cannot import '{path}': module '{module_name}' fails with "
            f"{type(error).__name__}: {error}{place}"
        ) from error
