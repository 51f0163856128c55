"""The base of all config models, and number types that take JSON at its word.

A config model forbids unknown keys, drops notes (keys that begin with ``_``), and refuses what pydantic would quietly
convert: ``true`` is not an integer, ``"3"`` is not a number, NaN is no value.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "Bool",
    "Config",
    "Float",
    "Int",
    "NonNegativeFloat",
    "NonNegativeInt",
    "PositiveFloat",
    "PositiveInt",
    "Str",
    "describe",
]


def describe(value: Any) -> str:
    """A JSON value as error messages show it: ``the string "3"``, ``true``, ``an object with keys a, b``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{value if len(value) <= 60 else value[:57] + "…"}"'
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        keys = list(value)
        shown = ", ".join(str(key) for key in keys[:6]) + (", …" if len(keys) > 6 else "")
        return f"an object with keys {shown}" if keys else "an empty object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"{type(value).__name__} {value!r}"


def _integer(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("expected", "expected an integer, but got {got}", {"got": describe(value)})
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("expected", "expected a number, but got {got}", {"got": describe(value)})
    return value


def _boolean(value: Any) -> Any:
    if not isinstance(value, bool):
        raise PydanticCustomError(
            "expected", "expected true or false, but got {got}", {"got": describe(value)}
        )
    return value


def _string(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("expected", "expected a string, but got {got}", {"got": describe(value)})
    return value


Int = Annotated[int, BeforeValidator(_integer)]
Float = Annotated[float, BeforeValidator(_number)]
Bool = Annotated[bool, BeforeValidator(_boolean)]
Str = Annotated[str, BeforeValidator(_string)]
PositiveInt = Annotated[int, BeforeValidator(_integer), Field(gt=0)]
NonNegativeInt = Annotated[int, BeforeValidator(_integer), Field(ge=0)]
PositiveFloat = Annotated[float, BeforeValidator(_number), Field(gt=0)]
NonNegativeFloat = Annotated[float, BeforeValidator(_number), Field(ge=0)]


class Config(BaseModel):
    """Base of all config models: unknown keys are errors, ``_notes`` are dropped, values are frozen.

    A model that describes a component of ours has a method ``build`` which makes the object from flat keyword
    arguments; see :meth:`nam_like.config.component.Component.build`.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_notes(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if not str(key).startswith("_")}
        return value
