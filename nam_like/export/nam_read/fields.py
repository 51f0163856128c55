"""Typed access to JSON objects: each wrong or missing value is reported with its place in the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nam_like.errors import NamFileError

__all__ = ["MAX_COUNT", "Fields", "describe"]

# The engine counts in 32-bit integers; a larger count cannot be meant.
MAX_COUNT = 2**31 - 1
_REQUIRED: Any = object()


def describe(value: object) -> str:
    """Say what a JSON value is, short enough for an error message."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True)
class Fields:
    """One JSON object and where it stands, for example `config.layers[0]`.

    Every getter takes a key and a default; without a default the key is required.

    Raises:
        NamFileError: from each getter, when the key is missing or its value has the wrong type.
    """

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """Wrap `value`, which must be a JSON object."""
        if not isinstance(value, Mapping):
            raise NamFileError(f"expected `{where}` to be an object, but got {describe(value)}")
        return cls(value, where)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def path(self, key: str) -> str:
        """The place of `key` in the file."""
        return f"{self.where}.{key}" if self.where else key

    def has_value(self, key: str) -> bool:
        """Whether `key` is there and not null."""
        return self.values.get(key) is not None

    def raw(self, key: str, default: Any = _REQUIRED) -> Any:
        """The value as it is."""
        if key in self.values:
            return self.values[key]
        if default is _REQUIRED:
            raise NamFileError(f'missing required key "{self.path(key)}"')
        return default

    def integer(self, key: str, default: Any = _REQUIRED, *, minimum: int = 1) -> int:
        """An integer (or a float without a fraction) from `minimum` to `MAX_COUNT`."""
        return check_integer(self.raw(key, default), self.path(key), minimum=minimum)

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """A finite number."""
        return check_number(self.raw(key, default), self.path(key))

    def boolean(self, key: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """A string."""
        value = self.raw(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "a string", value)
        return value

    def array(self, key: str) -> Sequence[Any]:
        """A list of anything."""
        value = self.raw(key)
        if not isinstance(value, (list, tuple)):
            raise self.wrong(key, "a list", value)
        return value

    def integers(self, key: str, *, minimum: int = 1) -> tuple[int, ...]:
        """A list of integers, each at least `minimum`."""
        return tuple(
            check_integer(value, f"{self.path(key)}[{i}]", minimum=minimum)
            for i, value in enumerate(self.array(key))
        )

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(check_number(v, f"{self.path(key)}[{i}]") for i, v in enumerate(self.array(key)))

    def nested(self, key: str) -> Fields:
        """A nested object."""
        return Fields.of(self.raw(key), self.path(key))

    def objects(self, key: str) -> Iterator[Fields]:
        """The objects of a list, one after the other."""
        for i, value in enumerate(self.array(key)):
            yield Fields.of(value, f"{self.path(key)}[{i}]")

    def wrong(self, key: str, expected: str, value: object) -> NamFileError:
        """The error for a value that is not what it should be."""
        return NamFileError(f"expected `{self.path(key)}` to be {expected}, but got {describe(value)}")


def check_integer(value: object, where: str, *, minimum: int) -> int:
    """Return `value` as an int, or say why it is none."""
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or whole):
        raise NamFileError(f"expected `{where}` to be an integer, but got {describe(value)}")
    number = int(value)  # type: ignore[call-overload]  # narrowed above
    if number < minimum:
        raise NamFileError(f"expected `{where}` to be at least {minimum}, but got {number}")
    if number > MAX_COUNT:
        raise NamFileError(f"expected `{where}` to be at most {MAX_COUNT}, but got {describe(number)}")
    return int(number)


def check_number(value: object, where: str) -> float:
    """Return `value` as a finite float, or say why it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NamFileError(f"expected `{where}` to be a number, but got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise NamFileError(f"expected `{where}` to be a finite number, but got {describe(value)}")
    return number
