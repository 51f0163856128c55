"""What is wrong in the JSON files, and where: problems, and the exception that holds all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nam_like.errors import UserError

__all__ = ["ConfigError", "Problem", "dotted"]

_BOLD, _RED, _BLUE, _RESET = "\033[1m", "\033[31m", "\033[34m", "\033[0m"
_WIDEST = 160


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: ``net.config.layers_configs[1].channels``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "a").replace("$", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: the file as the user named it, or ``--set …`` for an override.
        line: from 1; 0 where there is no line (a missing file, an override).
        column: from 1.
        path: dotted path of the value inside its file; may be empty.
        message: "expected …, but got …".
        source_line: the line of the file, for the caret.
        span: characters to underline from `column` on.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    source_line: str = ""
    span: int = 1

    def render(self, *, color: bool = False) -> str:
        """``file:line:col  path — message``, then the line and a caret under what is meant."""
        bold, red, blue, reset = (_BOLD, _RED, _BLUE, _RESET) if color else ("", "", "", "")
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{blue}{self.path}{reset} — " if self.path else ""
        text = f"{bold}{place}{reset}  {path}{self.message}"
        if not self.source_line.strip():
            return text
        source, offset, cut = self.source_line, self.column - 1, 0
        if len(source) > _WIDEST:
            cut = max(0, offset - _WIDEST // 2)
            source = source[cut : cut + _WIDEST]
        before = source[: offset - cut]
        padding = "".join(character if character == "\t" else " " for character in before)
        caret = "^" + "~" * (min(self.span, len(source) - len(before)) - 1)
        return f"{text}\n    {source.rstrip()}\n    {padding}{red}{caret}{reset}"


class ConfigError(UserError):
    """Everything that is wrong in the files of a run, sorted by file and line.

    Attributes:
        problems: at least one.
        complete: whether everything was checked; where not, further mistakes may follow these.
    """

    def __init__(self, problems: Sequence[Problem], *, complete: bool = True) -> None:
        self.complete = complete
        files = list(dict.fromkeys(problem.file for problem in problems))
        self.problems: tuple[Problem, ...] = tuple(
            sorted(dict.fromkeys(problems), key=lambda item: (files.index(item.file), item.line, item.column))
        )
        super().__init__(self.render())

    def render(self, *, color: bool = False) -> str:
        """All problems with their source lines, and how many there are."""
        files = len({problem.file for problem in self.problems})
        count = len(self.problems)
        total = f"{count} {'error' if count == 1 else 'errors'}" + (f" in {files} files" if files > 1 else "")
        if not self.complete:
            total += f"; values are checked once {'it is' if count == 1 else 'they are'} corrected"
        return "\n".join([*(problem.render(color=color) for problem in self.problems), total])
