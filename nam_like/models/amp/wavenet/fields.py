"""Small config models inside a WaveNet's config, and fields that hold one value or one per layer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from nam_like.config.base import Bool, Config, PositiveInt, describe
from nam_like.models.amp.wavenet.layer import FILM_POSITIONS, FilmShape
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = [
    "ArrayHeadConfig",
    "FilmConfig",
    "FilmField",
    "FilmParams",
    "GatingModes",
    "Head1x1Config",
    "IntOrList",
    "Layer1x1Config",
]


class ArrayHeadConfig(Config):
    """The convolution after the sum of an array's skip terms."""

    out_channels: PositiveInt = Field(description="channels (the next array's skip path must have as many)")
    kernel_size: PositiveInt = Field(1, description="taps")
    bias: Bool = Field(False, description="whether it has a bias")


class Head1x1Config(Config):
    """The 1×1 convolution of the skip path."""

    active: Bool = Field(False, description="off: the activation itself is the skip term")
    out_channels: PositiveInt = Field(1, description="channels of the skip path")
    groups: PositiveInt = Field(1, description="groups of the convolution")


class Layer1x1Config(Config):
    """The 1×1 convolution of the residual path."""

    active: Bool = Field(
        True, description="off: the layer passes its input on unchanged, as the realtime engine plays it"
    )
    groups: PositiveInt = Field(1, description="groups of the convolution")


class FilmConfig(Config):
    """One FiLM (scale and shift by the condition)."""

    active: Bool = Field(True, description="whether it is there")
    shift: Bool = Field(True, description="whether it shifts, too")
    groups: PositiveInt = Field(1, description="groups of its 1×1 convolution")


def _false_is_none(value: Any) -> Any:
    if value is None or value is False:
        return None
    if not isinstance(value, dict | FilmConfig):
        raise PydanticCustomError(
            "expected", "expected an object, false or null, but got {got}", {"got": describe(value)}
        )
    return FilmConfig.model_validate(value)


FilmField = Annotated[
    FilmConfig | None,
    PlainValidator(_false_is_none),
    WithJsonSchema(
        {"anyOf": [FilmConfig.model_json_schema(), {"const": False}, {"type": "null"}]}, mode="validation"
    ),
]


class FilmParams(Config):
    """All positions of FiLM in a layer."""

    conv_pre_film: FilmField = Field(None, description="before the dilated convolution")
    conv_post_film: FilmField = Field(None, description="after the dilated convolution")
    input_mixin_pre_film: FilmField = Field(None, description="before the condition's 1×1")
    input_mixin_post_film: FilmField = Field(None, description="after the condition's 1×1")
    activation_pre_film: FilmField = Field(None, description="before the activation")
    activation_post_film: FilmField = Field(None, description="after the activation")
    layer1x1_post_film: FilmField = Field(None, description="after the residual 1×1")
    head1x1_post_film: FilmField = Field(None, description="after the skip path's 1×1")

    def shapes(self) -> dict[str, FilmShape]:
        """The active ones."""
        return {
            position: FilmShape(film.shift, film.groups)
            for position in FILM_POSITIONS
            if (film := getattr(self, position)) is not None and film.active
        }


def _positive(value: Any) -> int | None:
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or whole) or value < 1:
        return None
    return int(value)


def _int_or_list(value: Any) -> int | list[int]:
    single = _positive(value)
    if single is not None:
        return single
    if not isinstance(value, list) or not value:
        raise PydanticCustomError(
            "expected",
            "expected a positive integer or a list with one per layer, but got {got}",
            {"got": describe(value)},
        )
    refuse_all(
        "IntOrList",
        [
            Problem((index,), f"expected a positive integer, but got {describe(item)}", item)
            for index, item in enumerate(value)
            if _positive(item) is None
        ],
    )
    return [int(item) for item in value]


_INT_SCHEMA: dict[str, Any] = {"type": "integer", "exclusiveMinimum": 0}

IntOrList = Annotated[
    int | list[int],
    PlainValidator(_int_or_list),
    WithJsonSchema({"anyOf": [_INT_SCHEMA, {"type": "array", "items": _INT_SCHEMA, "minItems": 1}]}),
]


def _gating(value: Any) -> str | list[str]:
    modes = ("none", "gated", "blended")
    items = value if isinstance(value, list) else [value]
    problems = [
        Problem(
            (index,) if isinstance(value, list) else (),
            f"expected one of {', '.join(modes)}, but got {describe(item)}",
            item,
        )
        for index, item in enumerate(items)
        if item not in modes
    ]
    refuse_all("gating_mode", problems)
    return value  # type: ignore[no-any-return]


_MODE_SCHEMA: dict[str, Any] = {"enum": ["none", "gated", "blended"]}

GatingModes = Annotated[
    str | list[str],
    PlainValidator(_gating),
    WithJsonSchema({"anyOf": [_MODE_SCHEMA, {"type": "array", "items": _MODE_SCHEMA, "minItems": 1}]}),
]
