"""The last lines and the exit code of a command that went through several files."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nam_like.cli.console import DONE, FAILED, WRONG
from nam_like.errors import UserError

__all__ = ["conclude", "count"]


def conclude(
    audio: Sequence[float], seconds: float, failed: Sequence[UserError], *, verb: str, quiet: bool
) -> int:
    """Say how fast it was and which files failed; return the exit code.

    Args:
        audio: the length of each file that was written (s).
        seconds: how long it took to make them (s).
        failed: what was wrong with the other files.
        verb: what was to be done with them: "enhanced".
        quiet: only failures are told.

    Raises:
        UserError: the only file there was could not be used; nothing was written.
    """
    if audio and not quiet:
        print(
            f"{count(len(audio), 'file')}, {sum(audio):.1f} s of audio in {seconds:.1f} s: "
            f"{sum(audio) / max(seconds, 1e-9):.1f} times faster than realtime"
        )
    if not failed:
        return DONE
    if not audio and len(failed) == 1:
        raise failed[0]
    listed = "".join(f"\n  {error}" for error in failed)
    print(f"{count(len(failed), 'file')} could not be {verb}:{listed}", file=sys.stderr)
    return FAILED if audio else WRONG


def count(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
