"""The keys of a paired dataset; :class:`nam_like.data.paired.PairedDatasetConfig` makes the dataset of them.

They stand apart from it, because they are also read where PyTorch is not needed.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from nam_like.config.base import Bool, Config, Float, Int, NonNegativeFloat, NonNegativeInt, PositiveInt, Str

__all__ = ["PairedKeys"]


class PairedKeys(Config):
    """The keys of a dry and a wet recording."""

    x_path: Str = Field(
        description="input recording (dry); relative to the current directory or to this file"
    )
    y_path: Str = Field(
        description="output recording (wet); relative to the current directory or to this file"
    )
    nx: PositiveInt | None = Field(
        None, description="input samples per output sample; the net's receptive field replaces it"
    )
    ny: PositiveInt | None = Field(
        None, description="output samples per item; null makes the whole recording one item"
    )
    start_samples: Int | None = Field(None, description="first sample used; negative counts from the end")
    stop_samples: Int | None = Field(None, description="sample after the last; negative counts from the end")
    start_seconds: Float | None = Field(
        None, description="first second used; negative counts from the end (s)"
    )
    stop_seconds: Float | None = Field(None, description="where to stop; negative counts from the end (s)")
    start: Int | None = Field(None, description="old name of start_samples", deprecated=False)
    stop: Int | None = Field(None, description="old name of stop_samples", deprecated=False)
    delay: Int | None = Field(
        None,
        description="by how many samples y lags x; if positive, y is pulled forward by them (samples)",
    )
    y_scale: Float = Field(1.0, description="y is multiplied by it (factor)")
    input_gain: Float = Field(0.0, description="gain applied to x (dB)")
    sample_rate: PositiveInt | None = Field(
        None, description="rate that both files must have, or are resampled to (Hz); null takes that of x"
    )
    resample: Bool = Field(False, description="convert files of another rate instead of refusing them")
    y_preroll: NonNegativeInt | None = Field(
        None, description="samples dropped from the front of y before the lengths are compared"
    )
    allow_unequal_lengths: Bool = Field(False, description="cut the longer recording to the shorter one")
    require_input_pre_silence: NonNegativeFloat | None = Field(
        0.4,
        description="how long x must be exactly zero before a given start (s); null or false turns it off",
    )
    channel: NonNegativeInt | None = Field(
        None, description="channel read from both files, counted from 0; needed for stereo files"
    )
    x_channel: NonNegativeInt | None = Field(None, description="channel of x; replaces channel")
    y_channel: NonNegativeInt | None = Field(None, description="channel of y; replaces channel")
    random_offset: Bool = Field(
        False,
        description="training items start anywhere, anew in each epoch; validation items stay on the grid",
    )

    @field_validator("require_input_pre_silence", mode="before")
    @classmethod
    def _false_is_null(cls, value: Any) -> Any:
        return None if value is False else value

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        for end in ("start", "stop"):
            given = [
                key for key in (end, f"{end}_samples", f"{end}_seconds") if getattr(self, key) is not None
            ]
            if len(given) > 1:
                raise PydanticCustomError(
                    "expected",
                    "expected one of {end}_samples and {end}_seconds, but got {keys} together",
                    {"end": end, "keys": " and ".join(f"{key}: {getattr(self, key)}" for key in given)},
                )
        if self.y_scale == 0.0:
            raise PydanticCustomError(
                "expected", "expected `y_scale` not to be 0, which leaves nothing to learn", {}
            )
        return self
