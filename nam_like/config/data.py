"""``data.json``: the datasets of both splits, with what they have in common merged in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import Self

from nam_like.config.base import Bool, Config, PositiveInt, Str, describe
from nam_like.config.component import SPELLINGS, Component, Of
from nam_like.config.lines import Loc, line, relocated
from nam_like.config.metadata import UserMetadata
from nam_like.registry import DATASETS, UnknownNameError, closest

__all__ = ["DataConfig"]

DEFAULT_TYPE = "paired"
#: names that other tools have for our types
_ALIASES = {"dataset": DEFAULT_TYPE}
_SPLITS = ("train", "validation")


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

    @model_validator(mode="wrap")
    @classmethod
    def _merge_common(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, dict):
            return handler(value)
        reader = _Reader(value)
        rest = {
            key: item for key, item in value.items() if key not in ("train", "validation", "type", "common")
        }
        for key in ("train_is_list", "validation_is_list"):
            if key in rest:
                reader.errors.append(line(f"expected a known key, but got '{key}'", (key,), rest.pop(key)))
        for split in _SPLITS:
            rest[split] = reader.split(split)
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
        for split in _SPLITS:
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


@dataclass(frozen=True)
class _Entry:
    """One dataset as it stands in the file: its kind, its own keys, and where both were read."""

    name: str
    name_at: Loc
    own: dict[str, Any]
    own_at: Loc


class _Reader:
    """Merges the splits of one file; errors collect in :attr:`errors`, each where its key stands."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.errors: list[InitErrorDetails] = []
        self.seen: set[tuple[Loc, str]] = set()
        self.common: dict[str, Any] = {}
        self.default_name: str | None = DEFAULT_TYPE
        self.default_at: Loc = ("type",)
        self._top()

    def _top(self) -> None:
        common = self.value.get("common")
        if isinstance(common, dict):
            self.common = {key: item for key, item in common.items() if not key.startswith("_")}
        elif common is not None:
            self._add(f"expected an object, but got {describe(common)}", ("common",), common)
        places: list[tuple[dict[str, Any], Loc]] = [
            (self.value, ("type",)),
            (self.common, ("common", "type")),
        ]
        for holder, at in places:
            name = holder.get("type")
            if isinstance(name, str):
                self.default_name, self.default_at = name, at
            elif "type" in holder:
                self.default_name = None
                self._add(f"expected the name of a kind of dataset, but got {describe(name)}", at, name)
        self.common.pop("type", None)

    def _add(self, message: str, at: Loc, value: Any, kind: str = "expected") -> None:
        if (at, message) not in self.seen:
            self.seen.add((at, message))
            self.errors.append(line(message, at, value, kind))

    def split(self, split: str) -> list[Component]:
        """The datasets of one split; empty where it cannot be read."""
        if split not in self.value:
            if any(closest(key, DataConfig.known_keys()) == split for key in self.value):
                return []  # the misspelt key is reported
            self._add(f"expected the key '{split}', but got {describe(self.value)}", (split,), self.value)
            return []
        section = self.value[split]
        if isinstance(section, list):
            if not section:
                self._add("expected at least one dataset, but got an empty list", (split,), section)
            found = [self._dataset(item, (split, index)) for index, item in enumerate(section)]
        else:
            found = [self._dataset(section, (split,))]
        return [item for item in found if item is not None]

    def _dataset(self, value: Any, at: Loc) -> Component | None:
        if not isinstance(value, dict):
            wanted = "an object" if len(at) > 1 else "an object or a list of them"
            self._add(f"expected {wanted}, but got {describe(value)}", at, value)
            return None
        entry = self._entry(value, at)
        if entry is None:
            return None
        name = _ALIASES.get(entry.name, entry.name)
        config = {**self.common, **entry.own}
        if not _takes_nx(name):
            config.pop("nx", None)
        try:
            return Of("dataset").validate({"name": name, "config": config})
        except ValidationError as error:
            for item in relocated(error):
                self._relocate(item, entry)
            return None

    def _entry(self, value: dict[str, Any], at: Loc) -> _Entry | None:
        """Take one dataset apart: a component with a key that names it, or flat keys."""
        keys = {key: item for key, item in value.items() if key == "_target_" or not key.startswith("_")}
        named = list(_naming_keys(keys))
        if len(named) > 1:
            self._add(
                f"expected one key that names the dataset, but got '{named[0]}' and '{named[1]}'",
                (*at, named[1]),
                value,
            )
            return None
        if not named:
            if self.default_name is None:
                return None  # the wrong `type` is reported
            return _Entry(self.default_name, self.default_at, keys, at)
        return self._named(keys, named[0], at)

    def _named(self, keys: dict[str, Any], naming: str, at: Loc) -> _Entry | None:
        """As :meth:`_entry`, for a dataset with a key that names its kind."""
        name = keys.pop(naming)
        if not isinstance(name, str):
            self._add(f"expected a name, but got {describe(name)}", (*at, naming), name)
            return None
        holder = next((holder for holder in SPELLINGS[naming] if holder in keys), None)
        if holder is None:
            return _Entry(name, (*at, naming), keys, at)
        config = {} if keys[holder] is None else keys[holder]
        del keys[holder]
        if not isinstance(config, dict):
            self._add(f"expected an object, but got {describe(config)}", (*at, holder), config)
            return None
        for other, item in keys.items():
            self._add(
                f"expected it inside `{holder}`, but got the key '{other}' beside it", (*at, other), item
            )
        return _Entry(name, (*at, naming), config, (*at, holder))

    def _relocate(self, item: InitErrorDetails, entry: _Entry) -> None:
        """Put an error of the merged config where its key stands: in the dataset or in `common`."""
        loc = item.get("loc", ())
        if item["type"] == "missing" and not isinstance(self.value.get("common") or {}, dict):
            return  # it may stand in the part that could not be read
        if loc[:1] == ("name",):
            place: Loc = entry.name_at
        else:
            inside = loc[1:]
            in_common = bool(inside) and inside[0] in self.common and inside[0] not in entry.own
            place = ("common", *inside) if in_common else (*entry.own_at, *inside)
        kind = item["type"]
        key = (place, kind if isinstance(kind, str) else kind.message())
        if key not in self.seen:
            self.seen.add(key)
            self.errors.append(
                InitErrorDetails(type=kind, loc=place, input=item["input"], ctx=item.get("ctx", {}))
            )


def _naming_keys(value: dict[str, Any]) -> Iterator[str]:
    """The keys that name the kind of dataset; ``path`` and the like only beside the key of their config."""
    for key, holders in SPELLINGS.items():
        if key in value and (
            key in ("type", "name", "_target_") or any(holder in value for holder in holders)
        ):
            yield key


def _takes_nx(name: str) -> bool:
    """Whether a kind of dataset reads ``nx`` from its config; the others get the net's from the run."""
    try:
        entry = DATASETS.find(name)
        model = entry.load_config()
    except UnknownNameError:
        return True
    return entry.takes_dict or (model is not None and "nx" in model.model_fields)
