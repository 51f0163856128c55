"""Components: everything that can be chosen by name is ``{"name": …, "config": {…}}``.

A field declared ``Annotated[Component, Of("net")]`` reads that object (in any of the spellings of the field's
other tools), looks the name up in the registry of its kind and validates the config with the model that
belongs to it, so that errors of nested components carry their full path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, core_schema

from nam_like.config.base import Config, describe
from nam_like.config.lines import Loc, line, refusal, relocated
from nam_like.config.signature import config_from_callable, given
from nam_like.config.source import read_callable
from nam_like.registry import Entry, Registry, UnknownNameError, did_you_mean, registry_of

__all__ = ["SPELLINGS", "Component", "Members", "Of", "Several", "component"]

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
        name_at: path of the name inside the object it was read from; empty for a bare string.
        config_at: path of the config inside that object; empty where its keys stood beside the name.
    """

    entry: Entry
    config: Any
    siblings: Any = None
    name_at: Loc = field(default=(), compare=False)
    config_at: Loc = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.entry.name

    def build(self, *args: Any, **context: Any) -> Any:
        """Make the object.

        Initializer functions get the raw dict; our own classes are built by their config model's ``build``
        from flat keyword arguments; other callables get the config as keyword arguments. `args` and `context`
        are what the run supplies itself (``params`` of an optimizer).
        """
        if self.entry.takes_dict:
            return self.entry.load()(dict(self.config), *args, **context)
        build = getattr(self.config, "build", None)
        if build is not None:
            return build(*args, **context)
        return self.entry.load()(*args, **given(self.config), **context)

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
        optional: null means that there is none.
    """

    kind: str
    siblings: type[Config] | None = None
    flat: bool = False
    default: str = ""
    optional: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate_optional if self.optional else self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(_canonical),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A placeholder that :mod:`nam_like.config.schema` expands into one branch per registered name."""
        siblings = self.siblings.model_json_schema() if self.siblings else {}
        return {
            "x-component": self.kind,
            "x-flat": self.flat,
            "x-default": self.default,
            "x-optional": self.optional,
            "x-siblings": siblings.get("properties", {}),
        }

    def _validate_optional(self, value: Any) -> Component | None:
        return None if value is None else self.validate(value)

    def validate(self, value: Any) -> Component:
        """Read one component in any spelling.

        Raises:
            ValidationError: two spellings at once, an unknown name or sibling, or a config its model refuses;
                every error of the object is reported, each at its own path.
        """
        if isinstance(value, Component):
            return value
        name, name_at, raw, config_at, siblings = self._split(value)
        registry = registry_of(self.kind)
        errors: list[InitErrorDetails] = []
        sibling_values = config = entry = None
        if self.siblings is not None:
            try:
                sibling_values = self.siblings.model_validate(siblings)
            except ValidationError as error:
                errors += relocated(error)
        try:
            entry = registry.find(name)
            config = _validated(entry, raw, registry)
        except UnknownNameError as error:
            errors.append(line(str(error), name_at, name, "unknown_name"))
        except ValidationError as error:
            errors += relocated(error, config_at)
        if errors or entry is None:
            raise ValidationError.from_exception_data(self.kind, errors)
        return Component(entry, config, sibling_values, name_at, config_at)

    def _split(self, value: Any) -> tuple[str, Loc, Any, Loc, dict[str, Any]]:
        """Take an object apart into (name, its path, raw config, its path, siblings)."""
        if isinstance(value, str):
            return value, (), {}, ("config",), {}
        if not isinstance(value, dict):
            shape = '{"name": …, "config": {…}}'
            raise refusal(
                f"expected {_article(self.kind)} {self.kind}: its name, or {shape}, but got {describe(value)}"
            )
        present = {key: item for key, item in value.items() if key == "_target_" or not key.startswith("_")}
        allowed_siblings = set(self.siblings.known_keys()) if self.siblings else set()
        siblings = {key: present.pop(key) for key in list(present) if key in allowed_siblings}
        named_by = [key for key in SPELLINGS if key in present]
        if not named_by:
            return self._unnamed(present, siblings)
        if len(named_by) > 1 and not (self.flat and "name" in named_by):
            keys = " and ".join(f"'{key}'" for key in named_by)
            raise refusal(
                f"expected one key that names the {self.kind}, but got both {keys}", (named_by[1],), value
            )
        key = named_by[0]
        name = present.pop(key)
        if not isinstance(name, str):
            raise refusal(f"expected a name, but got {describe(name)}", (key,), name)
        holders = [holder for holder in SPELLINGS[key] if holder in present]
        if len(holders) > 1:
            keys = ", ".join(f"'{holder}'" for holder in holders)
            raise refusal(f"expected one of the keys {keys}, but got them together", (holders[1],), value)
        if not holders and (self.flat or key == "_target_"):
            return name, (key,), present, (), siblings
        raw = present.pop(holders[0]) if holders else {}
        if present:
            allowed = sorted({key, *(holders or SPELLINGS[key][:1]), *allowed_siblings})
            raise ValidationError.from_exception_data(
                self.kind, [_unknown_sibling(other, present[other], allowed) for other in present]
            )
        config_at = (*holders, *SPELLINGS[key])[:1]
        return name, (key,), {} if raw is None else raw, config_at, siblings

    def _unnamed(
        self, present: dict[str, Any], siblings: dict[str, Any]
    ) -> tuple[str, Loc, Any, Loc, dict[str, Any]]:
        """As :meth:`_split`, for an object that names nothing."""
        if not self.default:
            hints = [did_you_mean(key, list(SPELLINGS)) for key in present]
            raise refusal(
                f"expected the {self.kind} to have a 'name', but got {describe(present)}"
                + next((hint for hint in hints if hint), "")
            )
        if set(present) == {"config"}:
            return self.default, (), present["config"], ("config",), siblings
        return self.default, (), present, (), siblings


class Members(list[Component]):
    """What :class:`Several` reads.

    Attributes:
        alone: the one member stood there without a list around it.
    """

    alone: bool = False


@dataclass(frozen=True)
class Several:
    """Annotation of a field that holds a list of components, or one alone.

    Args:
        of: what the components are.
        or_bool: ``true`` or ``false`` may stand there instead (``trainer.logger``).
    """

    of: Of
    or_bool: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: [_canonical(item) for item in value] if isinstance(value, list) else value
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one = self.of.__get_pydantic_json_schema__(schema, handler)
        options = [one, {"type": "array", "items": one}, *([{"type": "boolean"}] if self.or_bool else [])]
        return {"anyOf": [*options, {"type": "null"}]}

    def validate(self, value: Any) -> Members | bool | None:
        """Read a list of components; every member's errors are reported, each at its index.

        Raises:
            ValidationError: as :meth:`Of.validate`.
        """
        if value is None or (self.or_bool and isinstance(value, bool)):
            return value
        if not isinstance(value, list | tuple):
            one = Members([self.of.validate(value)])
            one.alone = True
            return one
        members, errors = Members(), []
        for index, item in enumerate(value):
            try:
                members.append(self.of.validate(item))
            except ValidationError as error:  # noqa: PERF203
                errors += relocated(error, (index,))
        if errors:
            raise ValidationError.from_exception_data(self.of.kind, errors)
        return members


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" or noun.startswith("lr") else "a"


def _canonical(value: Component | None) -> dict[str, Any] | None:
    return None if value is None else value.canonical()


def _unknown_sibling(key: str, value: Any, allowed: list[str]) -> InitErrorDetails:
    hint = did_you_mean(key, allowed)
    return line(
        f"expected only the keys {', '.join(allowed)}, but got '{key}'{hint}", (key,), value, "unknown_key"
    )


def _validated(entry: Entry, raw: Any, registry: Registry) -> Any:
    """Validate a raw config with the entry's model, or the one its signature gives."""
    if entry.takes_dict:
        if not isinstance(raw, dict):
            raise refusal(f"expected an object, but got {describe(raw)}", (), raw)
        return raw
    model: type[BaseModel] | None = entry.load_config()
    if model is None:
        target = read_callable(entry.target) if isinstance(entry.target, str) else None
        model = config_from_callable(
            target or entry.load(), registry.supplied, tuple(registry.bounds.items())
        )
    return model.model_validate(raw)


def component(kind: str, value: Any, *, siblings: type[Config] | None = None) -> Component:
    """Read one component outside of a config model, as plugins and tests do.

    Raises:
        pydantic.ValidationError: as :meth:`Of.validate`.
    """
    adapter: TypeAdapter[Component] = TypeAdapter(Annotated[Component, Of(kind, siblings)])
    return adapter.validate_python(value)
