"""A data JSON of paired recordings, read without the classes that make datasets of it: those need PyTorch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from nam_like.config.data import DataConfig
from nam_like.config.document import Document
from nam_like.config.errors import ConfigError
from nam_like.config.lines import refusal, relocated
from nam_like.config.paired import PairedKeys
from nam_like.config.phrases import phrased
from nam_like.config.reading import in_order, read_document
from nam_like.config.splits import DEFAULT_TYPE

__all__ = ["PairsConfig", "load_pairs"]


class PairsConfig(DataConfig):
    """The data JSON of paired recordings: their keys are checked, and hooks are left as they stand."""

    train: list[PairedKeys] = Field(description="what the net is fitted to")  # type: ignore[assignment]
    validation: list[PairedKeys] = Field(description="what it is judged by")  # type: ignore[assignment]
    joint: list[Any] = Field(default_factory=list, description="hooks, not looked at")

    @classmethod
    def member(cls, name: str, config: dict[str, Any]) -> PairedKeys:
        """The keys of a recording, the common ones merged in.

        Raises:
            ValidationError: another kind of dataset than ``paired``, or a key that is wrong.
        """
        if name != DEFAULT_TYPE:
            why = ", whose knobs a .nam file does not have" if name == "parametric" else ""
            raise refusal(
                f"expected {DEFAULT_TYPE} recordings, which have an `x_path` to play, but got the kind "
                f"'{name}'{why}",
                ("name",),
                name,
            )
        try:
            return PairedKeys.model_validate(config)
        except ValidationError as error:
            raise ValidationError.from_exception_data(error.title, relocated(error, ("config",))) from None


def load_pairs(path: str | PathLike[str]) -> tuple[PairsConfig, Document]:
    """Read and check a data JSON of paired recordings; of the audio nothing is read.

    Args:
        path: the file.

    Returns:
        The config, and the file, to place in it what is found wrong later.

    Raises:
        ConfigError: with every mistake.
    """
    documents, problems = read_document("data", Path(path))
    document = documents["data"]
    if document.unreadable:
        raise ConfigError(problems)
    try:
        config = PairsConfig.model_validate(document.value)
    except ValidationError as error:
        problems += [
            document.problem(loc, message, key=unknown)
            for loc, message, unknown in phrased(error, document.value)
        ]
    if problems:
        raise ConfigError(in_order(problems, documents))
    return config, document
