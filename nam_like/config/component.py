"""Components: everything that can be chosen by name is ``{"name": …, "config": {…}}``.

A field declared ``Annotated[Component, Of("net")]`` reads that object (in any of the spellings of the field's other
tools), looks the name up in the registry of its kind and validates the config with the model that belongs to it, so
that errors of nested components carry their full path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from nam_like.config.base import Config, describe
from nam_like.config.signature import config_from_callable
from nam_like.registry import Entry, UnknownNameError, registry_of

__all__ = ["Component", "Of", "component"]

#: key that names the component → key that holds its config, in order of precedence
SPELLINGS = {
    "name": ("config", "kwargs", "args"),
    "class": ("kwargs",),
    "path": ("args",),
    "type": ("config",),
    "class_path": ("init_args",),
    "_target_": (),
}


@dataclass(frozen=True)
class Component:
    """A named component and its validated config.

    Attributes:
        entry: the registry entry.
        config: the validated config model; a plain dict for entries that take a raw dict.
        siblings: validated keys beside name and config (a loss's ``weight``), or None.
    """

    entry: Entry
    config: Any
    siblings: Any = None

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.entry.name

    def build(self, *args: Any, **context: Any) -> Any:
        """Make the object.

        Initializer functions get the raw dict; our own classes are built by their config model's ``build`` from flat
        keyword arguments; other callables get the config as keyword arguments. `args` and `context` are what the run
        supplies itself (``params`` of an optimizer).
        """
        if self.entry.takes_dict:
            return self.entry.load()(dict(self.config), *args, **context)
        build = getattr(self.config, "build", None)
        if build is not None:
            return build(*args, **context)
        given = {name: getattr(self.config, name) for name in self.config.model_fields_set}
        return self.entry.load()(*args, **given, **context)

    def canonical(self) -> dict[str, Any]:
        """The component as it is written into the run folder: ``{"name", "config", …siblings}``."""
        config = (
            dict(self.config)
            if isinstance(self.config, dict)
            else self.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        )
        siblings = (
            self.siblings.model_dump(mode="json", exclude_unset=True) if self.siblings is not None else {}
        )
        return {"name": self.name, "config": config, **siblings}


@dataclass(frozen=True)
class Of:
    """Annotation of a :class:`Component` field: which registry it comes from, and how it may be spelt.

    Args:
        kind: the registry's kind.
        siblings: model of the keys allowed beside name and config.
        flat: config keys may stand beside the name (``{"name": "LeakyReLU", "negative_slope": 0.2}``).
        default: the name used when the object names none (``{"lr": 0.004}`` is Adam).
    """

    kind: str
    siblings: type[Config] | None = None
    flat: bool = False
    default: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(Component.canonical),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A placeholder that :mod:`nam_like.config.schema` expands into one branch per registered name."""
        siblings = self.siblings.model_json_schema()["properties"] if self.siblings else {}
        return {
            "type": "object",
            "x-component": self.kind,
            "x-flat": self.flat,
            "x-default": self.default,
            "x-siblings": siblings,
        }

    def validate(self, value: Any) -> Component:
        """Read one component in any spelling.

        Raises:
            ValidationError: two spellings at once, an unknown name or sibling, or a config its model refuses; every
                error of the object is reported, each at its own path.
        """
        if isinstance(value, Component):
            return value
        name, name_at, raw, config_at, siblings = self._split(value)
        errors: list[InitErrorDetails] = []
        sibling_values = None
        if self.siblings is not None:
            try:
                sibling_values = self.siblings.model_validate(siblings)
            except ValidationError as error:
                errors += _relocated(error, ())
        try:
            entry = registry_of(self.kind).find(name)
        except UnknownNameError as error:
            errors.append(_custom("unknown_name", str(error), name_at, name))
            raise ValidationError.from_exception_data(self.kind, errors) from None
        try:
            config = _validated(entry, raw, registry_of(self.kind).supplied)
        except ValidationError as error:
            errors += _relocated(error, config_at)
        if errors:
            raise ValidationError.from_exception_data(self.kind, errors)
        return Component(entry, config, sibling_values)

    def _split(self, value: Any) -> tuple[str, tuple[str, ...], Any, tuple[str, ...], dict[str, Any]]:
        """Take an object apart into (name, its path, raw config, its path, siblings)."""
        if isinstance(value, str):
            return value, (), {}, (), {}
        if not isinstance(value, dict):
            raise PydanticCustomError(
                "expected",
                'expected a {kind}: its name, or {"name": …, "config": {…}}, but got {got}',
                {"kind": self.kind, "got": describe(value)},
            )
        present = {key: item for key, item in value.items() if key == "_target_" or not key.startswith("_")}
        sibling_names = set(self.siblings.model_fields) if self.siblings else set()
        siblings = {key: present.pop(key) for key in list(present) if key in sibling_names}
        named_by = [key for key in SPELLINGS if key in present]
        if not named_by:
            if self.default:
                config = present.pop("config", None) if set(present) == {"config"} else present
                return self.default, (), config, () if config is present else ("config",), siblings
            raise PydanticCustomError(
                "missing_name",
                "expected the {kind} to have a 'name', but got {got}",
                {"kind": self.kind, "got": describe(value)},
            )
        if len(named_by) > 1:
            raise PydanticCustomError(
                "two_spellings",
                "expected one key that names the {kind}, but got both {keys}",
                {"kind": self.kind, "keys": " and ".join(f"'{key}'" for key in named_by)},
            )
        key = named_by[0]
        name = present.pop(key)
        if not isinstance(name, str):
            error = _custom("expected", f"expected a name, but got {describe(name)}", (key,), name)
            raise ValidationError.from_exception_data(self.kind, [error])
        holders = [holder for holder in SPELLINGS[key] if holder in present]
        if len(holders) > 1:
            raise PydanticCustomError(
                "two_spellings",
                "expected one of the keys {keys}, but got them together",
                {"keys": " and ".join(f"'{holder}'" for holder in holders)},
            )
        if not holders and (self.flat or key == "_target_"):
            return name, (key,), present, (), siblings
        raw = present.pop(holders[0]) if holders else {}
        if present:
            allowed = sorted({key, *(holders or SPELLINGS[key][:1]), *sibling_names})
            errors = [
                _custom(
                    "extra_sibling",
                    f"expected only {', '.join(allowed)} beside it, but got the key '{other}'",
                    (other,),
                    present[other],
                )
                for other in present
            ]
            raise ValidationError.from_exception_data(self.kind, errors)
        return name, (key,), {} if raw is None else raw, (holders[0],) if holders else (), siblings


def _validated(entry: Entry, raw: Any, supplied: frozenset[str]) -> Any:
    """Validate a raw config with the entry's model, or the one its signature gives."""
    if entry.takes_dict:
        if not isinstance(raw, dict):
            error = _custom("expected", f"expected an object, but got {describe(raw)}", (), raw)
            raise ValidationError.from_exception_data(entry.name, [error])
        return raw
    model: type[BaseModel] = entry.load_config() or config_from_callable(entry.load(), supplied)
    return model.model_validate(raw)


def _custom(kind: str, message: str, loc: tuple[str | int, ...], value: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, "{text}", {"text": message}), loc=loc, input=value)  # type: ignore[arg-type]


def _relocated(error: ValidationError, prefix: tuple[str, ...]) -> list[InitErrorDetails]:
    """The line errors of `error` with `prefix` before their paths."""
    moved = []
    for line in error.errors(include_url=False):
        context = line.get("ctx", {})
        message = line["msg"]
        kind: Any = line["type"]
        if kind not in _BUILTIN_TYPES:
            kind = PydanticCustomError(kind, "{text}", {**context, "text": message})  # type: ignore[arg-type]
        moved.append(
            InitErrorDetails(type=kind, loc=(*prefix, *line["loc"]), input=line["input"], ctx=context)
        )
    return moved


_BUILTIN_TYPES = frozenset(get_args(core_schema.ErrorType))


def component(kind: str, value: Any) -> Component:
    """Read one component outside of a config model, as plugins and tests do.

    Raises:
        pydantic.ValidationError: as :meth:`Of.validate`.
    """
    return Of(kind).validate(value)
