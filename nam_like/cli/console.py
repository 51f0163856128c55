"""What all commands share: exit codes, messages instead of tracebacks, logging, tables."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from typing import TextIO

from nam_like.errors import UserError

__all__ = [
    "DONE",
    "EXIT_CODES",
    "FAILED",
    "INTERRUPTED",
    "WRONG",
    "HelpFormatter",
    "guarded",
    "report_wrong",
    "set_up_logging",
    "table",
    "wants_color",
]

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130

EXIT_CODES = """exit codes:
  0    done
  1    failed while running
  2    the command line, a JSON, the audio or a model file is wrong; nothing was written
  130  interrupted"""

logger = logging.getLogger(__name__)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of descriptions and epilogs; leaves room for option names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(100, _columns()))


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def wants_color(stream: TextIO) -> bool:
    """Whether escape codes for colours may be written to `stream`."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def set_up_logging(*, quiet: bool = False) -> None:
    """Show the package's log on stderr: from INFO on, or from WARNING on when `quiet`."""
    package = logging.getLogger("nam_like")
    package.setLevel(logging.INFO)
    package.propagate = False
    for handler in [handler for handler in package.handlers if isinstance(handler, _Console)]:
        package.removeHandler(handler)
    console = _Console()
    console.setLevel(logging.WARNING if quiet else logging.INFO)
    console.setFormatter(_Formatter())
    package.addHandler(console)


class _Console(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the time of the message."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Formatter(logging.Formatter):
    """Plain messages; warnings and errors say so. Tracebacks are for log files, not for the console."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return prefix + record.getMessage()


def report_wrong(error: UserError) -> None:
    """Show what is wrong with what the user gave us; errors of the JSON files with their lines."""
    render = getattr(error, "render", None)
    message = render(color=wants_color(sys.stderr)) if render is not None else f"error: {error}"
    print(message, file=sys.stderr)


def guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command and turn every way in which it can end into an exit code.

    A :class:`UserError` becomes a message. Of any other exception the traceback is shown, unless the
    folder of a run keeps it.
    """
    set_up_logging(quiet=getattr(arguments, "quiet", False))
    try:
        return run(arguments)
    except UserError as error:
        report_wrong(error)
        return WRONG
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`nam_like list | head`); nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        folder = getattr(error, "run_folder", None)
        if folder is None:
            traceback.print_exc()
        place = "" if folder is None else f" (details in {folder / 'traceback.txt'})"
        print(f"failed: {type(error).__name__}: {error}{place}", file=sys.stderr)
        return FAILED


def table(rows: Sequence[Sequence[str]], *, indent: int = 2) -> str:
    """Align columns two spaces apart; the last one is wrapped to the width of the terminal."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    offset = indent + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        start = " " * indent + "".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(
            row[-1], max(30, _columns() - offset), break_long_words=False, break_on_hyphens=False
        )
        lines.append((start + (wrapped[0] if wrapped else "")).rstrip())
        lines.extend(" " * offset + more for more in wrapped[1:])
    return "\n".join(lines)
