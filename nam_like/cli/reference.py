"""The reference of all options (docs/config-reference.md), made from the config models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from pydantic import BaseModel

from nam_like.cli.fields import Option, model_of, nested_models, options_of
from nam_like.config.base import Config
from nam_like.registry import Entry, kinds, registry_of

__all__ = ["reference"]

_INTRODUCTION = """\
# Config reference

Every key of the three files and every option of every built-in component, made with
`nam_like schema --markdown` from the models that check them.

A component is written `{"name": …, "config": {…}}`; the tables list its config. `required` means that there
is no default. Keys that begin with `_` are notes and may stand anywhere.

Components of torch and Lightning take the arguments of their class (`nam_like show optimizer AdamW`).
"""


def reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_files(), *_components()]).rstrip() + "\n"


def _files() -> Iterator[str]:
    from nam_like.config.data import DataConfig
    from nam_like.config.learning import LearningConfig
    from nam_like.config.loss import FlatLoss
    from nam_like.config.model import ModelConfig

    seen: set[type[BaseModel]] = {Config}
    for file, model in (
        ("data.json", DataConfig),
        ("model.json", ModelConfig),
        ("learning.json", LearningConfig),
    ):
        yield f"## {file}\n\n{_described(model)}\n"
        yield from _model(model, seen)
        if file == "model.json":
            yield f"### loss, flat keys\n\n{_described(FlatLoss)}\n"
            yield from _model(FlatLoss, seen)


def _components() -> Iterator[str]:
    for kind in kinds():
        registry = registry_of(kind)
        entries = [entry for entry in registry.entries() if entry.owner == "nam_like"]
        if not entries:
            continue
        yield f"## {kind}\n"
        if registry.namespaces:
            yield f"Any class of `{'`, `'.join(registry.namespaces)}` may be named bare.\n"
        seen: set[type[BaseModel]] = set()
        for entry in entries:
            yield _heading(entry)
            if entry.config is not None:
                model = model_of(entry, registry)
                yield from _model(model, seen) if model else ()


def _heading(entry: Entry) -> str:
    family = f" ({entry.family})" if entry.family else ""
    return f"### {entry.name}{family}\n\n{entry.summary or 'See its own documentation'}.\n"


def _model(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """The table of a model and of the objects inside it, each object once per section."""
    yield _table(options_of(model))
    for nested in nested_models(model):
        if nested not in seen:
            seen.add(nested)
            yield f"#### {nested.__name__.removesuffix('Config')}\n\n{_described(nested)}\n"
            yield _table(options_of(nested))


def _described(model: type[BaseModel]) -> str:
    """The docstring of a model, in the Markdown of this page."""
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def _table(options: list[Option]) -> str:
    if not options:
        return "No options.\n"
    rows = [
        " | ".join(
            [
                "",
                f"`{option.name}`",
                _cell(option.takes),
                _default(option.default),
                _cell(option.description),
                "",
            ]
        ).strip()
        for option in options
    ]
    return "\n".join(["| key | takes | default | meaning |", "|---|---|---|---|", *rows, ""])


def _default(text: str) -> str:
    return text if text in ("required", "see below") else f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
