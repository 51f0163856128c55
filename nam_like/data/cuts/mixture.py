"""The effective mixture of a dataset: how often each of its sources is drawn from, and why.

``input_cfg`` is a list of items, or the path of a YAML or JSON file that holds one. An item of type ``group``
has an ``input_cfg`` of its own; the others are sources.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.optional import require
from nam_like.data.reweighting import Member, nesting_depth, probabilities, temperatures
from nam_like.data.store import find_file
from nam_like.registry import did_you_mean

__all__ = ["Mixture", "MixtureRow", "check_items", "load_input_cfg"]

SOURCES: dict[str, tuple[str, ...]] = {
    "lhotse": ("cuts_path",),
    "lhotse_shar": ("shar_path",),
    "nemo": ("manifest_filepath",),
    "nemo_tarred": ("manifest_filepath", "tarred_audio_filepaths"),
}
"""What an item of each type must have."""
_NEMO = ("input_key", "target_key", "reference_key", "embedding_key")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "group": ("input_cfg",),
    "lhotse": (),
    "lhotse_shar": ("slice_length", "shard_seed"),
    "nemo": _NEMO,
    "nemo_tarred": (*_NEMO, "shard_seed"),
}
_SECONDS = ("min_duration", "max_duration")
_ANY = ("type", "weight", "tags", *_SECONDS)
_ALIASES = {"tarred_audio_filepath": "tarred_audio_filepaths"}


@dataclass(frozen=True)
class MixtureRow:
    """One source of a mixture.

    Attributes:
        leaf: its number, from 0.
        type: of its item.
        path: where it stands: ``input_cfg[0].input_cfg[2]``.
        location: where its data lie.
        weight: as given; None where none is.
        temperature: of the level it stands on.
        probability: how often it is drawn from.
        tags: its own, and those of the groups around it.
    """

    leaf: int
    type: str
    path: str
    location: str
    weight: float | None
    temperature: float
    probability: float
    tags: Mapping[str, Any]


class Mixture:
    """The sources of an ``input_cfg``, with how often each is drawn from.

    Args:
        items: as :func:`load_input_cfg` gives them.
        temperature: ``reweight_temperature``.
        strict: see :func:`nam_like.data.reweighting.temperatures`.

    Raises:
        DataError: a group is empty, or a weight or temperature is wrong.
    """

    def __init__(
        self, items: Sequence[Mapping[str, Any]], temperature: Any = None, *, strict: bool = False
    ) -> None:
        taus = temperatures(temperature, nesting_depth({"input_cfg": items}), strict=strict)
        self.members: list[Member] = probabilities(items, taus)
        self.rows = [
            MixtureRow(
                leaf=number,
                type=str(member.item["type"]),
                path=path_of(member),
                location=_location(member.item),
                weight=member.item.get("weight"),
                temperature=taus[sum(step == "input_cfg" for step in member.place) - 1],
                probability=member.probability,
                tags=member.tags,
            )
            for number, member in enumerate(self.members)
        ]

    @property
    def probabilities(self) -> list[float]:
        """How often each source is drawn from."""
        return [member.probability for member in self.members]

    def as_dict(self) -> dict[str, Any]:
        """The mixture as JSON."""
        return {"mixture": [{**asdict(row), "tags": dict(row.tags)} for row in self.rows]}

    def table(self) -> str:
        """The mixture as text, a line for each source."""
        head = ("leaf", "path", "type", "location", "weight", "temperature", "probability", "tags")
        lines = [
            head,
            *(
                (
                    str(row.leaf),
                    row.path,
                    row.type,
                    row.location,
                    "–" if row.weight is None else f"{row.weight:g}",
                    f"{row.temperature:g}",
                    f"{row.probability:.6f}",
                    " ".join(f"{key}={value}" for key, value in row.tags.items()),
                )
                for row in self.rows
            ),
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def path_of(member: Member) -> str:
    """``input_cfg[0].input_cfg[2]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in member.place)
    return text.removeprefix(".")


def load_input_cfg(
    given: str | Sequence[Any], folders: Sequence[Path] = (), place: str = "input_cfg"
) -> list[dict[str, Any]]:
    """The items of an ``input_cfg``, files of nested ones read, and checked.

    Args:
        given: the list, or a path to one in YAML or JSON; relative paths in it begin in its folder.
        folders: where relative paths are looked up after the current directory.
        place: for messages.

    Raises:
        DataError: an item has an unknown type or key, or lacks one.
        UserError: a file is missing.
    """
    if isinstance(given, str):
        path = find_file(given, folders, place)
        return load_input_cfg(_content(path), (path.parent, *folders), place)
    items = check_items(given, place)
    for number, item in enumerate(items):
        if item["type"] == "group":
            item["input_cfg"] = load_input_cfg(item["input_cfg"], folders, f"{place}[{number}].input_cfg")
        else:
            item["_folders"] = tuple(folders)
    return items


def check_items(given: Any, place: str = "input_cfg") -> list[dict[str, Any]]:
    """The items of one list, by their proper keys.

    Raises:
        DataError: an item has an unknown type or key, or lacks one.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise DataError(f"{place}: expected a list of items, or a path to one, but got {describe(given)}")
    if not given:
        raise DataError(f"Empty group in dataset config list: {place}")
    items = []
    for number, item in enumerate(given):
        here = f"{place}[{number}]"
        if not isinstance(item, Mapping):
            raise DataError(f"{here}: expected an object, but got {describe(item)}")
        items.append(_checked({_ALIASES.get(str(key), str(key)): value for key, value in item.items()}, here))
    return items


def _checked(item: dict[str, Any], here: str) -> dict[str, Any]:
    kind = str(item.get("type"))
    if kind not in _OPTIONS:
        raise DataError(
            f"{here}: Unknown item type in dataset config list: type={kind!r}"
            f"{did_you_mean(kind, list(_OPTIONS))} (available: {', '.join(_OPTIONS)})"
        )
    needed = ("input_cfg",) if kind == "group" else SOURCES[kind]
    known = (*needed, *_OPTIONS[kind], *_ANY)
    for key in item:
        if key not in known and not key.startswith("_"):
            raise DataError(
                f"{here}: expected a key of an item of type {kind}, but got '{key}'{did_you_mean(key, known)}"
            )
    for key in needed:
        if item.get(key) is None:
            raise DataError(f"{here}: expected `{key}` in an item of type {kind}, but got none")
    for key in _SECONDS:
        value = item.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise DataError(f"{here}: expected `{key}` to be a number, but got {describe(value)}")
    for key in _NEMO:
        if key in item and not isinstance(item[key], str | None):
            raise DataError(f"{here}: expected `{key}` to be a string, but got {describe(item[key])}")
    tags = item.get("tags")
    if tags is not None and not isinstance(tags, Mapping):
        raise DataError(f"{here}: expected `tags` to be an object, but got {describe(tags)}")
    cleaned = {key: value for key, value in item.items() if not key.startswith("_")}
    cleaned["tags"] = dict(tags or {})
    return cleaned


def _content(path: Path) -> Any:
    """What a YAML or JSON file holds; a mapping with an ``input_cfg`` stands for that."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            content = json.loads(text)
        else:
            yaml = require("yaml", "input_cfg files in YAML")
            try:
                content = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise DataError(f"{path}: expected YAML, but got {error}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: expected a list of datasets, but got {error}") from error
    return content["input_cfg"] if isinstance(content, Mapping) and "input_cfg" in content else content


def _location(item: Mapping[str, Any]) -> str:
    """Where the data of an item lie, in a few words."""
    value = item[SOURCES[item["type"]][-1]]
    names = list(_words(value))
    return names[0] + (f" (+{len(names) - 1})" if len(names) > 1 else "")


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, Mapping):
        yield from _words(value.get("cuts", []))
    elif isinstance(value, Sequence):
        for entry in value:
            yield from _words(entry)
