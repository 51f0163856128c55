"""Manifests: one JSON object per line that says which files make an example.

A line names its files under keys that the config chooses, and says how many seconds of them are meant:
``{"audio_filepath": "noisy/1.wav", "target_filepath": "clean/1.wav", "offset": 0.5, "duration": 2.0}``.
What is wrong with lines is collected, each with its file and number, and reported at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nam_like.config.base import describe
from nam_like.data.base import DataError

__all__ = ["ManifestEntry", "as_list", "located", "read_manifests"]

MOST_LINES = 20
"""How many wrong lines a message lists."""
MOST_FILES = 5
"""How many missing files a message names."""
LONGEST = 1e9
"""No recording lasts longer (s); a number beyond it is no time."""


@dataclass(frozen=True)
class ManifestEntry:
    """One line of a manifest.

    Attributes:
        manifest: the file it stands in.
        number: of the line, from 1.
        offset: where the example begins in its files (s).
        duration: how long it is (s).
        name: the first path it gives, as it gives it.
        files: the paths of each role (``"input"``, ``"target"``, …), as the line gives them or, after
            :func:`located`, as they are opened.
        metadata: all other keys of the line.
    """

    manifest: Path
    number: int
    offset: float
    duration: float
    name: str
    files: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, for messages: ``train.json:17``."""
        return f"{self.manifest}:{self.number}"


def as_list(value: str | Sequence[str]) -> list[str]:
    """Names given as one string, separated by commas, or as a list; spaces around them are dropped.

    A name that holds a comma itself has to stand in a list.
    """
    names = value.split(",") if isinstance(value, str) else value
    return [name.strip() for name in names if name.strip()]


def read_manifests(paths: Iterable[Path], keys: Mapping[str, Sequence[str]]) -> list[ManifestEntry]:
    """Read manifests, one after the other; blank lines are skipped.

    Args:
        paths: the manifests.
        keys: role to the keys of a line that name its files; the files of all of them belong to the role, in
            order.

    Raises:
        DataError: a manifest cannot be read, or lines are wrong: all of them, with what is wrong.
    """
    entries: list[ManifestEntry] = []
    problems: list[str] = []
    read = {"offset", "duration", *(key for of_role in keys.values() for key in of_role)}
    for path in paths:
        for number, text in _lines(path):
            try:
                entries.append(_entry(path, number, text, keys, read))
            except _LineError as error:  # noqa: PERF203 - all wrong lines are reported
                problems.append(f"{path}:{number}: {error}")
    if problems:
        raise DataError(_all_of(problems, "lines of the manifests cannot be used", MOST_LINES))
    return entries


def located(entries: Iterable[ManifestEntry]) -> list[ManifestEntry]:
    """Turn the paths of entries into those that are opened.

    An absolute path stays. A relative one is looked up in the folder of its manifest, then in the current
    directory. ``~`` is the home folder.

    Raises:
        DataError: files are missing: how many, and the first of them.
    """
    found: list[ManifestEntry] = []
    missing: list[str] = []
    folders: dict[Path, str] = {}
    total = 0
    for entry in entries:
        files: dict[str, tuple[str, ...]] = {}
        folder = folders.get(entry.manifest)
        if folder is None:
            folder = folders[entry.manifest] = str(entry.manifest.parent)
        for role, given in entry.files.items():
            paths = [_find(path, folder) for path in given]
            files[role] = tuple(path for path in paths if path is not None)
            total += len(given)
            missing += [
                f"{entry.place}: {_tried(name, entry.manifest.parent)} ({role})"
                for name, path in zip(given, paths, strict=True)
                if path is None
            ]
        found.append(replace(entry, files=files))
    if len(missing) == 1:
        raise DataError(f"expected a file, but there is none: {missing[0]}")
    if missing:
        raise DataError(_all_of(missing, f"of the {total} files of the manifests are missing", MOST_FILES))
    return found


class _LineError(ValueError):
    """What is wrong with a line, without where it stands."""


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a manifest that are not blank, with their numbers."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}:{number}: expected text in UTF-8, but got byte 0x{raw[error.start]:02x}"
                    ) from error
                if text.strip():
                    yield number, text.strip()
    except OSError as error:
        raise DataError(f"{path}: the manifest cannot be read: {error.strerror or error}") from error


def _entry(
    path: Path, number: int, text: str, keys: Mapping[str, Sequence[str]], read: Collection[str]
) -> ManifestEntry:
    """Read one line; keys in `read` are no metadata.

    Raises:
        _LineError: it is wrong.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise _LineError(
            f"expected a JSON object, but got {text[:80]}{'…' if len(text) > 80 else ''} ({reason})"
        ) from error
    if not isinstance(value, dict):
        raise _LineError(f"expected a JSON object, but got {describe(value)}")
    files = {
        role: tuple(name for key in of_role for name in _paths(value, key, role))
        for role, of_role in keys.items()
    }
    return ManifestEntry(
        manifest=path,
        number=number,
        offset=0.0 if value.get("offset") is None else _seconds(value, "offset"),
        duration=_seconds(value, "duration", positive=True),
        name=next(name for paths in files.values() for name in paths),
        files=files,
        metadata={key: item for key, item in value.items() if key not in read},
    )


def _paths(value: dict[str, Any], key: str, role: str) -> list[str]:
    """The path or paths under a key."""
    if key not in value:
        raise _LineError(_absent(f"'{key}' (`{role}_key`)", value))
    paths = value[key] if isinstance(value[key], list) else [value[key]]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise _LineError(f"expected '{key}' to be a path or a list of paths, but got {describe(value[key])}")
    wrong = [path for path in paths if role == "embedding" and not path.lower().endswith(".npy")]
    if wrong:
        raise _LineError(f"expected '{key}' to be a .npy file, but got {wrong[0]}")
    return paths


def _seconds(value: dict[str, Any], key: str, *, positive: bool = False) -> float:
    """A time in seconds."""
    if key not in value:
        raise _LineError(_absent(f"'{key}' (s)", value))
    seconds = value[key]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise _LineError(f"expected '{key}' to be a number of seconds, but got {describe(seconds)}")
    if not 0 <= seconds < LONGEST or (positive and seconds == 0):
        least = "more than 0 s" if positive else "0 s or more"
        raise _LineError(f"expected '{key}' to be {least}, but got {describe(seconds)}")
    return float(seconds)


def _absent(key: str, value: dict[str, Any]) -> str:
    present = f"only {', '.join(map(str, value))}" if value else "an empty object"
    return f"expected the key {key}, but got {present}"


def _find(name: str, folder: str) -> str | None:
    """The file a line names; None where there is none.

    Strings instead of :class:`Path`, which takes three times as long: there may be a million files.
    """
    given = os.path.expanduser(name) if name.startswith("~") else name  # noqa: PTH111
    beside = os.path.join(folder, given)  # noqa: PTH118 - an absolute path stays
    for candidate in (beside, given) if beside != given else (given,):
        if os.path.isfile(candidate):  # noqa: PTH113
            return candidate
    return None


def _tried(name: str, folder: Path) -> str:
    """A path for the message: with the folder it was looked up in."""
    given = Path(name).expanduser()
    return str(given) if given.is_absolute() else str(folder / given)


def _all_of(problems: Sequence[str], what: str, most: int) -> str:
    """One message of several, the first of them in full."""
    if len(problems) == 1:
        return problems[0]
    more = [f"… and {len(problems) - most} more"] if len(problems) > most else []
    return "\n  ".join([f"{len(problems)} {what}:", *problems[:most], *more])
