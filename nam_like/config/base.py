"""The base of all config models, and number types that take JSON at its word.

A config model forbids unknown keys, drops notes (keys that begin with ``_``), and refuses what pydantic would
quietly convert: ``true`` is not an integer, ``"3"`` is not a number, NaN is no value.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import Self

from nam_like.config.lines import line, relocated
from nam_like.registry import closest

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


#: how many keys a message lists
_MOST_KEYS = 12


def describe(value: Any) -> str:  # noqa: PLR0911 - one line per JSON type
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
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("expected", "expected an integer, but got {got}", {"got": describe(value)})
    if abs(value) >= 2**63:
        raise PydanticCustomError(
            "expected", "expected an integer of at most 64 bits, but got {got}", {"got": f"{value:.3g}"}
        )
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

    Attributes:
        legacy_keys: spellings that a ``before`` validator of the model maps to its fields; "did you mean"
            offers them.
        supplied_keys: arguments that the run passes itself; a config that holds one is told so.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    legacy_keys: ClassVar[tuple[str, ...]] = ()
    supplied_keys: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Say for each unknown key which one was meant; a key missing only because of it is not reported."""
        try:
            return handler(value)
        except ValidationError as error:
            lines: list[InitErrorDetails] = []
            meant: set[str | None] = set()
            for item in relocated(error):
                loc = item.get("loc", ())
                if item["type"] == "extra_forbidden" and len(loc) == 1:
                    suggestion = closest(str(loc[0]), cls.known_keys())
                    meant.add(suggestion)
                    lines.append(cls._unknown_key(str(loc[0]), suggestion, item["input"]))
                else:
                    lines.append(item)
            lines = [
                item
                for item in lines
                if not (
                    item["type"] == "missing"
                    and len(item.get("loc", ())) == 1
                    and str(item.get("loc", ("",))[0]) in meant
                )
            ]
            raise ValidationError.from_exception_data(error.title, lines) from None

    @classmethod
    def _unknown_key(cls, key: str, suggestion: str | None, value: Any) -> InitErrorDetails:
        if key in cls.supplied_keys:
            text = f"expected no `{key}`, which the run supplies itself, but got {describe(value)}"
        elif suggestion:
            text = f"expected a known key, but got '{key}'; did you mean '{suggestion}'?"
        else:
            keys = cls.known_keys()
            more = f", … ({len(keys) - _MOST_KEYS} more)" if len(keys) > _MOST_KEYS else ""
            text = f"expected one of the keys {', '.join(keys[:_MOST_KEYS])}{more}, but got '{key}'"
        return line(text, (key,), value, "unknown_key")

    @classmethod
    def known_keys(cls) -> list[str]:
        """All keys the model reads: field names, aliases and legacy spellings, in order of definition."""
        keys: dict[str, None] = {}
        for name, field in cls.model_fields.items():
            keys[field.alias or name] = None
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
            for choice in choices:
                first = choice.path[0] if isinstance(choice, AliasPath) else choice
                if first:
                    keys[str(first)] = None
        keys.update(dict.fromkeys(cls.legacy_keys))
        return list(keys)

    @model_validator(mode="before")
    @classmethod
    def _drop_notes(cls, value: Any) -> Any:
        """Drop keys that begin with ``_``; ``_target_`` is no note but a spelling, and unknown here."""
        if isinstance(value, dict):
            return {
                key: item for key, item in value.items() if not str(key).startswith("_") or key == "_target_"
            }
        return value
