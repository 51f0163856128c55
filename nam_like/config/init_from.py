"""``learning.json`` → ``init_from_…``: weights of another model that training starts from.

Each key takes a path (or a name), or labelled entries that are applied in order, the later over the earlier:
``{"speech": {"path": "a.nemo", "include": ["estimator"], "exclude": ["output_projection"]}}``.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from nam_like.config.base import Bool, Config, Str, describe
from nam_like.config.lines import refusal

__all__ = [
    "INIT_KEYS",
    "InitEntry",
    "InitNames",
    "InitPaths",
    "PathEntry",
    "PretrainedEntry",
    "canonical_start",
    "check_one_start",
    "init_entries",
]

#: the keys, of which a file has one at most
INIT_KEYS = ("init_from_nemo_model", "init_from_pretrained_model", "init_from_ptl_ckpt")
#: the label of the only entry where a path stands alone
ONLY = "model0"

_Text = Annotated[Str, Field(min_length=1)]


class InitEntry(Config):
    """Which weights of a source are taken."""

    include: list[Str] = Field(
        default_factory=lambda: [""],
        min_length=1,
        description='weights with one of these in their name are taken; [""] takes all',
    )
    exclude: list[_Text] = Field(
        default_factory=list, description="weights with one of these in their name are not taken"
    )
    ignore_mismatched: Bool = Field(
        False, description="leave weights of another shape as they are; otherwise they are an error"
    )

    def takes(self, name: str) -> bool:
        """Whether a weight of this name is to be taken."""
        return any(part in name for part in self.include) and not any(part in name for part in self.exclude)


class PathEntry(InitEntry):
    """A file and which of its weights are taken."""

    path: _Text = Field(description="the file; relative paths start where those of recordings do")


class PretrainedEntry(InitEntry):
    """A model by its public name and which of its weights are taken."""

    name: _Text = Field(
        description="as in nvidia/se_den_sb_16k_small; read from ~/.nam_like/pretrained, never downloaded"
    )


def _labelled(key: str) -> BeforeValidator:
    """A path alone, or one entry without a label, gets the label of an only entry."""

    def labelled(value: Any) -> Any:
        if isinstance(value, str):
            return {ONLY: {key: value}}
        if not isinstance(value, dict):
            raise refusal(f"expected a {key} or an object of entries, but got {describe(value)}", (), value)
        if not value:
            raise refusal("expected at least one entry, but got an empty object", (), value)
        return {ONLY: value} if isinstance(value.get(key), str) else value

    return BeforeValidator(labelled)


def _schema(entry: type[InitEntry]) -> WithJsonSchema:
    one = entry.model_json_schema()
    labelled = {"type": "object", "minProperties": 1, "additionalProperties": one}
    return WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, one, labelled, {"type": "null"}]})


_Paths = Annotated[dict[Str, PathEntry], _labelled("path")]
_Names = Annotated[dict[Str, PretrainedEntry], _labelled("name")]
InitPaths = Annotated[_Paths | None, _schema(PathEntry)]
InitNames = Annotated[_Names | None, _schema(PretrainedEntry)]


def init_entries(learning: Config) -> tuple[str, dict[str, PathEntry] | dict[str, PretrainedEntry]] | None:
    """The key of the learning JSON that is given and its entries by label, in order; None without one."""
    for key in INIT_KEYS:
        entries: dict[str, PathEntry] | dict[str, PretrainedEntry] | None = getattr(learning, key)
        if entries is not None:
            return key, entries
    return None


def check_one_start(learning: Config) -> None:
    """Make sure that the learning JSON names weights once.

    Raises:
        ValidationError: it has two of the keys.
    """
    given = [key for key in INIT_KEYS if getattr(learning, key) is not None]
    if len(given) > 1:
        raise refusal(f"expected one of {', '.join(INIT_KEYS)}, but got {' and '.join(given)}", (given[1],))


def canonical_start(learning: Config) -> dict[str, Any]:
    """The key that is given, with labelled entries; empty without one."""
    given = init_entries(learning)
    if given is None:
        return {}
    key, entries = given
    return {key: {label: entry.model_dump(exclude_unset=True) for label, entry in entries.items()}}
