"""List every component that a JSON can name, with its family and who provides it. Needs no PyTorch."""

from __future__ import annotations

import argparse
import json

from nam_like.cli.console import DONE, table

EXAMPLES = """examples:
  nam_like list                 everything
  nam_like list net             one kind
  nam_like list presets         what `nam_like init` can write"""

PRESETS = "presets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", nargs="?", help="net, dataset, hook, loss, …, or presets (default: all)")
    parser.add_argument("--family", help="only components of this family, such as amp")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-extensions", action="store_true", help="list what is built in only")


def run(arguments: argparse.Namespace) -> int:
    """Print the registries; extensions add theirs first."""
    from nam_like import extensions, presets
    from nam_like.registry import kinds, registry_of

    found = [] if arguments.no_extensions else extensions.load_extensions()
    if arguments.kind == PRESETS:
        chosen = {}
    else:
        wanted = [arguments.kind.removesuffix("s")] if arguments.kind in _plurals() else [arguments.kind]
        chosen = {kind: registry_of(kind) for kind in (wanted if arguments.kind else kinds())}
    listing = {
        kind: [
            {"name": entry.name, "family": entry.family, "summary": entry.summary, "owner": entry.owner}
            for entry in registry.entries()
            if not arguments.family or entry.family == arguments.family
        ]
        for kind, registry in chosen.items()
    }
    shown_presets = (
        {name: presets.find_preset(name).summary for name in presets.preset_names()}
        if arguments.kind in (None, PRESETS)
        else {}
    )
    if arguments.json:
        extension_list = [{"source": item.source, "problem": item.problem} for item in found]
        print(json.dumps({**listing, PRESETS: shown_presets, "extensions": extension_list}, indent=2))
        return DONE
    blocks = []
    for kind, entries in listing.items():
        rows = [(item["name"], item["family"], _about(item)) for item in entries]
        others = "".join(
            f"\n  and every class of {place}, by its bare name" for place in chosen[kind].namespaces
        )
        if rows or others:
            blocks.append(f"{kind}\n{table(rows)}{others}" if rows else f"{kind}{others}")
    if shown_presets:
        blocks.append(f"{PRESETS} (nam_like init NAME FOLDER)\n{table(list(shown_presets.items()))}")
    if found:
        rows_found = [
            (item.source, f"FAILED: {item.problem}" if item.problem else "loaded") for item in found
        ]
        blocks.append(f"extensions\n{table(rows_found)}")
    print("\n\n".join(blocks))
    return DONE


def _plurals() -> set[str]:
    from nam_like.registry import kinds

    return {f"{kind}s" for kind in kinds()}


def _about(item: dict[str, str]) -> str:
    """Summary, and the owner where that is not ourselves."""
    owner = "" if item["owner"] == "nam_like" else f"[{item['owner']}]"
    return " ".join(part for part in (item["summary"], owner) if part)
