"""Show what a .nam file holds: architecture, version, receptive field, number of weights, metadata."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from nam_like.cli.console import DONE, table

EXAMPLES = """examples:
  nam_like info model.nam
  nam_like info model.nam --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a .nam file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Read the file as the realtime engine would, and print what it is."""
    from nam_like.export.nam_read import load_nam, summary

    facts = dataclasses.asdict(summary(load_nam(arguments.model)))
    if arguments.json:
        facts.pop("config")
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return DONE
    rate, milliseconds = facts["sample_rate"], facts["receptive_field_ms"]
    print(arguments.model)
    rows = [
        ("architecture", facts["architecture"]),
        ("file version", facts["version"]),
        ("sample rate", f"{rate:g} Hz" if rate else "not stated"),
        ("weights", f"{facts['num_weights']}"),
        (
            "receptive field",
            f"{facts['receptive_field']} samples" + (f" ({milliseconds:.1f} ms)" if milliseconds else ""),
        ),
        ("prewarm", f"{facts['prewarm_samples']} samples"),
    ]
    for index, member in enumerate(facts["members"]):
        rows.append(
            (
                f"member {index}",
                f"{member['architecture']}, {member['num_weights']} weights, up to {member['max_value']:g}",
            )
        )
    for index, sizes in enumerate(facts["allowed_channels"]):
        rows.append((f"sizes of array {index}", ", ".join(map(str, sizes)) or "fixed"))
    print(table(rows))
    metadata = list(_flat(facts["metadata"]))
    print("metadata:" if metadata else "no metadata")
    print(table(metadata)) if metadata else None
    return DONE


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Dotted name and text of every leaf of the metadata that says something."""
    if isinstance(value, dict):
        return [
            row for key, item in value.items() for row in _flat(item, f"{prefix}.{key}" if prefix else key)
        ]
    return [] if value is None else [(prefix, value if isinstance(value, str) else json.dumps(value))]
