"""docs/config-reference.md is what the models say, and the models say something about every key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from nam_like.cli.fields import model_of, nested_models, options_of
from nam_like.cli.reference import reference
from nam_like.config.data import DataConfig
from nam_like.config.learning import LearningConfig
from nam_like.config.loss import FlatLoss
from nam_like.config.model import ModelConfig
from nam_like.registry import kinds, registry_of

PAGE = Path(__file__).parents[2] / "docs" / "config-reference.md"


def our_models() -> dict[str, type[BaseModel]]:
    """Every config model of ours, by the place it is reached from."""
    models: dict[str, type[BaseModel]] = {
        "data.json": DataConfig,
        "model.json": ModelConfig,
        "learning.json": LearningConfig,
        "loss": FlatLoss,
    }
    for kind in kinds():
        for entry in registry_of(kind).entries():
            if entry.owner == "nam_like" and entry.config is not None:
                model = model_of(entry, registry_of(kind))
                assert model is not None
                models[f"{kind} {entry.name}"] = model
    return models


def test_the_page_is_current() -> None:
    expected = reference()
    assert PAGE.read_text(encoding="utf-8") == expected, (
        "run: nam_like schema --markdown > docs/config-reference.md"
    )


@pytest.mark.parametrize(("place", "model"), our_models().items(), ids=lambda value: str(value)[:40])
def test_every_key_is_described(place: str, model: type[BaseModel]) -> None:
    for item in (model, *nested_models(model)):
        for option in options_of(item):
            assert option.description, f"{place}: {item.__name__}.{option.name} has no description"
            assert option.takes != "component", (
                f"{place}: {item.__name__}.{option.name} does not say of which kind"
            )
