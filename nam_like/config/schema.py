"""JSON Schemas of the three files, from the same models that read them, for completion and checks in editors.

They describe the canonical spelling closely and let the other spellings of a component pass.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nam_like.config.component import SPELLINGS
from nam_like.config.data import DataConfig
from nam_like.config.learning import LearningConfig
from nam_like.config.loss import FlatLoss
from nam_like.config.model import ModelConfig
from nam_like.config.signature import config_from_callable
from nam_like.errors import UserError
from nam_like.registry import Entry, Registry, registry_of

__all__ = ["generated_with", "schema_text", "schemas", "write_schemas"]

_DIALECT = "http://json-schema.org/draft-07/schema#"
#: What a value elsewhere may stand for.
_REFERABLE = {"integer", "number", "boolean", "array"}
_REFERENCE = r"^\$\{.+\}$"
_NOTES = {"^_": True}
_ELSEWHERE = [key for key in SPELLINGS if key != "name"]

Schema = dict[str, Any]


def schemas(*, extensions: bool = False) -> dict[str, Schema]:
    """The schemas by file: ``data``, ``model``, ``learning``. Imports what the components need.

    Args:
        extensions: also describe what extensions have registered.
    """
    return {
        "data": _Builder("data.json", extensions).file(DataConfig, _data),
        "model": _Builder("model.json", extensions).file(ModelConfig, _model),
        "learning": _Builder("learning.json", extensions).file(LearningConfig, _learning),
    }


def generated_with() -> list[str]:
    """The libraries whose signatures and schemas the files repeat, with their versions."""
    return [f"{library} {version(library)}" for library in ("torch", "pytorch_lightning", "pydantic")]


def schema_text(schema: Schema) -> str:
    """A schema as it is written to ``configs/schema/``."""
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write ``{data,model,learning}.schema.json`` into `folder` and return their paths."""
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        path.write_text(schema_text(schema), encoding="utf-8")
        paths.append(path)
    return paths


def _or_reference(node: Any) -> Any:
    """Let ``"${model.…}"``, which stands for a value elsewhere, stand where a number, boolean or list may."""
    if isinstance(node, list):
        return [_or_reference(item) for item in node]
    if not isinstance(node, dict):
        return node
    walked = {key: _or_reference(item) for key, item in node.items()}
    kinds = node.get("type")
    listed = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(listed, list) and _REFERABLE & set(listed) and "string" not in listed:
        walked |= {"type": [*listed, "string"], "pattern": _REFERENCE}
    return walked


class _Builder:
    """Collects the definitions of one file."""

    def __init__(self, title: str, extensions: bool) -> None:
        self.title = title
        self.extensions = extensions
        self.definitions: dict[str, Schema] = {}

    def file(self, model: type[BaseModel], finish: Any) -> Schema:
        """The whole schema of one file."""
        schema = self.expand(model)
        finish(schema, self)
        whole = {**schema, "$defs": dict(sorted(self.definitions.items()))}
        return {
            "$schema": _DIALECT,
            "$comment": f"generated with {', '.join(generated_with())}",
            "title": self.title,
            **_or_reference(self.flatten(whole)),
        }

    def flatten(self, node: Any) -> Any:
        """Replace the marks that :func:`_flattened` left, now that every definition is there."""
        if isinstance(node, list):
            return [self.flatten(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "x-flattened" not in node:
            return {key: self.flatten(item) for key, item in node.items()}
        config = self.flatten(self.resolved(node["x-flattened"]))
        return {**config, "properties": {**config.get("properties", {}), **node["x-beside"]}}

    def expand(self, model: type[BaseModel]) -> Schema:
        """The schema of a model with its own definitions taken in and its components expanded."""
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        return self.take_in(schema)

    def take_in(self, schema: Schema) -> Schema:
        """Move the definitions of a schema to the file's, then walk it."""
        for name, definition in schema.pop("$defs", {}).items():
            if name not in self.definitions:
                self.definitions[name] = {}
                self.definitions[name] = self.walk(definition)
        walked: Schema = self.walk(schema)
        return walked

    def walk(self, node: Any) -> Any:
        """Expand component placeholders, allow notes wherever further keys are forbidden, drop titles."""
        if isinstance(node, list):
            return [self.walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$defs" in node:
            return self.take_in(dict(node))
        if "x-component" in node:
            extra = {key: item for key, item in node.items() if not key.startswith("x-")}
            return {**self.component(node), **extra}
        walked = {
            key: {name: self.walk(item) for name, item in value.items()}
            if key in ("properties", "patternProperties")
            else self.walk(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
        if walked.get("additionalProperties") is False:
            walked["patternProperties"] = {**walked.get("patternProperties", {}), **_NOTES}
        return walked

    def component(self, node: Schema) -> Schema:
        """A reference to the definition of one kind of component, made when first asked for."""
        kind = node["x-component"]
        spelling = "".join([".flat" * node["x-flat"], f".{node['x-default']}" if node["x-default"] else ""])
        name = f"component.{kind}{spelling}" + "".join(f".{key}" for key in sorted(node["x-siblings"]))
        if name not in self.definitions:
            self.definitions[name] = {}  # a net may hold nets
            self.definitions[name] = self.one_of_kind(node)
        reference = {"$ref": f"#/$defs/{name}"}
        return {"anyOf": [reference, {"type": "null"}]} if node.get("x-optional") else reference

    def one_of_kind(self, node: Schema) -> Schema:
        """``name`` among the registered ones, and for each the schema of its config."""
        registry = registry_of(node["x-component"])
        flat, default = node["x-flat"], node["x-default"]
        configs = {entry.name: self.config(entry, registry) for entry in self.entries(registry)}
        siblings = self.walk({"properties": node["x-siblings"]})["properties"]
        named: Schema = {
            "properties": {"name": self.names(registry), "config": {"type": ["object", "null"]}, **siblings},
            "allOf": [_branch(name, config, flat, siblings) for name, config in configs.items()],
        }
        if not flat:
            named |= {"additionalProperties": False, "patternProperties": _NOTES}
        if default:
            missing: Schema = _flattened(configs[default], siblings)
        else:
            missing = {"anyOf": [{"required": [key]} for key in _ELSEWHERE]}
        return {
            "description": f"a {registry.kind}: its name, or name and config",
            "type": ["string", "object"],
            "if": {"type": "object"},
            "then": {
                "if": {"required": ["name"]},
                "then": named,
                "else": {"anyOf": [missing, {"anyOf": [{"required": [key]} for key in _ELSEWHERE]}]}
                if default
                else missing,
            },
            "else": self.names(registry),
        }

    def entries(self, registry: Registry) -> list[Entry]:
        """The components of one kind that the file describes."""
        return [entry for entry in registry.entries() if self.extensions or entry.owner == "nam_like"]

    def names(self, registry: Registry) -> Schema:
        """What may name a component: a registered name, an import path, or a bare name of a namespace."""
        known = [entry.name for entry in self.entries(registry)]
        options: list[Schema] = [{"enum": known}, {"type": "string", "pattern": "[.:]"}]
        if registry.namespaces:
            options.append({"type": "string"})
        return {"anyOf": options}

    def config(self, entry: Entry, registry: Registry) -> Schema:
        """The schema of one component's config; anything where its library is not installed."""
        key = f"config.{entry.kind}.{entry.name}"
        if key not in self.definitions:
            self.definitions[key] = {}
            try:
                model = entry.load_config()
                if model is None and not entry.takes_dict:
                    model = config_from_callable(
                        entry.load(), registry.supplied, tuple(registry.bounds.items())
                    )
            except (UserError, ImportError):
                model = None
            self.definitions[key] = self.expand(model) if model is not None else {"type": "object"}
        return {"$ref": f"#/$defs/{key}"}

    def resolved(self, reference: Schema) -> Schema:
        """The definition behind a reference to ``#/$defs/…``."""
        return self.definitions[reference["$ref"].removeprefix("#/$defs/")]


def _branch(name: str, config: Schema, flat: bool, siblings: Schema) -> Schema:
    """``if name is … then config is …``; without `required` a missing name would match."""
    nested: Schema = {"properties": {"config": config}}
    if flat:
        nested = {
            "if": {"anyOf": [{"required": [holder]} for holder in SPELLINGS["name"]]},
            "then": nested,
            "else": _flattened(config, {**siblings, "name": True}),
        }
    return {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": nested}


def _flattened(config: Schema, siblings: Schema) -> Schema:
    """The config's keys beside others: a reference alone would forbid those."""
    return {"x-flattened": config, "x-beside": siblings}


def _data(schema: Schema, builder: _Builder) -> None:
    """Datasets stand flat: the keys of all registered kinds; none is required, ``common`` may hold it."""
    registry = registry_of("dataset")
    fields: dict[str, Schema] = {}
    for entry in builder.entries(registry):
        definition = builder.resolved(builder.config(entry, registry))
        for key, field in definition.get("properties", {}).items():
            same = fields.get(key) in (None, field)
            fields[key] = field if same else {"anyOf": [fields[key], field]}
    known = {"enum": [entry.name for entry in builder.entries(registry)]}
    flat: Schema = {
        "if": {
            "anyOf": [
                {"required": [key], "properties": {key: {"not": known}}}
                for key in ("type", "name", "_target_")
            ]
            + [{"required": ["config"]}]
        },
        "then": True,
        "else": {
            "properties": {**fields, "type": builder.names(registry), "name": builder.names(registry)},
            "additionalProperties": False,
            "patternProperties": _NOTES,
        },
        "type": "object",
    }
    builder.definitions["dataset"] = flat
    one = {"$ref": "#/$defs/dataset"}
    properties = schema["properties"]
    for split in ("train", "validation"):
        properties[split] = {
            "description": properties[split]["description"],
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
        }
        del properties[f"{split}_is_list"]
    properties["common"] = {**one, "description": "keys of every dataset of the file"}
    properties["type"] = {
        **builder.names(registry),
        "description": "kind of every dataset, paired unless given",
    }


def _model(schema: Schema, builder: _Builder) -> None:
    """A loss is terms, or one component, or flat keys."""
    flat = builder.expand(FlatLoss)
    term = flat["properties"]["custom_losses"]["additionalProperties"]
    builder.definitions["LossConfig"] = {
        "if": {"type": "object", "required": ["terms"]},
        "then": builder.definitions["LossConfig"],
        "else": {
            "if": {"type": "object", "not": {"anyOf": [{"required": [key]} for key in SPELLINGS]}},
            "then": flat,
            "else": {"if": {"type": "string"}, "then": term},
        },
    }


def _learning(schema: Schema, builder: _Builder) -> None:
    """The models of this file say all there is to say."""
