"""What a model JSON says about a ConvNet."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from nam_like.config.base import Bool, Config, PositiveFloat, PositiveInt, describe
from nam_like.config.component import Component
from nam_like.models.amp.convnet.model import ConvNet
from nam_like.models.blocks.activation_field import OfActivation
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["ConvNetConfig"]


def _no_impulse_response(value: Any) -> Any:
    if value is not None:
        raise PydanticCustomError(
            "expected",
            "expected null (put a Linear behind the ConvNet in a Sequential instead), but got {got}",
            {"got": describe(value)},
        )
    return value


class ConvNetConfig(Config):
    """A ConvNet."""

    channels: PositiveInt = Field(32, description="width")
    dilations: list[PositiveInt] = Field(
        [1, 2, 4, 8], description="samples between the two taps of each block", min_length=1
    )
    batchnorm: Bool = Field(False, description="whether the blocks normalise")
    activation: Annotated[Component, OfActivation("activation", flat=True, pairs=False)] = Field(
        "Tanh", validate_default=True, description="activation of each block"
    )
    train_strategy: Literal["dilate"] = Field("dilate", description="dilate: the only one there is")
    ir_filename: Annotated[None, BeforeValidator(_no_impulse_response)] = Field(
        None, description="null: put a Linear behind the ConvNet in a Sequential instead"
    )
    sample_rate: PositiveFloat | None = Field(None, description="sample rate (Hz); by default the data's")

    @model_validator(mode="after")
    def _slopes(self) -> ConvNetConfig:
        count = len(getattr(self.activation.config, "slopes", [0]))
        if count not in (1, self.channels):
            message = f"expected the PReLU to have 1 or {self.channels} slopes, but got {count}"
            refuse_all("ConvNet", [Problem(("activation",), message, count)])
        return self

    def build(self) -> ConvNet:
        """Make the net."""
        return ConvNet(
            self.channels,
            self.dilations,
            [self.activation.build() for _ in self.dilations],
            batchnorm=self.batchnorm,
            sample_rate=self.sample_rate,
        )


ConvNet.config_model = ConvNetConfig
