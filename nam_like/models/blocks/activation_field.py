"""Config fields that hold one activation, or one per layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from nam_like.config.base import describe
from nam_like.config.component import SPELLINGS, Component, Of
from nam_like.models.blocks.problems import Problem, refuse, refuse_all

__all__ = ["POINTWISE", "ActivationOrList", "OfActivation"]

#: Classes of torch.nn that act on every sample alone; the others of its activations mix channels or time.
POINTWISE = frozenset(
    [
        "CELU",
        "ELU",
        "GELU",
        "Hardshrink",
        "Hardsigmoid",
        "Hardswish",
        "Hardtanh",
        "Identity",
        "LeakyReLU",
        "LogSigmoid",
        "Mish",
        "PReLU",
        "RReLU",
        "ReLU",
        "ReLU6",
        "SELU",
        "SiLU",
        "Sigmoid",
        "Softplus",
        "Softshrink",
        "Softsign",
        "Tanh",
        "Tanhshrink",
        "Threshold",
    ]
)
_PAIRS = ("PairMultiply", "PairBlend")


@dataclass(frozen=True)
class OfActivation(Of):
    """An activation: pointwise, not in place.

    Args:
        pairs: whether pairs of two activations are allowed.
    """

    pairs: bool = True

    def validate(self, value: Any) -> Component:
        """Read one activation in any spelling; see :meth:`nam_like.config.component.Of.validate`.

        Raises:
            ValidationError: not a known activation, or one that mixes channels or time or works in place.
        """
        component = super().validate(value)
        entry = component.entry
        name_key = next((key for key in SPELLINGS if isinstance(value, dict) and key in value), None)
        loc = (name_key,) if name_key else ()
        module = getattr(entry.load(), "__module__", "")
        if module.startswith("torch.nn") and entry.name.rpartition(".")[2] not in POINTWISE:
            hint = "; a gate is {'name': 'PairMultiply', …}" if "GLU" in entry.name else ""
            refuse("activation", loc, f"expected a pointwise activation, but got '{entry.name}'{hint}", value)
        if entry.name in _PAIRS and not self.pairs:
            refuse("activation", loc, f"expected a single activation, but got the pair '{entry.name}'", value)
        refuse_all(
            "activation",
            [
                Problem(
                    (key,), f"expected a parameter of {entry.name}, but got the unknown key '{key}'", extra
                )
                for key, extra in (getattr(component.config, "model_extra", None) or {}).items()
                if module.startswith("torch.nn")
            ],
        )
        if getattr(component.config, "inplace", False):
            refuse("activation", ("inplace",), "expected `inplace` to be false, but got true", True)
        return component


@dataclass(frozen=True)
class ActivationOrList:
    """One activation for all layers, or a list with one per layer; ``null`` entries where `optional`."""

    optional: bool = False
    pairs: bool = True

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.plain_serializer_function_ser_schema(_canonical)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one = OfActivation("activation", flat=True).__get_pydantic_json_schema__(schema, handler)
        choices = [one, {"type": "array", "items": one, "minItems": 1}]
        return {"anyOf": [*choices, {"type": "null"}] if self.optional else choices}

    def validate(self, value: Any) -> Component | list[Component | None] | None:
        """Read one activation or a list of them.

        Raises:
            ValidationError: every wrong entry, each at its own index.
        """
        field = OfActivation("activation", flat=True, pairs=self.pairs)
        if value is None and self.optional:
            return None
        if not isinstance(value, list):
            if not isinstance(value, str | dict | Component):
                raise PydanticCustomError(
                    "expected",
                    "expected an activation or a list with one per layer, but got {got}",
                    {"got": describe(value)},
                )
            return field.validate(value)
        items: list[Component | None] = []
        problems: list[Problem] = []
        for index, item in enumerate(value):
            try:
                items.append(None if item is None and self.optional else field.validate(item))
            except ValidationError as error:  # noqa: PERF203 - all wrong entries are reported together
                problems += [
                    Problem((index, *line["loc"]), line["msg"], line["input"])
                    for line in error.errors(include_url=False)
                ]
        refuse_all("activation", problems)
        return items


def _canonical(value: Component | list[Component | None] | None) -> Any:
    if isinstance(value, list):
        return [None if item is None else item.canonical() for item in value]
    return None if value is None else value.canonical()
