"""The options of a config model as rows for people: name, what it takes, default, meaning."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nam_like.config.component import Component, Of, Several
from nam_like.config.labelled import Labelled
from nam_like.config.signature import Arguments, config_from_callable
from nam_like.registry import Entry, Registry

__all__ = ["Option", "model_of", "nested_models", "options_of"]

_PLAIN: dict[Any, str] = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "string",
    type(None): "null",
}


@dataclass(frozen=True)
class Option:
    """One key of a config object.

    Attributes:
        name: the key as it is written in the JSON.
        takes: what its value may be.
        default: as JSON; "required" where there is none.
        description: with units.
    """

    name: str
    takes: str
    default: str
    description: str


def model_of(entry: Entry, registry: Registry) -> type[BaseModel] | None:
    """The config model of an entry, derived where it has none; None for initializers that take a raw dict."""
    if entry.takes_dict:
        return None
    model: type[BaseModel] | None = entry.load_config()
    return model or config_from_callable(entry.load(), registry.supplied, tuple(registry.bounds.items()))


def options_of(model: type[BaseModel]) -> list[Option]:
    """The keys of a config model, in its own order; keys that only we set are left out."""
    shapes = _derived_shapes(model)
    return [
        Option(
            _key(name, field), _field_takes(field, shapes.get(name)), _default(field), field.description or ""
        )
        for name, field in model.model_fields.items()
        if not field.exclude
    ]


def _derived_shapes(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schemas of the fields that were derived from a signature, whose annotation says nothing."""
    if all(field.annotation is not Any for field in model.model_fields.values()):
        return {}
    properties = model.model_json_schema().get("properties", {})
    return {
        name: properties.get(name) for name, field in model.model_fields.items() if field.annotation is Any
    }


def nested_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Config models that occur in the fields of `model`, each once, depth first."""
    seen: list[type[BaseModel]] = []

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in seen:
                seen.append(annotation)
                for field in annotation.model_fields.values():
                    visit(field.annotation)
        else:
            for argument in typing.get_args(annotation):
                visit(argument)

    for field in model.model_fields.values():
        visit(field.annotation)
    return iter(seen)


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    try:
        value = field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return "see below"


def _field_takes(field: FieldInfo, shape: Any = None) -> str:
    if shape:
        return _schema_takes(shape)
    limits = [text for item in field.metadata for text in _limits(item)]
    arguments = next((item for item in field.metadata if isinstance(item, Arguments)), None)
    if arguments:
        return f"arguments of {arguments.target.replace(':', '.')}"
    several = next((item for item in field.metadata if isinstance(item, Several)), None)
    labelled = next((item for item in field.metadata if isinstance(item, Labelled)), None)
    many = several or labelled
    marked = many.of if many else next((item for item in field.metadata if isinstance(item, Of)), None)
    base = _component(marked) if marked else _takes(field.annotation)
    prefix = "list of " if several else "list or labels of " if labelled else ""
    null = " or null" if marked and type(None) in typing.get_args(field.annotation) else ""
    text = " ".join([prefix + base, ", ".join(limits)]).strip() + null
    if limits and " or null" in base:  # the limits are those of the number, not of null
        text = f"{base.replace(' or null', '')}, {', '.join(limits)} or null"
    return text


def _schema_takes(shape: dict[str, Any]) -> str:
    """What a JSON Schema of one value admits, in words."""
    words = {
        "integer": "integer",
        "number": "number",
        "boolean": "true or false",
        "string": "string",
        "null": "null",
        "array": "list",
        "object": "object",
    }
    if "x-component" in shape:
        return f"component: {shape['x-component']}"
    kinds = shape.get("type", [])
    parts = [words.get(kind, str(kind)) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    parts += [json.dumps(value) for value in shape.get("enum", [])]
    parts += [_schema_takes(branch) for branch in shape.get("anyOf", [])]
    return " or ".join(dict.fromkeys(parts)) or "any value"


def _limits(item: Any) -> list[str]:
    words = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f"{sign} {getattr(item, key)}" for key, sign in words.items() if getattr(item, key, None) is not None
    ]
    inner = getattr(item, "metadata", None)
    return found + [text for part in inner or () for text in _limits(part)]


def _component(of: Of) -> str:
    return f"component: {of.kind}"


def _takes(annotation: Any) -> str:
    """What a value of this annotation may be, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is not None:
        return _composite(annotation, origin, arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"object: {annotation.__name__.removesuffix('Config')}"
    return "component" if annotation is Component else _PLAIN.get(annotation, "any value")


def _composite(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is Annotated:
        marked = next((item for item in arguments[1:] if isinstance(item, Of)), None)
        limits = ", ".join(text for item in arguments[1:] for text in _limits(item))
        return _component(marked) if marked else f"{_takes(arguments[0])} {limits}".strip()
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_takes(argument) for argument in arguments))
    return _container(origin, arguments)


def _container(origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is dict:
        return f"object of {_takes(arguments[1])}" if arguments else "object"
    members = dict.fromkeys(_takes(argument) for argument in arguments if argument is not Ellipsis)
    return f"list of {' and '.join(members)}" if members else "list"
