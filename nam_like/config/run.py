"""The three files of a run, checked together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nam_like.config.base import Config
from nam_like.config.cross import cross_problems
from nam_like.config.data import DataConfig
from nam_like.config.document import Document
from nam_like.config.errors import ConfigError, Problem
from nam_like.config.importable import importable
from nam_like.config.learning import LearningConfig
from nam_like.config.model import ModelConfig
from nam_like.config.phrases import phrased
from nam_like.config.reading import Files, in_order, read_document, read_files
from nam_like.errors import UserError

__all__ = ["RunConfig", "check_run", "load_data", "load_run"]

_Model = TypeVar("_Model", bound=Config)


@dataclass(frozen=True)
class RunConfig:
    """Everything the three files say, checked.

    Attributes:
        data: the data JSON.
        model: the model JSON.
        learning: the learning JSON.
        sources: the files, by ``data``, ``model`` and ``learning``.
        overrides: the ``--set`` arguments that were applied.
    """

    data: DataConfig
    model: ModelConfig
    learning: LearningConfig
    sources: dict[str, Document]
    overrides: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the files: importable while components are built, and where relative paths start."""
        return tuple(dict.fromkeys(source.path.parent for source in self.sources.values()))

    def canonical(self) -> dict[str, dict[str, Any]]:
        """The three files in the one canonical spelling, overrides and references applied."""
        return {
            "data": self.data.canonical(),
            "model": self.model.canonical(),
            "learning": self.learning.canonical(),
        }

    @contextmanager
    def placing_data_errors(self) -> Iterator[None]:
        """Place what a dataset finds wrong with the recordings at the key of the data JSON that it is about.

        Raises:
            ConfigError: in place of a :class:`UserError` that knows its dataset.
        """
        with _placing(self.sources["data"]):
            yield

    def error(self, root: str, loc: tuple[str | int, ...], message: str) -> ConfigError:
        """An exception to raise for a mistake found later, placed at a value of one of the files."""
        return ConfigError([self.sources[root].problem(loc, message)])


def load_run(
    data_path: str | PathLike[str],
    model_path: str | PathLike[str],
    learning_path: str | PathLike[str],
    overrides: Sequence[str] = (),
) -> RunConfig:
    """Read, check and resolve the three files of a run; nothing is written anywhere.

    Args:
        data_path: the data JSON.
        model_path: the model JSON.
        learning_path: the learning JSON.
        overrides: ``"learning.trainer.max_epochs=5"`` or ``"~model.lr_scheduler"``.

    Raises:
        ConfigError: with every mistake of all three files; where PyTorch is not imported yet, and there are
            mistakes that can be told without it, with those alone.
    """
    return check_run(read_files(data_path, model_path, learning_path, overrides))


def check_run(files: Files) -> RunConfig:
    """Check the three files of a run, which have been read.

    Raises:
        ConfigError: with every mistake of all three files.
    """
    documents, problems = files.documents, list(files.problems)
    with importable(_folders(documents)):
        data = _validate(DataConfig, documents["data"], problems)
        model = _validate(ModelConfig, documents["model"], problems)
        learning = _validate(LearningConfig, documents["learning"], problems)
        found = cross_problems(data, model, learning)
    problems += [documents[root].problem(loc, message) for root, loc, message in found]
    if problems or data is None or model is None or learning is None:
        raise ConfigError(in_order(problems, documents))
    return RunConfig(data, model, learning, documents, files.overrides)


def load_data(
    path: str | PathLike[str], overrides: Sequence[str] = ()
) -> tuple[DataConfig, Callable[[], AbstractContextManager[None]]]:
    """Read and check a data JSON alone.

    Args:
        path: the file.
        overrides: ``"data.common.sample_rate=8000"``.

    Returns:
        The config, and what makes a block in which mistakes in the recordings are placed at their key.

    Raises:
        ConfigError: with every mistake.
    """
    documents, problems = read_document("data", path, overrides)
    with importable(_folders(documents)):
        data = _validate(DataConfig, documents["data"], problems)
    if problems or data is None:
        raise ConfigError(in_order(problems, documents))
    return data, lambda: _placing(documents["data"])


@contextmanager
def _placing(document: Document) -> Iterator[None]:
    """Place what a dataset finds wrong with the recordings at the key of the data JSON that it is about."""
    try:
        yield
    except UserError as error:
        if not error.place or isinstance(error, ConfigError):
            raise
        problem = document.problem(document.key_at_fault(error.place, error.reason), error.reason)
        raise ConfigError([problem]) from error


def _folders(documents: dict[str, Document]) -> list[Path]:
    return list(dict.fromkeys(document.path.parent for document in documents.values()))


def _validate(model: type[_Model], document: Document, problems: list[Problem]) -> _Model | None:
    """Check one file; its mistakes are added to `problems`."""
    if document.unreadable:
        return None
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        known = {(problem.file, problem.line, problem.column) for problem in problems}
        for loc, message, unknown in phrased(error, document.value):
            problem = document.problem(loc, message, key=unknown)
            if (problem.file, problem.line, problem.column) not in known or not problem.line:
                problems.append(problem)  # not where an unresolved reference was reported already
        return None
