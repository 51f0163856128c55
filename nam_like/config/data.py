"""``data.json``: the datasets of both splits, with what they have in common merged in."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from nam_like.config.base import Bool, Config, PositiveInt, Str
from nam_like.config.component import Component, Of
from nam_like.config.lines import line, relocated
from nam_like.config.metadata import UserMetadata
from nam_like.config.splits import SPLITS, SplitReader
from nam_like.registry import DATASETS, UnknownNameError

__all__ = ["DataConfig"]


class DataConfig(Config):
    """The data JSON: ``train`` and ``validation``, each one dataset or a list, and their ``common`` keys.

    A dataset's keys stand flat, with ``type`` (there, in ``common`` or on top of the file) naming its kind;
    or it is a component ``{"name", "config"}``. A key of the dataset wins over the same key in ``common``.
    """

    legacy_keys: ClassVar[tuple[str, ...]] = ("type", "common")

    schema_url: Str | None = Field(None, alias="$schema", description="JSON Schema, for editors")
    train: list[Annotated[Component, Of("dataset")]] = Field(description="what the net is fitted to")
    validation: list[Annotated[Component, Of("dataset")]] = Field(description="what it is judged by")
    train_is_list: Bool = Field(False, description="`train` was given as a list", exclude=True)
    validation_is_list: Bool = Field(False, description="`validation` was given as a list", exclude=True)
    joint: list[Annotated[Component, Of("hook")]] = Field(
        default_factory=list, description="hooks that see both splits before training, in order"
    )
    memory: Literal["auto", "resident", "mapped"] = Field(
        "auto",
        description="where recordings are: in memory (resident), or in their files, from which segments are "
        "read when they are needed (mapped); auto maps when they would take more than `memory_limit_mib`",
    )
    memory_limit_mib: PositiveInt = Field(
        1024, description="how much memory `auto` lets recordings take, 4 bytes per sample (MiB)"
    )
    metadata: UserMetadata = Field(
        default_factory=lambda: UserMetadata.model_validate({}), description="written into the exported model"
    )

    @classmethod
    def member(cls, name: str, config: dict[str, Any]) -> Any:
        """A dataset with the common keys merged in, checked by the model of its kind.

        Raises:
            ValidationError: with places that begin with ``name`` or ``config``.
        """
        if not _takes_nx(name):
            config.pop("nx", None)
        return Of("dataset").validate({"name": name, "config": config})

    @model_validator(mode="wrap")
    @classmethod
    def _merge_common(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, dict):
            return handler(value)
        reader = SplitReader(value, cls.member)
        rest = {
            key: item for key, item in value.items() if key not in ("train", "validation", "type", "common")
        }
        for key in ("train_is_list", "validation_is_list"):
            if key in rest:
                reader.errors.append(line(f"expected a known key, but got '{key}'", (key,), rest.pop(key)))
        for split in SPLITS:
            rest[split] = reader.split(split, cls.known_keys())
            rest[f"{split}_is_list"] = isinstance(value.get(split), list)
        try:
            config = handler(rest)
        except ValidationError as error:
            reader.errors += relocated(error)
        if reader.errors:
            raise ValidationError.from_exception_data("data", reader.errors)
        return config

    @model_validator(mode="after")
    def _limit_has_a_use(self) -> Self:
        if "memory_limit_mib" in self.model_fields_set and self.memory != "auto":
            raise PydanticCustomError(
                "expected",
                'expected `memory_limit_mib` with "memory": "auto" only, but got "{memory}"',
                {"memory": self.memory},
            )
        return self

    def canonical(self) -> dict[str, Any]:
        """The data JSON in the one canonical spelling, common keys merged in."""
        dump: dict[str, Any] = {}
        for split in SPLITS:
            members = [member.canonical() for member in getattr(self, split)]
            dump[split] = members if getattr(self, f"{split}_is_list") else members[0]
        if self.joint:
            dump["joint"] = [hook.canonical() for hook in self.joint]
        for key in ("memory", "memory_limit_mib"):
            if key in self.model_fields_set:
                dump[key] = getattr(self, key)
        if self.metadata.model_fields_set:
            dump["metadata"] = self.metadata.model_dump(exclude_unset=True)
        return dump


def _takes_nx(name: str) -> bool:
    """Whether a kind of dataset reads ``nx`` from its config; the others get the net's from the run."""
    try:
        entry = DATASETS.find(name)
        model = entry.load_config()
    except UnknownNameError:
        return True
    return entry.takes_dict or (model is not None and "nx" in model.model_fields)
