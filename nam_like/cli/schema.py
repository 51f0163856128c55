"""JSON Schemas of the three files, for editors, and the reference of all options."""

from __future__ import annotations

import argparse
from pathlib import Path

from nam_like.cli.console import DONE
from nam_like.errors import UserError

EXAMPLES = """examples:
  nam_like schema model                         print one
  nam_like schema --out schemas                 write all three; name them in "$schema" of your JSONs
  nam_like schema --regenerate --out schemas    with the components of your extensions in them
  nam_like schema --markdown > reference.md     every option of every component, to read"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name", nargs="?", choices=("data", "model", "learning"), help="which file's schema to print"
    )
    parser.add_argument("--out", metavar="DIR", help="write all three there")
    parser.add_argument("--regenerate", action="store_true", help="make them anew, extensions included")
    parser.add_argument("--markdown", action="store_true", help="print the reference of all options instead")
    parser.add_argument("--no-extensions", action="store_true", help="with what is built in only")


def run(arguments: argparse.Namespace) -> int:
    """Print or write."""
    if arguments.regenerate and not arguments.no_extensions:
        from nam_like.extensions import load_extensions

        load_extensions()
    if arguments.markdown:
        from nam_like.cli.reference import reference

        print(reference(), end="")
        return DONE
    if not arguments.name and not arguments.out:
        raise UserError("expected the name of a file (data, model or learning) or --out DIR, but got neither")
    texts = _made(extensions=not arguments.no_extensions) if arguments.regenerate else _shipped()
    if arguments.name:
        print(texts[arguments.name], end="")
    if arguments.out:
        from nam_like.files import write_text_atomic

        for name, text in texts.items():
            path = Path(arguments.out) / f"{name}.schema.json"
            write_text_atomic(path, text)
            print(path)
    return DONE


def _shipped() -> dict[str, str]:
    """The schemas that come with the package."""
    from nam_like.presets import KINDS, schema_file

    return {kind: schema_file(kind).read_text(encoding="utf-8") for kind in KINDS}


def _made(*, extensions: bool) -> dict[str, str]:
    """The schemas made from the config models as they are now."""
    from nam_like.config.schema import schema_text, schemas

    return {name: schema_text(schema) for name, schema in schemas(extensions=extensions).items()}
