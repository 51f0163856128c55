"""Running the commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nam_like.cli.full import main as nam_full
from nam_like.cli.main import main as nam_like


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``cli("list", "net")`` runs ``nam_like list net``; ``cli(…, full=True)`` runs ``nam_full``."""

    def run(*arguments: object, full: bool = False) -> Done:
        texts = [str(argument) for argument in arguments]
        try:
            code = (nam_full if full else nam_like)(texts)
        except SystemExit as exit_:  # argparse ends this way
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
