"""Show the options of a component with their defaults, or the files of a preset."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nam_like.cli.console import DONE, table

if TYPE_CHECKING:
    from pydantic import BaseModel

EXAMPLES = """examples:
  nam_like show net LSTM
  nam_like show optimizer AdamW
  nam_like show dataset paired --json
  nam_like show amp/wavenet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", help="net, dataset, hook, loss, …; or the name of a preset")
    parser.add_argument(
        "name", nargs="?", help="the component, as `nam_like list` shows it, or an import path"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-extensions", action="store_true", help="do not load extensions first")


def run(arguments: argparse.Namespace) -> int:
    """Print one component or one preset."""
    if arguments.name is None:
        return _show_preset(arguments.kind)
    from nam_like import extensions
    from nam_like.cli.fields import model_of, nested_models, options_of
    from nam_like.registry import registry_of

    registry = registry_of(arguments.kind)
    if not arguments.no_extensions:
        extensions.load_extensions()
    entry = registry.find(arguments.name)
    model = model_of(entry, registry)
    tables = (
        {} if model is None else {"": model, **{_title(nested): nested for nested in nested_models(model)}}
    )
    if arguments.json:
        shown: dict[str, Any] = {
            title: [vars(row) for row in options_of(item)] for title, item in tables.items()
        }
        head = {key: getattr(entry, key) for key in ("kind", "name", "family", "summary", "owner")}
        print(
            json.dumps({**head, "options": shown.pop("", []), "objects": shown}, indent=2, ensure_ascii=False)
        )
        return DONE
    family = f" ({entry.family})" if entry.family else ""
    print(f"{entry.kind} {entry.name}{family}: {entry.summary or 'no summary'}")
    print(f"  {entry.target_path}, registered by {entry.owner}")
    if model is None:
        print("  takes its config as a plain object; see its source")
    for title, item in tables.items():
        print(f"\n{title or 'config'}")
        rows = [(row.name, row.takes, row.default, row.description) for row in options_of(item)]
        print(table(rows) if rows else "  no options")
    return DONE


def _title(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Config")


def _show_preset(name: str) -> int:
    from nam_like.presets import KINDS, find_preset

    preset = find_preset(name)
    for kind in KINDS:
        path = getattr(preset, kind)
        print(f"// {kind}.json, from {path.parent.name}/{path.name}\n{path.read_text(encoding='utf-8')}")
    return DONE
