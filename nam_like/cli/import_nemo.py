"""Make data.json, model.json and learning.json of a NeMo audio config (YAML), or of a block of one."""

from __future__ import annotations

import argparse
from pathlib import Path

from nam_like.cli.console import DONE
from nam_like.errors import UserError

EXAMPLES = """examples:
  nam_like import nemo predictive.yaml my_model
  nam_like import nemo predictive.yaml my_model --set model.train_ds.manifest_filepath=train.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("format", choices=("nemo",), help="whose config it is")
    parser.add_argument("config", help="a whole YAML file, or a block of one (model:, train_ds:, …)")
    parser.add_argument("folder", help="where the files go")
    parser.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="change a value of the YAML file, by its dotted path there; may be repeated",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Convert, check, and only then write."""
    from nam_like.config.errors import dotted
    from nam_like.config.nemo.convert import convert
    from nam_like.files import write_text_atomic

    converted = convert(Path(arguments.config), arguments.set)
    folder = Path(arguments.folder)
    texts = {folder / f"{name}.json": draft.text() for name, draft in converted.drafts.items()}
    existing = [str(path) for path in texts if path.exists()]
    if existing and not arguments.force:
        raise UserError(f"expected a folder without these files (or --force), but got {', '.join(existing)}")
    from nam_like.config.nemo.check import check  # last, because it imports PyTorch

    check(converted)
    for path, text in texts.items():
        write_text_atomic(path, text)
    for title, items in (
        ("chosen, because the YAML file does not say", converted.filled),
        ("left out", converted.left_out),
        ("to be given, where the files say ???", [dotted(path) for path in converted.missing]),
    ):
        if items:
            print(f"{title}:\n" + "\n".join(f"  {item}" for item in items))
    names = " ".join(str(folder / f"{name}.json") for name in ("data", "model", "learning"))
    print(f"wrote {', '.join(path.name for path in texts)} into {folder}; next:\n  nam_like check {names}")
    return DONE
