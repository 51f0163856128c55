"""The tree of a NeMo file: blocks take their place in a whole file, overrides and interpolations are applied.

A file may hold everything, or one block: ``model:``, ``train_ds:``, ``input_cfg:``, or the keys of a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nam_like.config.errors import ConfigError, Problem, dotted
from nam_like.config.locate import Loc
from nam_like.config.nemo.source import Source, parse_value
from nam_like.errors import UserError
from nam_like.registry import did_you_mean

__all__ = ["DATASETS", "check_references", "override", "reference", "resolved", "settle", "value_at"]

DATASETS = ("train_ds", "validation_ds", "test_ds")
#: keys that only the body of a model has
_OF_MODEL = ("encoder", "decoder", "estimator", "mask_estimator", "mask_processor", "optim", *DATASETS)
_WHOLE = re.compile(r"^\$\{([^${}]*)\}$")
_INSIDE = re.compile(r"\$\{([^${}]*)\}")
_PART = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d+)\]")
_DEEPEST = 30


class _ReferenceError(UserError):
    """An interpolation that leads nowhere."""


def settle(source: Source) -> None:
    """Put a block where it stands in a whole file."""
    tree = source.tree
    if "model" in tree:
        return
    if "input_cfg" in tree:
        _move(source, ("model", "train_ds"))
    elif any(key in tree for key in _OF_MODEL):
        _move(source, ("model",), [key for key in tree if not _of_whole(key)])


def _of_whole(key: str) -> bool:
    return key in ("name", "trainer", "exp_manager", "hydra") or key.startswith("init_")


def _move(source: Source, below: Loc, keys: list[str] | None = None) -> None:
    """Put keys of the top, or all of them, below another place."""
    moved = list(source.tree) if keys is None else keys
    inner: Any = {key: source.tree.pop(key) for key in moved}
    for key in reversed(below):
        inner = {key: inner}
    source.tree |= inner
    for marks in (source.keys, source.values):
        for path in [path for path in marks if path and path[0] in moved]:
            marks[(*below, *path)] = marks.pop(path)


def override(source: Source, text: str) -> None:
    """Apply one ``model.train_ds.manifest_filepath=a.json``; ``+`` before it and ``~path`` are understood.

    Raises:
        ConfigError: it cannot be read, or removes what is not there.
    """
    target, equals, value = text.lstrip("+").partition("=")
    removes = target.startswith("~")
    path = _parsed(target.lstrip("~").strip())
    if not path or not (equals or removes):
        raise _wrong(text, "expected path=value or ~path")
    if path[0] in _OF_MODEL or path[0] == "input_cfg":
        path = ("model", *(() if path[0] in _OF_MODEL else ("train_ds",)), *path)
    here: Any = source.tree
    for depth, part in enumerate(path[:-1]):
        if isinstance(here, dict) and isinstance(part, str) and not removes:
            here = here.setdefault(part, {})
        elif _has(here, part):
            here = here[part]
        else:
            raise _wrong(text, f"expected a path of the file, but there is no {dotted(path[: depth + 1])}")
    if not isinstance(here, dict if isinstance(path[-1], str) else list) or (
        (removes or isinstance(path[-1], int)) and not _has(here, path[-1])
    ):
        raise _wrong(text, f"expected a path of the file, but there is no {dotted(path)}")
    last: Any = path[-1]
    if removes:
        del here[last]
    else:
        here[last] = parse_value(value)
    source.overridden[path] = text


def _wrong(text: str, message: str) -> ConfigError:
    return ConfigError([Problem(f"--set {text}", 0, 0, "", message)])


def value_at(value: Any, path: Loc) -> Any:
    """The value at a path inside another; None where there is none."""
    for part in path:
        if not _has(value, part):
            return None
        value = value[part]
    return value


def _has(value: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(value, list) and part < len(value)
    return isinstance(value, dict) and part in value


def _parsed(text: str) -> Loc:
    """A dotted path; empty where it is none."""
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return ()
        parts.append(match[1] if match[2] is None else int(match[2]))
        position = match.end()
    return tuple(parts)


def reference(value: Any, at: Loc) -> Loc | None:
    """The path that a value stands for as a whole, ``${model.encoder.fft_length}``; None for other values.

    Raises:
        UserError: it is no path.
    """
    match = _WHOLE.match(value) if isinstance(value, str) else None
    return None if match is None else _target(match[1].strip(), at)


def _target(text: str, at: Loc) -> Loc:
    """The path of an interpolation; one dot before it means the object that it stands in, and so on."""
    dots = len(text) - len(text.lstrip("."))
    path = _parsed(text[dots:])
    if ":" in text or not path:
        raise _ReferenceError(
            f"expected a path of this file in ${{…}}, but got '{text}'; --set {dotted(at)}=… gives a value"
        )
    if not dots:
        return path if path[0] not in DATASETS else ("model", *path)
    return (*at[: max(0, len(at) - dots)], *path)


def resolved(tree: dict[str, Any], value: Any, at: Loc, depth: int = 0) -> Any:
    """A value with every interpolation in it replaced by what it stands for.

    Args:
        tree: the whole file.
        value: of it, or part of it.
        at: where the value stands.
        depth: how many interpolations led here.

    Raises:
        UserError: an interpolation leads nowhere, or in a circle.
    """
    if isinstance(value, dict):
        return {key: resolved(tree, item, (*at, key), depth) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(tree, item, (*at, index), depth) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    target = reference(value, at)
    if target is not None:
        return _followed(tree, target, value, depth)
    if "${" in _INSIDE.sub("", value):
        raise _ReferenceError(f"expected ${{…}} with a path inside, but got '{value}'")

    def put_in(match: re.Match[str]) -> str:
        return str(_followed(tree, _target(match[1].strip(), at), value, depth))

    return _INSIDE.sub(put_in, value)


def _followed(tree: dict[str, Any], target: Loc, text: str, depth: int) -> Any:
    if depth >= _DEEPEST:
        raise _ReferenceError(f"expected an end to the references, but '{text}' leads in a circle")
    here: Any = tree
    for number, part in enumerate(target):
        if not _has(here, part):
            hint = did_you_mean(str(part), list(here)) if isinstance(here, dict) else ""
            place = dotted(target[:number]) or "the file"
            raise _ReferenceError(f"expected a key of {place} in '{text}', but got '{part}'{hint}")
        here = here[part]
        if isinstance(here, str) and "${" in here and number + 1 < len(target):
            here = resolved(tree, here, target[: number + 1], depth + 1)
    return resolved(tree, here, target, depth + 1)


def check_references(source: Source) -> list[Problem]:
    """Everything that is wrong with the interpolations of a file."""
    problems = []
    for at, value in _texts(source.tree, ()):
        try:
            resolved(source.tree, value, at)
        except UserError as error:  # noqa: PERF203
            problems.append(source.problem(at, str(error)))
    return problems


def _texts(value: Any, at: Loc) -> Iterator[tuple[Loc, str]]:
    """Every text with an interpolation."""
    if isinstance(value, str):
        if "${" in value:
            yield at, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts(item, (*at, key))
