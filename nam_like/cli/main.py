"""``nam_like <command>``: finds the command and runs it. Imports nothing but the standard library."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from nam_like._version import __version__
from nam_like.cli.console import EXIT_CODES, WRONG, HelpFormatter, guarded, table

__all__ = ["COMMANDS", "main"]


class Command(NamedTuple):
    """Where a command lives and what it does, in one line."""

    module: str
    summary: str


COMMANDS = {
    "train": Command("full", "train from three JSONs (also installed as nam_full)"),
    "slurm": Command("slurm", "queue a training on a SLURM cluster"),
    "check": Command("check", "validate three JSONs and their audio, build the net, report, and stop"),
    "init": Command("init", "write three commented JSONs of a preset, ready to edit"),
    "import": Command("import_nemo", "make the three JSONs of a NeMo audio config (YAML)"),
    "list": Command("list", "every component that a JSON can name, and the presets"),
    "show": Command("show", "the options of a component, or the files of a preset"),
    "schema": Command("schema", "JSON Schemas of the three files, and the reference of all options"),
    "render": Command("render", "play audio files, or all inputs of a data JSON, through a .nam file"),
    "enhance": Command("enhance", "make noisy audio clean with an exported enhancement net"),
    "score": Command("score", "score an exported enhancement net on the validation files of a data JSON"),
    "info": Command("info", "what a .nam file holds"),
    "eval": Command("evaluate", "compare a .nam file with a recording of the gear"),
    "bench": Command("bench", "how fast a .nam file plays on this machine, by block size"),
    "signal": Command("capture_signal", "write the capture signal to play through your gear"),
    "simulate": Command("simulate", "play a WAV through a simulated circuit"),
}

_EPILOG = f"""examples:
  nam_like init amp/a1_standard my_amp          write my_amp/data.json, model.json and learning.json
  nam_like check my_amp/data.json my_amp/model.json my_amp/learning.json
  nam_like train my_amp/data.json my_amp/model.json my_amp/learning.json out
  nam_like render out/latest/model.nam dry.wav wet.wav

{EXIT_CODES}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nam_like`` with `argv` (default: the command line) and return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0].startswith("-"):
        return _top_level(given)
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        from nam_like.registry import did_you_mean

        print(
            f"nam_like: unknown command '{name}'{did_you_mean(name, list(COMMANDS))} "
            f"(available: {', '.join(COMMANDS)})",
            file=sys.stderr,
        )
        return WRONG
    module = importlib.import_module(f"nam_like.cli.{COMMANDS[name].module}")
    parser = argparse.ArgumentParser(
        prog=f"nam_like {name}",
        description=module.__doc__,
        epilog=f"{module.EXAMPLES}\n\n{EXIT_CODES}",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return guarded(module.run, parser.parse_args(rest))


def _top_level(given: Sequence[str]) -> int:
    """``--help``, ``--version``, or nothing at all."""
    commands = table([(name, command.summary) for name, command in COMMANDS.items()])
    parser = argparse.ArgumentParser(
        prog="nam_like",
        usage="nam_like COMMAND …      (nam_like COMMAND --help tells its options)",
        description=f"Train audio networks from three JSON files.\n\ncommands:\n{commands}",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nam_like {__version__}")
    parser.parse_args(given)
    parser.print_help()
    return WRONG
