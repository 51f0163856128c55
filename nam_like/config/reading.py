"""The three files of a run, read and resolved; what is misspelt is told before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from nam_like.config import overrides as overriding
from nam_like.config import references, typos
from nam_like.config.document import Document
from nam_like.config.errors import ConfigError, Problem
from nam_like.config.paths import PathError
from nam_like.config.unfilled import unfilled

__all__ = ["Files", "in_order", "read_document", "read_files"]


@dataclass(frozen=True)
class Files:
    """Three files with their overrides and references resolved.

    Attributes:
        documents: by ``data``, ``model`` and ``learning``.
        overrides: the ``--set`` arguments that were applied.
        problems: what is wrong so far, to be told together with what a check finds.
    """

    documents: dict[str, Document]
    overrides: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_files(
    data_path: str | PathLike[str],
    model_path: str | PathLike[str],
    learning_path: str | PathLike[str],
    overrides: Sequence[str] = (),
) -> Files:
    """Read the files, and apply overrides and references; arguments as :func:`nam_like.config.run.load_run`.

    Raises:
        ConfigError: values say ``???``; or PyTorch is not imported yet, and there are mistakes that can be
            told without it.
    """
    paths = {"data": data_path, "model": model_path, "learning": learning_path}
    documents = {name: Document.read(name, Path(path)) for name, path in paths.items()}
    problems = [document.unreadable for document in documents.values() if document.unreadable]
    problems += _apply_overrides(documents, overrides)
    to_be_given = _to_be_given(documents)
    problems += _resolve_references(documents)
    if to_be_given:  # what is wrong with other values shows when these are there
        raise ConfigError(in_order(problems + to_be_given, documents), complete=False)
    if typos.is_due():
        problems += _misspelt(documents)
        if problems:  # told at once; what else is wrong shows when PyTorch has been imported
            raise ConfigError(in_order(problems, documents), complete=False)
    return Files(documents, tuple(overrides), tuple(problems))


def read_document(
    name: str, path: str | PathLike[str], overrides: Sequence[str] = ()
) -> tuple[dict[str, Document], list[Problem]]:
    """Read one of the files alone, with its overrides and references to itself.

    Args:
        name: ``data``, ``model`` or ``learning``.
        path: the file.
        overrides: as of ``--set``.

    Returns:
        The file by its name, and what is wrong so far.

    Raises:
        ConfigError: values say ``???``.
    """
    documents = {name: Document.read(name, Path(path))}
    problems = [document.unreadable for document in documents.values() if document.unreadable]
    problems += _apply_overrides(documents, overrides)
    to_be_given = _to_be_given(documents)
    problems += _resolve_references(documents)
    if to_be_given:
        raise ConfigError(in_order(problems + to_be_given, documents), complete=False)
    return documents, problems


def _to_be_given(documents: dict[str, Document]) -> list[Problem]:
    """Values that say ``???``."""
    read = [document for document in documents.values() if not document.unreadable]
    return [
        document.problem(loc, message)
        for document in read
        for loc, message in unfilled(document.name, document.value)
    ]


def _misspelt(documents: dict[str, Document]) -> list[Problem]:
    """Misspelt keys and names; nothing is imported to find them."""
    problems = []
    for name, document in documents.items():
        schema = None if document.unreadable else typos.schema_of(name)
        if schema is not None:
            found = typos.typos(document.value, schema)
            problems += [document.problem(loc, message, key=key) for loc, message, key in found]
    return problems


def in_order(problems: list[Problem], documents: dict[str, Document]) -> list[Problem]:
    """The problems of overrides first, then of the files in the order of the command line."""
    files = [str(document.path) for document in documents.values()]
    return sorted(problems, key=lambda item: files.index(item.file) + 1 if item.file in files else 0)


def _apply_overrides(documents: dict[str, Document], overrides: Sequence[str]) -> list[Problem]:
    values = {name: document.value for name, document in documents.items() if not document.unreadable}
    problems = []
    for override in overrides:
        try:
            root, *inner = overriding.apply(values, override)
        except PathError as error:  # noqa: PERF203
            if not _names_unreadable(override, documents):
                problems.append(Problem(f"--set {override}", 0, 0, "", str(error)))
        else:
            documents[str(root)].overridden[tuple(inner)] = override
    return problems


def _names_unreadable(override: str, documents: dict[str, Document]) -> bool:
    """Whether an override fails only because its file could not be read, which is reported already."""
    root = override.lstrip("~ ").partition(".")[0].partition("[")[0]
    return root in documents and documents[root].unreadable is not None


def _resolve_references(documents: dict[str, Document]) -> list[Problem]:
    values = {name: document.value for name, document in documents.items() if not document.unreadable}
    resolved, problems = references.resolve(values)
    for name, value in resolved.items():
        documents[name].value = value
    unread = [name for name, document in documents.items() if document.unreadable]
    return [
        documents[str(loc[0])].problem(tuple(loc[1:]), message)
        for loc, message in problems
        if not any(f"'{name}'" in message for name in unread)
    ]
