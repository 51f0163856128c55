"""A NeMo YAML file: its values, and where in the text each of them stands.

The text is read as YAML with the numbers of YAML 1.2: ``1e-4`` is one, which PyYAML would take for a string.
Nothing in it is constructed but plain values.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nam_like.config.errors import ConfigError, Problem, dotted
from nam_like.config.locate import Loc
from nam_like.config.unfilled import UNFILLED
from nam_like.errors import UserError

__all__ = ["MISSING", "Mark", "Source", "parse_value", "read_source"]

#: what stands where a value must be given
MISSING = UNFILLED
_TAG = "tag:yaml.org,2002:"
_PLAIN = ("str", "null", "bool", "int", "float", "timestamp", "map", "seq")
_MOST_NODES = 100_000
_DEEPEST = 60
_FLOAT = re.compile(r"^[-+]?(?:(?:\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+)$")
_INT = re.compile(r"^[-+]?(?:0|[1-9][\d_]*|0x[0-9a-fA-F_]+)$")


class Mark(NamedTuple):
    """A place in the text; line and column from 1."""

    line: int
    column: int
    span: int


@dataclass
class Source:
    """A YAML file, with everything under the keys that whole NeMo files have.

    Attributes:
        path: the file.
        text: its text.
        tree: its values; what belongs to the model stands under ``model``.
        keys: where each key stands, by path in `tree`.
        values: where each value stands.
        overridden: path → the override that set it.
    """

    path: Path
    text: str
    tree: dict[str, Any]
    keys: dict[Loc, Mark] = field(default_factory=dict)
    values: dict[Loc, Mark] = field(default_factory=dict)
    overridden: dict[Loc, str] = field(default_factory=dict)

    def problem(self, path: Loc, message: str, *, key: bool = False) -> Problem:
        """A problem of the value (or the key) at `path`, or of what is nearest to it in the file."""
        for depth in range(len(path), 0, -1):
            override = self.overridden.get(path[:depth])
            if override is not None:
                return Problem(f"--set {override}", 0, 0, dotted(path), message)
        places = self.keys if key else self.values
        depth = next((depth for depth in range(len(path), 0, -1) if path[:depth] in places), 0)
        mark = places.get(path[:depth])
        if mark is None:
            return Problem(str(self.path), 0, 0, dotted(path), message)
        span = mark.span if depth == len(path) else 1
        line = self.text.split("\n")[mark.line - 1]
        return Problem(str(self.path), mark.line, mark.column, dotted(path), message, line, span)


def read_source(path: Path) -> Source:
    """Read a file.

    Raises:
        UserError: there is no such file, PyYAML is missing.
        ConfigError: it is no YAML, or holds what no config can.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"expected a YAML file, but there is no file '{path}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"expected a YAML file, but cannot read '{path}': {error}") from error
    source = Source(path, text, {})
    value = _Reader(source).value()
    if not isinstance(value, dict) or not value:
        raise ConfigError([Problem(str(path), 0, 0, "", "expected a NeMo config with keys, but got none")])
    source.tree = value
    return source


def parse_value(text: str) -> Any:
    """A value as YAML writes it on one line: ``[1, 2]``, ``1e-4``, ``a path``.

    Raises:
        ConfigError: it cannot be read.
    """
    return _Reader(Source(Path("--set"), text, {})).value()


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise UserError(
            "expected PyYAML, which reads NeMo files, but it is not installed: pip install 'nam_like[speech]'"
        ) from error
    return yaml


class _Reader:
    """Makes plain values of YAML's nodes, and notes where they stand."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.yaml = _yaml()
        self.nodes = 0

    def value(self) -> Any:
        try:
            loader = self.yaml.SafeLoader(self.source.text)
            try:
                node = loader.get_single_node()
                return None if node is None else self._made(node, ())
            finally:
                loader.dispose()
        except self.yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error)
            at = Mark(mark.line + 1, mark.column + 1, 1) if mark is not None else Mark(1, 1, 1)
            raise self._error(at, (), f"expected YAML, but {reason}") from error

    def _error(self, at: Mark, path: Loc, message: str) -> ConfigError:
        lines = self.source.text.split("\n")
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        return ConfigError(
            [Problem(str(self.source.path), at.line, at.column, dotted(path), message, line, at.span)]
        )

    def _made(self, node: Any, path: Loc) -> Any:
        self.nodes += 1
        at = _mark(node)
        if self.nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise self._error(at, path[:3], "expected a config, but got values without end")
        self.source.values[path] = at
        if node.tag.removeprefix(_TAG) not in _PLAIN:
            raise self._error(at, path, f"expected a plain value, but got one tagged {node.tag}")
        if isinstance(node, self.yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, self.yaml.SequenceNode):
            return [self._made(item, (*path, index)) for index, item in enumerate(node.value)]
        value = self._scalar(node)
        if (isinstance(value, float) and not math.isfinite(value)) or (
            node.tag == f"{_TAG}float" and value == node.value
        ):
            raise self._error(at, path, f"expected a finite number, but got {node.value}")
        return value

    def _mapping(self, node: Any, path: Loc) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merged(value_node, path)
                continue
            key = self._scalar(key_node) if isinstance(key_node, self.yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise self._error(_mark(key_node), path, "expected a string as key, but got another value")
            if key in made:
                raise self._error(_mark(key_node), (*path, key), f"expected one '{key}' here, but got two")
            self.source.keys[(*path, key)] = _mark(key_node)
            made[key] = self._made(value_node, (*path, key))
        return {**merged, **made}

    def _merged(self, node: Any, path: Loc) -> dict[str, Any]:
        """The keys that ``<<`` brings in."""
        parts = node.value if isinstance(node, self.yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, self.yaml.MappingNode):
                raise self._error(_mark(node), path, "expected an object to merge, but got another value")
            found |= self._mapping(part, path)
        return found

    def _scalar(self, node: Any) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        if kind == "str" and node.style is not None:
            return text
        if kind in ("str", "int", "float") and _INT.match(text):
            return int(text.replace("_", ""), 0)
        if kind in ("str", "int", "float") and _FLOAT.match(text):
            return float(text.replace("_", ""))
        return text


def _mark(node: Any) -> Mark:
    start, end = node.start_mark, node.end_mark
    span = end.column - start.column if end.line == start.line else 1
    return Mark(start.line + 1, start.column + 1, max(1, span))
