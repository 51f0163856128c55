"""The config of a manifest dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import Self

from nam_like.config.base import (
    Bool,
    Config,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    describe,
)
from nam_like.config.lines import line, refusal
from nam_like.data.base import DataError, DatasetContext
from nam_like.data.manifest.channels import ChannelSelector
from nam_like.data.manifest.dataset import ManifestDataset, Segmenting, SignalName
from nam_like.data.manifest.elsewhere import ELSEWHERE
from nam_like.data.manifest.filters import select_entries
from nam_like.data.manifest.lines import as_list, located, read_manifests
from nam_like.data.store import find_file

__all__ = ["ManifestDatasetConfig"]


def _names(value: Any) -> Any:
    """A name, several in one string with commas, or a list of them."""
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names) or not as_list(value):
        raise PydanticCustomError(
            "expected", "expected a string or a list of strings, but got {got}", {"got": describe(value)}
        )
    return value


Names = Annotated[str | list[str], BeforeValidator(_names)]


class ManifestDatasetConfig(Config):
    """Pairs of recordings that manifests list, one JSON object per line."""

    manifest_filepath: Names = Field(
        description="manifests: a path, several with commas between, or a list; relative to the current "
        "directory or to this file"
    )
    sample_rate: PositiveInt = Field(description="rate that files of other rates are converted to (Hz)")
    input_key: Names = Field(
        "audio_filepath", description="key, or keys, of a line that name the files of the input"
    )
    target_key: Names | None = Field(
        "target_filepath", description="key, or keys, that name the files of the target; null has none"
    )
    reference_key: Names | None = Field(None, description="key, or keys, that name the files of a reference")
    embedding_key: Names | None = Field(None, description="key, or keys, that name .npy files of vectors")
    input_channel_selector: ChannelSelector = Field(
        None,
        description="channels used of each input file: null all, a number one, a list these in this order, "
        '"average" their mean',
    )
    target_channel_selector: ChannelSelector = Field(None, description="channels used of each target file")
    reference_channel_selector: ChannelSelector = Field(
        None, description="channels used of each reference file"
    )
    audio_duration: PositiveFloat | None = Field(
        None, description="how long an example is (s); null takes all that its line means"
    )
    random_offset: Bool = Field(
        False, description="training examples begin anywhere, anew in each epoch; validation at their offset"
    )
    min_duration: NonNegativeFloat | None = Field(
        None, description="lines of a shorter `duration` are left out (s)"
    )
    max_duration: NonNegativeFloat | None = Field(
        None, description="lines of a longer `duration` are left out (s)"
    )
    max_utts: NonNegativeInt = Field(0, description="how many lines are used at most; 0 uses all")
    normalization_signal: SignalName | None = Field(
        None, description="all signals of an example are divided by the peak of this one"
    )
    reference_is_synchronized: Bool = Field(
        True, description="the reference runs in time with the input; false: it is cut by itself"
    )
    reference_duration: PositiveFloat | None = Field(
        None, description="how much of a reference that is not synchronized is taken (s); null takes all"
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        shortest, longest = self.min_duration, self.max_duration
        if shortest is not None and longest is not None and shortest > longest:
            message = f"expected `max_duration` to be at least `min_duration`, {shortest:g} s, but got "
            raise refusal(f"{message}{longest:g} s", ("max_duration",))
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        """Refuse keys that say something about a signal that there is not."""
        absent = [role for role in ("target", "reference") if getattr(self, f"{role}_key") is None]
        for role in absent:
            if self.normalization_signal == f"{role}_signal":
                message = f"expected a signal of the data, but got '{role}_signal', and `{role}_key` is null"
                raise refusal(message, ("normalization_signal",))
            about = (f"{role}_channel_selector", f"{role}_duration", f"{role}_is_synchronized")
            for key in about:
                if (
                    key in type(self).model_fields
                    and getattr(self, key) != type(self).model_fields[key].default
                ):
                    got = describe(getattr(self, key))
                    raise refusal(f"expected `{key}` only with a `{role}_key`, but got {got}", (key,))
        if self.reference_duration is not None and self.reference_is_synchronized:
            message = "expected `reference_duration` only with `reference_is_synchronized` false, but got "
            raise refusal(f"{message}{self.reference_duration:g}", ("reference_duration",))
        return self

    @classmethod
    def _unknown_key(cls, key: str, suggestion: str | None, value: Any) -> InitErrorDetails:
        if key in ELSEWHERE:
            return line(f"`{key}` {ELSEWHERE[key]}", (key,), value, "unknown_key")
        return super()._unknown_key(key, suggestion, value)

    def build(self, context: DatasetContext) -> ManifestDataset:
        """Read the manifests, see that all files are there, and make the dataset.

        Raises:
            UserError: a manifest is not there or has wrong lines, files are missing, or no entry is left.
        """
        random_offset = self.random_offset and context.split == "train"
        if random_offset and self.audio_duration is None and self.reference_duration is None:
            raise DataError("expected an `audio_duration` with `random_offset`, but got null")
        paths = [
            find_file(path, context.folders, "manifest_filepath") for path in as_list(self.manifest_filepath)
        ]
        entries = select_entries(
            read_manifests(paths, self._keys()),
            min_duration=self.min_duration,
            max_duration=self.max_duration,
            max_utts=self.max_utts,
        )
        return ManifestDataset(
            located(entries),
            sample_rate=self.sample_rate,
            segmenting=Segmenting(
                audio_duration=self.audio_duration,
                random_offset=random_offset,
                reference_is_synchronized=self.reference_is_synchronized,
                reference_duration=self.reference_duration,
            ),
            selectors={
                "input": self.input_channel_selector,
                "target": self.target_channel_selector,
                "reference": self.reference_channel_selector,
            },
            normalization_signal=self.normalization_signal,
            seed=context.seed,
        )

    def _keys(self) -> Mapping[str, list[str]]:
        """Role to the keys of a line that name its files."""
        given = {role: getattr(self, f"{role}_key") for role in ("input", "target", "reference", "embedding")}
        return {role: as_list(keys) for role, keys in given.items() if keys is not None}
