"""The folders of the JSON files are importable while their components are resolved."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["importable"]

#: modules that came out of such folders: name → file
_imported: dict[str, Path] = {}


@contextmanager
def importable(folders: Sequence[Path]) -> Iterator[None]:
    """Put folders at the end of ``sys.path``, so that a file there shadows nothing, and write no bytecode.

    Modules stay imported afterwards, as pickles and worker processes need them; a later run from another
    folder with a module of the same name gets its own.
    """
    added = [str(folder) for folder in folders]
    inside = [folder.resolve() for folder in folders]
    for name, file in list(_imported.items()):
        if not any(folder in file.parents for folder in inside):
            sys.modules.pop(name, None)
            del _imported[name]
    before, wrote_none = set(sys.modules), sys.dont_write_bytecode
    sys.path.extend(added)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = wrote_none
        for folder in added:
            if folder in sys.path:
                del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]
        starts = tuple({str(folder) for folder in (*inside, *(Path(path).absolute() for path in added))})
        for name in set(sys.modules) - before:
            source = getattr(sys.modules[name], "__file__", None)
            # Resolving a path asks the disk, so the many modules elsewhere are left out by their names.
            if isinstance(source, str) and Path(source).is_absolute() and not source.startswith(starts):
                continue
            if source and any(folder in Path(source).resolve().parents for folder in inside):
                _imported[name] = Path(source).resolve()
