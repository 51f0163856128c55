"""NeMo files to convert: the blocks that its documentation shows, and whole files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nam_like.config import jsonc
from nam_like.config.errors import ConfigError, Problem
from nam_like.config.nemo.convert import Converted, convert

HERE = Path(__file__).parent

Convert = Callable[..., Converted]
Refuse = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def converted(tmp_path: Path) -> Convert:
    """Convert a dict, or YAML text."""

    def made(content: Any, *overrides: str) -> Converted:
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return convert(path, overrides)

    return made


@pytest.fixture
def refused(converted: Convert) -> Refuse:
    """What is wrong with a dict, or YAML text."""

    def made(content: Any, *overrides: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            converted(content, *overrides)
        return caught.value.problems

    return made


def jsons(result: Converted) -> dict[str, Any]:
    """The files as they are read again."""
    return {name: jsonc.loads(draft.text()) for name, draft in result.drafts.items()}


def whole(name: str) -> dict[str, Any]:
    """The values of a whole file."""
    value: dict[str, Any] = yaml.safe_load((HERE / "whole" / f"{name}.yaml").read_text(encoding="utf-8"))
    return value
