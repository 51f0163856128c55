"""Components by the names that a run logs them under: a list, or an object of labels.

``["ESR"]`` logs ``ESR``; ``{"quality": {"name": …}}`` logs ``quality``; ``{"val": {"sisdr": {"name": …}}}``
logs ``val_sisdr``, which is how other tools name the values of a validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, core_schema

from nam_like.config.base import describe
from nam_like.config.component import SPELLINGS, Component, Of
from nam_like.config.lines import Loc, line, refusal, relocated

__all__ = ["Labelled", "Labels"]

_SPLIT = "val"
"""The key under which the metrics of a validation may stand; it becomes a prefix of their labels."""


class Labels(dict[str, Component]):
    """Components by label.

    Attributes:
        listed: they stood in a list, and their labels are their own short names.
    """

    listed: bool = False

    def canonical(self) -> list[Any] | dict[str, Any]:
        """As they are written into the run folder."""
        if self.listed:
            return [member.canonical() for member in self.values()]
        return {label: member.canonical() for label, member in self.items()}


@dataclass(frozen=True)
class Labelled:
    """Annotation of a field that holds components by label.

    Args:
        of: what the components are.
    """

    of: Of

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.canonical()),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one = self.of.__get_pydantic_json_schema__(schema, handler)
        labels = {"type": "object", "additionalProperties": one}
        nested = {
            "type": "object",
            "properties": {_SPLIT: labels},
            "required": [_SPLIT],
            "additionalProperties": False,
        }
        return {"anyOf": [{"type": "array", "items": one}, nested, labels]}

    def validate(self, value: Any) -> Labels:
        """Read components in any of the spellings; every member's errors are reported, each at its place.

        Raises:
            ValidationError: as :meth:`Of.validate`, or two members have one label.
        """
        labels, errors = Labels(), []
        labels.listed = isinstance(value, list | tuple)
        for loc, label, item in self._members(value):
            try:
                member = self.of.validate(item)
            except ValidationError as error:
                errors += relocated(error, loc)
                continue
            name = label or member.name.replace(":", ".").rpartition(".")[2]
            problem = _problem(name, labels)
            if problem:
                errors.append(line(problem, loc, item))
            labels[name] = member
        if errors:
            raise ValidationError.from_exception_data(self.of.kind, errors)
        return labels

    def _members(self, value: Any) -> list[tuple[Loc, str, Any]]:
        """Where each stands, its label (empty where it has none) and what stands there."""
        if isinstance(value, list | tuple):
            return [((index,), "", item) for index, item in enumerate(value)]
        if not isinstance(value, dict) or any(key in value for key in SPELLINGS):
            raise refusal(f"expected a list, or an object of labels, but got {describe(value)}", (), value)
        known = {key: item for key, item in value.items() if not key.startswith("_")}
        nested = known.get(_SPLIT)
        if not isinstance(nested, dict) or any(key in nested for key in SPELLINGS):
            return [((label,), label, item) for label, item in known.items()]
        errors: list[InitErrorDetails] = [
            line(f"expected '{_SPLIT}' alone, but got '{key}' beside it", (key,), item)
            for key, item in known.items()
            if key != _SPLIT
        ]
        if errors:
            raise ValidationError.from_exception_data(self.of.kind, errors)
        return [((_SPLIT, label), f"{_SPLIT}_{label}", item) for label, item in nested.items()]


def _problem(label: str, taken: Labels) -> str:
    """Why a label cannot be used; empty when it can."""
    if label in taken and not taken.listed:
        return f"expected another label than '{label}', which is taken"
    if label in ("loss", "val_loss", "train_loss", "lr") or label != label.strip() or not label:
        return f"expected another label than '{label}', under which something else is logged"
    return ""
