"""Config models derived from the signature of a callable, for classes that are not ours.

``torch.optim.AdamW``, ``ReduceLROnPlateau``, ``DataLoader`` or ``Trainer`` come without a config model. The
derived model has one field per keyword argument, so that ``patince`` is caught before training, and checks
what the annotation says as far as JSON can express it. Values pass through unchanged: ``1`` and ``1.0`` mean
different things to ``val_check_interval``.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError, core_schema

from nam_like.config.base import Config, describe
from nam_like.config.lines import refusal
from nam_like.config.source import read_callable
from nam_like.registry import UnknownNameError, import_path

__all__ = ["Arguments", "Bounds", "config_from_callable", "given"]

_NAMES = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    list: "a list",
    dict: "an object",
}
_SCHEMA_TYPES = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "string",
    type(None): "null",
    list: "array",
    dict: "object",
}


#: a key and the smallest value it may have: ``("lr", (">", 0))``, ``("max_epochs", (">=", -1))``
Bounds = tuple[tuple[str, tuple[str, float]], ...]


def given(config: BaseModel) -> dict[str, Any]:
    """The arguments that the JSON gave, without the defaults: ``Trainer(**given(learning.trainer))``."""
    return {
        name: getattr(config, name) for name in type(config).model_fields if name in config.model_fields_set
    } | (config.model_extra or {})


@functools.cache
def config_from_callable(
    target: Callable[..., Any],
    supplied: frozenset[str] = frozenset(),
    bounds: Bounds = (),
    base: type[Config] = Config,
) -> type[Config]:
    """Derive a config model from the keyword arguments of `target`.

    Args:
        target: a class or function.
        supplied: arguments the caller passes itself; they are left out of the model.
        bounds: smallest values of arguments, which no signature tells.
        base: model with the fields of arguments that need more than their annotation says.

    Returns:
        A subclass of `base`; it admits further keys only where `target` takes ``**kwargs``.

    Raises:
        UnknownNameError: `target` has no signature that Python can read.
    """
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError) as error:
        raise UnknownNameError(
            f"expected a callable with a readable signature, but got {target!r}"
        ) from error
    smallest = dict(bounds)
    hints = _type_hints(target)
    fields: dict[str, Any] = {}
    open_ended = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif (
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY)
            or name in supplied
            or name == "self"
            or name.startswith("_")
            or name in base.model_fields
        ):
            continue
        else:
            annotation = hints.get(name, _from_default(parameter.default))
            checked = _json_type(annotation, smallest.get(name))
            fields[name] = (checked, _default(parameter.default))
    extra: Literal["allow", "forbid"] = "allow" if open_ended else "forbid"
    derived = type(
        "SignatureConfig",
        (base,),
        {"__module__": __name__, "model_config": ConfigDict(extra=extra), "supplied_keys": supplied},
    )
    title = getattr(target, "__name__", type(target).__name__)
    return create_model(f"{title}Config", __base__=derived, **fields)


@dataclass(frozen=True)
class Arguments:
    """Annotation of a field that holds keyword arguments of a third-party callable.

    The field's value is a :class:`Config`; ``given(value)`` are the arguments to pass on.

    Args:
        target: import path of the callable.
        supplied: arguments the run passes itself.
        bounds: smallest values of arguments.
        base: model with the fields of arguments that need more than their annotation says.
        probe: called with the given arguments; what it raises (``ValueError``, …) is an error of the config.
    """

    target: str
    supplied: frozenset[str] = frozenset()
    bounds: Bounds = ()
    base: type[Config] = Config
    probe: Callable[[dict[str, Any]], object] | None = None

    def model(self, *, imported: bool = True) -> type[Config]:
        """The derived config model.

        Args:
            imported: import the target; otherwise its signature is read from its source where that is enough.
        """
        target = None if imported else read_callable(self.target)
        return config_from_callable(target or import_path(self.target), self.supplied, self.bounds, self.base)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda config: config.model_dump(mode="json", exclude_unset=True)
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.model().model_json_schema()

    def validate(self, value: Any) -> Config:
        """Check the arguments.

        Raises:
            ValidationError: an unknown argument, a wrong type, or a value that the probe refuses.
        """
        if isinstance(value, Config):
            return value
        config = self.model(imported=False).model_validate(value)
        if self.probe is not None:
            try:
                self.probe(given(config))
            except Exception as error:
                text = " ".join(str(error).split())
                raise refusal(
                    f"expected arguments that {self.target.rpartition(':')[2]} takes, but got: {text}"
                ) from error
        return config


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations, without those that cannot be evaluated: their check is then by name only."""
    function = inspect.unwrap(cast("Any", target).__init__ if isinstance(target, type) else target)
    names = getattr(function, "__globals__", {})
    hints: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(Exception):
            hints |= typing.get_type_hints(alone, globalns=names)
    return hints


def _default(value: Any) -> Any:
    """The default as pydantic takes it; one that JSON cannot hold stays out of the schemas."""
    if value is inspect.Parameter.empty:
        return ...
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        return value
    return Field(default_factory=lambda: value)


def _from_default(default: Any) -> Any:
    if isinstance(default, bool):
        return bool
    if isinstance(default, int | float):
        return float
    if isinstance(default, str):
        return str
    return Any


def _json_type(annotation: Any, smallest: tuple[str, float] | None) -> Any:
    """The annotation as a check on a JSON value; ``Any`` where JSON cannot hold the type."""
    literals, allowed = _allowed(annotation)
    checks: list[Any] = []
    if smallest is not None:
        checks.append(BeforeValidator(functools.partial(_at_least, operator=smallest[0], bound=smallest[1])))
    if allowed is not None:
        checks.append(BeforeValidator(functools.partial(_check, literals=literals, allowed=allowed)))
        checks.append(WithJsonSchema(_json_schema(literals, allowed, smallest)))
    return Annotated[(Any, *checks)] if checks else Any


def _json_schema(
    literals: tuple[Any, ...], allowed: frozenset[type], smallest: tuple[str, float] | None
) -> dict[str, Any]:
    """What :func:`_check` admits, as a JSON Schema."""
    types = sorted({_SCHEMA_TYPES[item] for item in allowed} - ({"integer"} if float in allowed else set()))
    of_type: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if smallest is not None:
        of_type["exclusiveMinimum" if smallest[0] == ">" else "minimum"] = smallest[1]
    if not literals:
        return of_type
    return {"anyOf": [{"enum": list(literals)}, of_type]} if types else {"enum": list(literals)}


def _allowed(  # noqa: PLR0911 - one line per kind of annotation
    annotation: Any,
) -> tuple[tuple[Any, ...], frozenset[type] | None]:
    """Split an annotation into literal values and JSON types; (…, None) when anything may come."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _allowed(typing.get_args(annotation)[0])
    if origin is Literal:
        return typing.get_args(annotation), frozenset()
    if origin in (Union, types.UnionType):
        literals: tuple[Any, ...] = ()
        allowed: frozenset[type] = frozenset()
        for member in typing.get_args(annotation):
            inner_literals, inner = _allowed(member)
            if inner is None:
                if member is Any:
                    return (), None
                continue  # a class JSON cannot hold, such as Tensor
            literals, allowed = literals + inner_literals, allowed | inner
        return literals, allowed or (None if not literals else allowed)
    plain = origin or annotation
    if plain in (int, bool, str, type(None), list, dict):
        return (), frozenset({plain})
    if plain is float:
        return (), frozenset({int, float})
    if plain in (tuple, set, frozenset, Sequence, Iterable):
        return (), frozenset({list})
    if plain is Mapping:
        return (), frozenset({dict})
    return (), None


def _at_least(value: Any, *, operator: str, bound: float) -> Any:
    """Refuse a number below its bound; other types are not its business."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if value > bound or (operator == ">=" and value == bound):
        return value
    words = "more than" if operator == ">" else "at least"
    raise PydanticCustomError(
        "expected", "expected {words} {bound}, but got {got}", {"words": words, "bound": bound, "got": value}
    )


def _check(value: Any, *, literals: tuple[Any, ...], allowed: frozenset[type]) -> Any:
    """Refuse a value whose JSON type the annotation does not admit; bool is not int here."""
    if isinstance(value, str | int | float | bool) and any(
        value == item and type(value) is type(item) for item in literals
    ):
        return value
    kind = list if isinstance(value, tuple) else type(value)
    if kind is int and float not in allowed and abs(value) >= 2**63:
        raise PydanticCustomError(
            "expected", "expected an integer of at most 64 bits, but got {got}", {"got": describe(value)}
        )
    if kind in allowed:
        return value
    if kind is float and value.is_integer() and int in allowed:
        return _check(int(value), literals=literals, allowed=allowed)
    if kind not in _NAMES:  # an object handed over from Python, not JSON
        return value
    shown = [repr(item) for item in literals]
    names = {_NAMES[item] for item in allowed if not (item is int and float in allowed)}
    expected = " or ".join(shown + sorted(names))
    raise PydanticCustomError(
        "expected", "expected {expected}, but got {got}", {"expected": expected, "got": describe(value)}
    )
