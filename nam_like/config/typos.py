"""Misspelt keys and names, found with the shipped JSON Schemas: without PyTorch, whose import takes seconds.

Only what is certain is told: a key that is not known where no other may stand, or a name that is none of the
known ones, and only where it resembles one that is. Everything else is left to the config models.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nam_like.config.locate import Loc
from nam_like.errors import UserError
from nam_like.presets import schema_file
from nam_like.registry import did_you_mean, kinds, registry_of

__all__ = ["PINNED", "is_due", "schema_of", "typos"]

#: The libraries whose signatures the schemas repeat; with other versions than these they do not count.
PINNED = ("torch", "pytorch_lightning", "pydantic")

#: path, message, whether the path names an unknown key
Finding = tuple[Loc, str, bool]
Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def is_due() -> bool:
    """Whether looking saves time: PyTorch is not imported yet, and nobody has registered anything else."""
    return "torch" not in sys.modules and all(
        entry.owner == "nam_like" for kind in kinds() for entry in registry_of(kind).entries()
    )


def schema_of(kind: str) -> Schema | None:
    """The shipped schema of a file; None where it is missing or was made with other libraries.

    Args:
        kind: ``data``, ``model`` or ``learning``.
    """
    try:
        schema: Schema = json.loads(schema_file(kind).read_text(encoding="utf-8"))
        made_with = f"generated with {', '.join(f'{name} {version(name)}' for name in PINNED)}"
    except (UserError, OSError, ValueError, PackageNotFoundError):
        return None
    return schema if schema.get("$comment") == made_with else None


def typos(value: Any, schema: Schema) -> list[Finding]:
    """The misspelt keys and names in what a file holds.

    Args:
        value: of the file.
        schema: of :func:`schema_of`.
    """
    return list(dict.fromkeys(_Walk(schema).typos(value, schema, ())))


class _Walk:
    """Goes through a value and its schema side by side."""

    def __init__(self, root: Schema) -> None:
        self.root = root

    def resolved(self, schema: Any) -> Any:
        """The definition that a reference names, or the schema itself."""
        if isinstance(schema, dict) and "$ref" in schema:
            return self.resolved(self.root["$defs"][schema["$ref"].removeprefix("#/$defs/")])
        return schema

    def typos(self, value: Any, schema: Any, at: Loc) -> Iterator[Finding]:
        """What is misspelt in `value`, which stands at `at`."""
        schema = self.resolved(schema)
        if not isinstance(schema, dict):
            return
        if "if" in schema:
            branch = "then" if self.fits(value, schema["if"]) else "else"
            yield from self.typos(value, schema.get(branch), at)
        for part in schema.get("allOf", ()):
            yield from self.typos(value, part, at)
        yield from self._of_options(value, schema.get("anyOf", ()), at)
        if isinstance(value, dict):
            yield from self._of_members(value, schema, at)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.typos(item, schema.get("items"), (*at, index))

    def _of_options(self, value: Any, options: Any, at: Loc) -> Iterator[Finding]:
        """Where one of several schemas must fit: what is misspelt by the one that finds the least."""
        options = [self.resolved(option) for option in options]
        open_to = [option for option in options if self.fits(value, option)]
        if open_to:
            yield from min((list(self.typos(value, option, at)) for option in open_to), key=len)
        elif isinstance(value, str):
            known = [name for option in options for name in option.get("enum", ()) if isinstance(name, str)]
            hint = did_you_mean(value, known)
            if hint:
                yield at, f"expected a known name, but got '{value}'{hint}", False

    def _of_members(self, value: dict[str, Any], schema: Schema, at: Loc) -> Iterator[Finding]:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for key, item in value.items():
            if key in properties:
                yield from self.typos(item, properties[key], (*at, key))
            elif any(re.search(pattern, key) for pattern in schema.get("patternProperties", {})):
                continue
            elif others is not False:
                yield from self.typos(item, others, (*at, key))
            else:
                hint = did_you_mean(key, list(properties))
                if hint:
                    yield (*at, key), f"expected a known key, but got '{key}'{hint}", True

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether a value is of the kind that a schema describes; keys of an object are not looked at."""
        schema = self.resolved(schema)
        if not isinstance(schema, dict):
            return schema is not False
        return (
            _has_type(value, schema.get("type"))
            and value == schema.get("const", value)
            and value in schema.get("enum", [value])
            and not (isinstance(value, str) and re.search(schema.get("pattern", ""), value) is None)
            and not (isinstance(value, dict) and not self._has_members(value, schema))
            and not ("not" in schema and self.fits(value, schema["not"]))
            and any(self.fits(value, option) for option in schema.get("anyOf", [True]))
        )

    def _has_members(self, value: dict[str, Any], schema: Schema) -> bool:
        constants = {
            key: item
            for key, item in schema.get("properties", {}).items()
            if isinstance(item, dict) and {"const", "enum", "not"} & item.keys()
        }
        return all(key in value for key in schema.get("required", ())) and all(
            self.fits(value[key], item) for key, item in constants.items() if key in value
        )


def _has_type(value: Any, wanted: str | list[str] | None) -> bool:
    """Whether a value is of a JSON type, or of one of several; True where none is named."""
    if wanted is None:
        return True
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return any(
        isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    )
