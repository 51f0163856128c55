"""Config of the dataset ``cuts``: Lhotse cuts with online augmentation, archives, and mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import Self

from nam_like.config.base import (
    Bool,
    Config,
    Float,
    Int,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Str,
    describe,
)
from nam_like.config.lines import line
from nam_like.data.base import AbstractDataset, DatasetContext
from nam_like.data.cuts.build import build_cuts
from nam_like.data.store import find_file

__all__ = ["CutsDatasetConfig"]

SOURCES = ("cuts_path", "shar_path", "input_cfg", "manifest_filepath")

_LOADER = "belongs to train_dataloader or val_dataloader of learning.json"
_ELSEWHERE = {
    "use_lhotse": 'is what "type": "cuts" says',
    "audio_duration": "is `truncate_duration` for cuts",
    "random_offset": 'is `truncate_offset_type`: "random" or "start" for cuts',
    "input_channel_selector": "is `channel_selector` for cuts",
    "target_channel_selector": "is the custom field `target_recording_channel_selector` of each cut",
    "reference_channel_selector": "is the custom field `reference_recording_channel_selector` of each cut",
    "max_utts": "is for manifests; write a manifest with fewer cuts",
    "batch_size": _LOADER,
    "batch_duration": "belongs into learning.json",
    "quadratic_duration": "belongs into learning.json",
    "shuffle": _LOADER,
    "drop_last": _LOADER,
    "num_workers": _LOADER,
    "pin_memory": _LOADER,
    "perturb_speed": "would leave the target at its speed",
    "max_open_streams": "would draw from sources by their length instead of their weight",
    "tarred_audio_filepaths": "belongs into an item of `input_cfg` of type nemo_tarred",
    "tarred_audio_filepath": "belongs into an item of `input_cfg` of type nemo_tarred",
}
"""Keys of the format's origin that are something else here."""


class CutsDatasetConfig(Config):
    """Lhotse cuts: a manifest, Shar archives, or a mixture; with noise and rooms added online."""

    cuts_path: Str | list[Str] | None = Field(
        None, description="Lhotse cuts (.jsonl, .jsonl.gz); relative to the current directory or to this file"
    )
    shar_path: Any = Field(
        None,
        description="Lhotse Shar: a folder, a list of folders (each weighs as many cuts as it has), a list "
        "of [folder, weight], or an object of the files of each field",
    )
    input_cfg: Any = Field(
        None,
        description="a mixture: list of items with type and weight, or a YAML or JSON file that holds one",
    )
    manifest_filepath: Str | list[Str] | None = Field(None, description="NeMo manifest (JSON lines), as cuts")
    input_key: Str = Field("audio_filepath", description="key of NeMo manifests: path of the recording")
    target_key: Str | None = Field("target_filepath", description="key of NeMo manifests: path of the target")
    reference_key: Str | None = Field(None, description="key of NeMo manifests: path of a reference")
    embedding_key: Str | None = Field(None, description="key of NeMo manifests: path of an .npy vector")
    require_target: Bool = Field(
        True, description="cuts must have a target_recording; false for self-supervised training"
    )
    sample_rate: PositiveInt = Field(16000, description="of all signals (Hz); others are resampled")
    channel_selector: NonNegativeInt | Str | None = Field(
        None, description="channel of the recording, or the cut's custom field that names it"
    )
    normalization_signal: Literal["input_signal", "target_signal", "reference_signal"] | None = Field(
        None, description="all signals of an example are divided by this one's largest magnitude"
    )
    min_duration: Float | None = Field(None, description="shortest cut, before truncation (s)")
    max_duration: Float | None = Field(None, description="longest cut, before truncation (s)")
    truncate_duration: PositiveFloat | None = Field(None, description="longest example (s)")
    truncate_offset_type: Literal["random", "start", "end"] = Field(
        "random", description="which part of a longer cut an example is"
    )
    rir_enabled: Bool = Field(False, description="let the input sound in rooms")
    rir_path: Str | list[Str] | None = Field(
        None, description="Lhotse recordings that are room impulse responses; null makes up rooms"
    )
    rir_prob: NonNegativeFloat = Field(0.5, le=1.0, description="probability of a room")
    noise_path: Str | dict[str, Any] | None = Field(
        None,
        description="noise: Lhotse cuts (.jsonl, .jsonl.gz), an input_cfg (.yaml), a Shar folder, a NeMo "
        "manifest (otherwise), or an object with cuts_path, shar_path, manifest_filepath or input_cfg",
    )
    noise_snr: tuple[Float, Float] = Field((10.0, 20.0), description="lowest and highest SNR, or one (dB)")
    noise_mix_prob: NonNegativeFloat = Field(0.5, le=1.0, description="probability of noise")
    augment_order: Literal["nemo", "rir_then_noise"] = Field(
        "nemo", description="nemo: speech and noise sound in one room; rir_then_noise: speech alone does"
    )
    reweight_temperature: Any = Field(
        None, description="temperature of the weights of `input_cfg`: a number, or one per nesting level"
    )
    reweight_strict: Bool = Field(False, description="a list of temperatures must have one per nesting level")
    seed: Int = Field(0, description="of everything random")
    shard_seed: Int | Literal["randomized"] = Field(
        "randomized",
        description="of the order of archives; randomized derives it from the run's seed. Workers and "
        "processes always share the cuts, and no order repeats in the next epoch",
    )
    shuffle_buffer_size: NonNegativeInt = Field(
        10000, description="cuts of archives held per worker to be given in another order; 0 keeps theirs"
    )
    slice_length: PositiveInt | None = Field(
        None, description="cuts taken from each Shar archive at a time, from a random one on; null takes all"
    )
    force_finite: Bool = Field(
        False, description="archives and mixtures end after one pass: they are held in memory, undecoded"
    )
    force_map_dataset: Bool = Field(False, description="the same as `force_finite`")
    force_iterable_dataset: Bool = Field(False, description="manifests become endless streams, too")

    elsewhere: ClassVar[dict[str, str]] = _ELSEWHERE

    @classmethod
    def _unknown_key(cls, key: str, suggestion: str | None, value: Any) -> InitErrorDetails:
        if key in cls.elsewhere:
            return line(f"expected no `{key}`: it {cls.elsewhere[key]}", (key,), value, "unknown_key")
        return super()._unknown_key(key, suggestion, value)

    @field_validator("noise_snr", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        pair = [value, value] if isinstance(value, int | float) and not isinstance(value, bool) else value
        numbers = isinstance(pair, list | tuple) and len(pair) == 2
        if not numbers or not all(isinstance(item, int | float) for item in pair) or pair[0] > pair[1]:
            raise PydanticCustomError(
                "expected",
                "expected [lowest, highest] SNR in dB, but got {got}",
                {"got": list(pair) if numbers else describe(value)},
            )
        return tuple(pair)

    @field_validator("shard_seed", mode="before")
    @classmethod
    def _reproducible(cls, value: Any) -> Any:
        if value != "randomized" and isinstance(value, str | bool):
            raise PydanticCustomError(
                "expected",
                'expected "randomized" or an integer, which can be reproduced, but got {got}',
                {"got": describe(value)},
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if not given:
            raise PydanticCustomError(
                "expected",
                "You must specify either: {names}, but got none",
                {"names": ", ".join(SOURCES)},
            )
        if len(given) > 1:
            raise PydanticCustomError(
                "expected",
                "expected one of {names}, but got {given}",
                {"names": ", ".join(SOURCES), "given": " and ".join(given)},
            )
        if self.force_iterable_dataset and (self.force_finite or self.force_map_dataset):
            raise PydanticCustomError(
                "expected",
                "expected `force_iterable_dataset` without force_finite and force_map_dataset, but got both",
            )
        return self

    def build(self, context: DatasetContext) -> AbstractDataset:
        """Make the dataset: one by number for manifests and for validation, a stream for what is endless.

        Raises:
            UserError: a file is missing, or Lhotse is not installed.
            DataError: a manifest or archive is wrong.
        """
        folders = tuple(Path(folder) for folder in context.folders)
        dataset = build_cuts(self, folders, context.split, context.seed)
        given = self.cuts_path or self.manifest_filepath or []
        named = [given] if isinstance(given, str) else given
        dataset.lists = tuple(find_file(path, folders, "cuts_path") for path in named)
        dataset.name = dataset.lists[0].name.partition(".")[0] if dataset.lists else ""
        return dataset
