"""What users say about the gear they captured; it is written into the exported model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nam_like.config.base import Config, Float, Str

__all__ = ["GearType", "ToneType", "UserMetadata"]

GearType = Literal["amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"]
ToneType = Literal["clean", "overdrive", "crunch", "hi_gain", "fuzz"]
_Level = Annotated[Float, Field(ge=-100.0, le=100.0)]


class UserMetadata(Config):
    """The user's part of the ``.nam`` metadata; every entry is optional."""

    name: Str | None = Field(None, description="name of the model")
    modeled_by: Str | None = Field(None, description="who made the capture")
    gear_type: GearType | None = Field(None, description="what was captured")
    gear_make: Str | None = Field(None, description="who made the gear")
    gear_model: Str | None = Field(None, description="which model it is")
    tone_type: ToneType | None = Field(None, description="how it sounds")
    input_level_dbu: _Level | None = Field(
        None, description="level of a full-scale sine at the gear's input (dBu RMS)"
    )
    output_level_dbu: _Level | None = Field(
        None, description="level of a sine at the gear's output that reads full scale (dBu RMS)"
    )
