"""Config models derived from the signature of a callable, for classes that are not ours.

``torch.optim.AdamW``, ``ReduceLROnPlateau``, ``DataLoader`` or ``Trainer`` come without a config model. The derived
model has one field per keyword argument, so that ``patince`` is caught before training, and checks what the
annotation says as far as JSON can express it. Values pass through unchanged: ``1`` and ``1.0`` mean different
things to ``val_check_interval``.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, ConfigDict, create_model
from pydantic_core import PydanticCustomError

from nam_like.config.base import Config, describe

__all__ = ["config_from_callable"]

_NAMES = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


@functools.lru_cache(maxsize=None)
def config_from_callable(target: Callable[..., Any], supplied: frozenset[str] = frozenset()) -> type[Config]:
    """Derive a config model from the keyword arguments of `target`.

    Args:
        target: a class or function.
        supplied: arguments the caller passes itself; they are left out of the model.

    Returns:
        A :class:`Config` subclass; it admits further keys only where `target` takes ``**kwargs``.
    """
    signature = inspect.signature(target)
    hints = _type_hints(target)
    fields: dict[str, Any] = {}
    open_ended = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY) or name in supplied:
            continue
        elif name == "self" or name.startswith("_"):
            continue
        else:
            annotation = hints.get(name, _from_default(parameter.default))
            required = parameter.default is parameter.empty
            fields[name] = (_json_type(annotation), ... if required else parameter.default)
    extra: Literal["allow", "forbid"] = "allow" if open_ended else "forbid"
    base = type(
        "SignatureConfig", (Config,), {"__module__": __name__, "model_config": ConfigDict(extra=extra)}
    )
    title = getattr(target, "__name__", type(target).__name__)
    return create_model(f"{title}Config", __base__=base, **fields)


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations, or none where they cannot be evaluated."""
    function = target.__init__ if isinstance(target, type) else target
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001, S110 - names missing at run time: the check is then by name only
        return {}


def _from_default(default: Any) -> Any:
    if isinstance(default, bool):
        return bool
    if isinstance(default, int | float):
        return float
    if isinstance(default, str):
        return str
    return Any


def _json_type(annotation: Any) -> Any:
    """The annotation as a check on a JSON value; ``Any`` where JSON cannot hold the type."""
    literals, allowed = _allowed(annotation)
    if allowed is None:
        return Any
    return Annotated[Any, BeforeValidator(functools.partial(_check, literals=literals, allowed=allowed))]


def _allowed(annotation: Any) -> tuple[tuple[Any, ...], frozenset[type] | None]:
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


def _check(value: Any, *, literals: tuple[Any, ...], allowed: frozenset[type]) -> Any:
    """Refuse a value whose JSON type the annotation does not admit; bool is not int here."""
    if isinstance(value, str | int | float | bool) and any(
        value == item and type(value) is type(item) for item in literals
    ):
        return value
    kind = list if isinstance(value, tuple) else type(value)
    if kind in allowed:
        return value
    if kind is float and value.is_integer() and int in allowed:
        return int(value)
    if kind not in _NAMES:  # an object handed over from Python, not JSON
        return value
    shown = [repr(item) for item in literals]
    names = {_NAMES[item] for item in allowed if not (item is int and float in allowed)}
    expected = " or ".join(shown + sorted(names))
    raise PydanticCustomError(
        "expected", "expected {expected}, but got {got}", {"expected": expected, "got": describe(value)}
    )
