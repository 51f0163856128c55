"""An object of a NeMo file while it is read: every key is taken, left out on purpose, or unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nam_like.config.base import describe
from nam_like.config.errors import Problem, dotted
from nam_like.config.locate import Loc
from nam_like.config.nemo.source import Source
from nam_like.config.nemo.tree import resolved, value_at
from nam_like.registry import did_you_mean

__all__ = ["Findings", "Section"]


@dataclass
class Findings:
    """What is found while a file is read.

    Attributes:
        problems: mistakes.
        left_out: what has no place in our files, each ``path: why``.
        filled: what the file lacks and we chose.
    """

    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)


class Section:
    """An object of the file.

    Args:
        source: the file.
        path: of the object.
        value: the object.
        findings: where mistakes collect.
    """

    def __init__(self, source: Source, path: Loc, value: dict[str, Any], findings: Findings) -> None:
        self.source = source
        self.path = path
        self.findings = findings
        self._rest = dict(value)
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return self._rest.get(key) is not None

    def at(self, key: str) -> Loc:
        """The path of a key."""
        return (*self.path, key)

    def raw(self, key: str) -> Any:
        """Take a value as it stands, references included; None where there is none."""
        self._known.append(key)
        return self._rest.pop(key, None)

    def take(self, key: str, kind: type | tuple[type, ...] = object, default: Any = None) -> Any:
        """Take a value, references followed.

        Args:
            key: of the value.
            kind: what it may be; anything else is a mistake.
            default: what is given back in its place, or where there is none.
        """
        value = resolved(self.source.tree, self.raw(key), self.at(key))
        if value is None:
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kind) or (isinstance(value, bool) and not {bool, object} & set(kinds)):
            names = " or ".join(_NAMES.get(item, item.__name__) for item in kinds)
            self.refuse(key, f"expected {names}, but got {describe(value)}")
            return default
        return value

    def section(self, key: str) -> Section | None:
        """Take an object; None where there is none."""
        value = self.take(key, dict)
        return (
            None
            if value is None
            else Section(self.source, self.at(key), self._raw_of(key, value), self.findings)
        )

    def _raw_of(self, key: str, value: Any) -> Any:
        """The object with its references, unless it is one."""
        here = value_at(self.source.tree, (*self.path, key))
        return here if isinstance(here, dict) else value

    def leave_out(self, *keys: str, why: str = "") -> None:
        """Drop keys that are known and mean nothing here; those that say something are told."""
        for key in keys:
            value = self.raw(key)
            if value and not (isinstance(value, dict) and not any(value.values())):
                self.findings.left_out.append(dotted(self.at(key)) + (f": {why}" if why else ""))

    def remaining(self) -> list[str]:
        """The keys that nobody has taken."""
        return list(self._rest)

    def know(self, *keys: str) -> None:
        """Keys that "did you mean" offers, too."""
        self._known.extend(keys)

    def refuse(self, key: str, message: str, *, unknown: bool = False) -> None:
        """Note a mistake."""
        self.findings.problems.append(self.source.problem(self.at(key), message, key=unknown))

    def close(self) -> None:
        """Everything that is left is unknown."""
        for key in self.remaining():
            hint = did_you_mean(key, self._known)
            expected = "a known key" if hint else f"one of the keys {', '.join(sorted(set(self._known)))}"
            self.refuse(key, f"expected {expected}, but got '{key}'{hint}", unknown=True)


_NAMES: dict[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
