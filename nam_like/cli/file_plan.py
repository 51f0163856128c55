"""Which file becomes which: inputs and folders on the command line, outputs in a folder or one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from nam_like.errors import UserError

__all__ = ["AUDIO_SUFFIXES", "check_outputs", "plan"]

#: What is taken from folders.
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".w64", ".rf64"})
_MOST_NAMED = 5


def plan(inputs: Sequence[str], output: str, *, force: bool = False) -> list[tuple[Path, Path]]:
    """Pair every input with its output.

    Folders are searched to any depth, and what is found keeps its place below the output folder. Outputs are
    called as their inputs, with ``.wav``.

    Args:
        inputs: audio files and folders.
        output: a folder, which need not exist; or, for a single file, the ``.wav`` to write.
        force: outputs may exist.

    Returns:
        (input, output) in the order given, files of a folder by name.

    Raises:
        UserError: an input is missing, a folder holds no audio, two inputs would become one output, an output
            is an input, or exists and `force` is not given.
    """
    target = Path(output)
    pairs = [
        (path, target / below.with_suffix(".wav"))
        for path, below in _found([Path(name) for name in inputs], target)
    ]
    if target.suffix.lower() == ".wav" and not target.is_dir():
        if len(pairs) != 1 or Path(inputs[0]).is_dir():
            raise UserError(
                f"expected `-o` to be a folder, because there is more than one file or a folder of them, "
                f"but got {output}"
            )
        pairs = [(pairs[0][0], target)]
    elif target.exists() and not target.is_dir():
        raise UserError(f"expected `-o` to be a folder or to end in .wav, but got the file {output}")
    check_outputs(pairs, force=force)
    return pairs


def _found(inputs: Iterable[Path], target: Path) -> list[tuple[Path, Path]]:
    """Every file once, and its place below the output folder."""
    found: dict[Path, tuple[Path, Path]] = {}
    outputs = target.resolve()
    for given in inputs:
        if not given.exists():
            raise UserError(f"{given}: no such file or folder")
        if not given.is_dir():
            found.setdefault(given.resolve(), (given, Path(given.name)))
            continue
        files = [
            path
            for path in sorted(given.rglob("*"))
            if path.suffix.lower() in AUDIO_SUFFIXES
            and path.is_file()
            and not path.name.startswith(".")
            # What was written before is no input, if the folder of outputs lies in that of inputs.
            and not (outputs != given.resolve() and path.resolve().is_relative_to(outputs))
        ]
        if not files:
            raise UserError(
                f"{given}: expected a folder with audio files ({', '.join(sorted(AUDIO_SUFFIXES))}), "
                "but found none"
            )
        for path in files:
            found.setdefault(path.resolve(), (path, path.relative_to(given)))
    return list(found.values())


def check_outputs(pairs: Sequence[tuple[Path, Path]], *, force: bool, kept: Iterable[Path] = ()) -> None:
    """Refuse outputs that would destroy something.

    Args:
        pairs: (input, output).
        force: outputs may exist.
        kept: files that are no outputs either.

    Raises:
        UserError: two inputs would become one output, an output is an input, or exists and `force` is not
            given.
    """
    inputs = {path.resolve() for path in (*(path for path, _ in pairs), *kept)}
    owners: dict[Path, Path] = {}
    for path, output in pairs:
        place = output.resolve()
        if place in inputs:
            raise UserError(f"{output}: expected the output to be another file than an input")
        if place in owners:
            raise UserError(
                f"expected every input to have an output of its own, but {owners[place]} and {path} would "
                f"both become {output}"
            )
        owners[place] = path
    existing = [str(output) for _, output in pairs if output.exists()]
    if existing and not force:
        more = f" and {len(existing) - _MOST_NAMED} more" if len(existing) > _MOST_NAMED else ""
        raise UserError(
            f"expected outputs that do not exist yet (--force replaces them), but got "
            f"{', '.join(existing[:_MOST_NAMED])}{more}"
        )
