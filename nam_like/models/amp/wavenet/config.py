"""Config of a WaveNet: layer arrays, scale, post-stack head and condition, in all spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nam_like.config.base import Config, Float, PositiveFloat, PositiveInt, Str
from nam_like.config.component import Component
from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.array_config import LayerArrayConfig
from nam_like.models.amp.wavenet.fields import IntOrList
from nam_like.models.amp.wavenet.head import PostHead
from nam_like.models.amp.wavenet.model import WaveNet
from nam_like.models.blocks.activation_field import OfActivation
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["ConditionDspConfig", "PostHeadConfig", "WaveNetConfig"]


class PostHeadConfig(Config):
    """The head after the stack: per convolution first the activation, after scaling with head_scale."""

    in_channels: PositiveInt | None = Field(
        None, description="channels of the last array's head (the default)"
    )
    channels: PositiveInt = Field(description="channels between the convolutions")
    activation: Annotated[Component, OfActivation("activation", flat=True, pairs=False)] = Field(
        description="before each convolution"
    )
    out_channels: PositiveInt = Field(1, description="channels of the output")
    kernel_sizes: IntOrList | None = Field(None, description="taps of each convolution")
    num_layers: PositiveInt | None = Field(None, description="that many 1×1 convolutions")

    @model_validator(mode="after")
    def _one_spelling(self) -> PostHeadConfig:
        problems = []
        if (self.kernel_sizes is None) == (self.num_layers is None):
            got = "neither" if self.num_layers is None else "both"
            loc = () if self.num_layers is None else ("num_layers",)
            problems.append(Problem(loc, f"expected one of `kernel_sizes` and `num_layers`, but got {got}"))
        refuse_all("head", problems)
        return self

    @property
    def kernels(self) -> list[int]:
        """Taps of each convolution."""
        if self.kernel_sizes is None:
            return [1] * (self.num_layers or 1)
        return self.kernel_sizes if isinstance(self.kernel_sizes, list) else [self.kernel_sizes]

    def slope_problems(self, in_channels: int) -> Iterator[Problem]:
        """A PReLU with one slope per channel needs the same width at every convolution."""
        count = len(getattr(self.activation.config, "slopes", [0]))
        widths = [in_channels] + [self.channels] * (len(self.kernels) - 1)
        for width in widths:
            if count not in (1, width):
                yield Problem(
                    ("activation",), f"expected the PReLU to have 1 or {width} slopes, but got {count}", count
                )
                return

    def build(self, in_channels: int) -> PostHead:
        """Make the head."""
        return PostHead(in_channels, self.channels, self.out_channels, self.kernels, self.activation.build())


class StackConfig(Config):
    """A WaveNet with any number of output channels (a condition has several)."""

    layers_configs: list[LayerArrayConfig] | None = Field(None, description="the layer arrays", min_length=1)
    layers: list[LayerArrayConfig] | None = Field(
        None, description="the same as layers_configs, as exported", min_length=1
    )
    head: PostHeadConfig | None = Field(None, description="head after the stack (default none)")
    head_config: PostHeadConfig | None = Field(None, description="the same as head")
    head_scale: Float = Field(1.0, description="constant factor of the stack's output")
    condition_dsp: ConditionDspConfig | None = Field(
        None, description="a WaveNet that makes the condition from the audio (default: the audio itself)"
    )
    sample_rate: PositiveFloat | None = Field(
        None, description="sample rate (Hz); the data's where it is left out"
    )
    in_channels: PositiveInt | None = Field(None, description="1, as exported", le=1)

    @model_validator(mode="after")
    def _consistent(self) -> StackConfig:
        problems = list(self._spelling_problems())
        if not problems:
            problems = [*self._array_problems(), *self._head_problems()]
        refuse_all("WaveNet", problems)
        return self

    def _spelling_problems(self) -> Iterator[Problem]:
        for first, second in (("layers_configs", "layers"), ("head", "head_config")):
            if getattr(self, first) is not None and getattr(self, second) is not None:
                yield Problem((second,), f"expected one of `{first}` and `{second}`, but got both")
        rate = self.condition_dsp.sample_rate if self.condition_dsp else None
        if rate is not None and self.sample_rate is not None and rate != self.sample_rate:
            yield Problem(
                ("condition_dsp", "sample_rate"),
                f"expected {self.sample_rate:g} (the net's), but got {rate:g}",
                rate,
            )
        if self.layers_configs is None and self.layers is None:
            yield Problem((), "expected `layers_configs`, but got none")

    @property
    def arrays(self) -> list[LayerArrayConfig]:
        """The layer arrays."""
        return self.layers_configs or self.layers or []

    @property
    def arrays_key(self) -> str:
        """The key under which they stand."""
        return "layers_configs" if self.layers_configs is not None else "layers"

    @property
    def post_head(self) -> PostHeadConfig | None:
        """The head after the stack."""
        return self.head or self.head_config

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.post_head.out_channels if self.post_head else self.arrays[-1].head_shape.out_channels

    def condition_width(self) -> tuple[int, str]:
        """Channels of the condition, and what they are."""
        if self.condition_dsp is not None:
            return self.condition_dsp.config.out_channels, "the channels of condition_dsp"
        return 1, "the audio"

    def _array_problems(self) -> Iterator[Problem]:
        width, what = self.condition_width()
        for index, array in enumerate(self.arrays):
            for loc, message, value in self._links(index, array):
                yield Problem((self.arrays_key, index, *loc), message, value)
            size = width if array.condition_size is None else array.condition_size
            if size not in (0, width):
                yield Problem(
                    (self.arrays_key, index, "condition_size"),
                    f"expected {width} ({what}) or 0 (no condition), but got {size}",
                    size,
                )
                continue
            for loc, message, value in array.condition_problems(size):
                yield Problem((self.arrays_key, index, *loc), message, value)

    def _links(self, index: int, array: LayerArrayConfig) -> Iterator[Problem]:
        """Whether an array fits the one before it."""
        expected, what = 1, "the audio"
        if index:
            before = self.arrays[index - 1]
            expected, what = before.channels, f"the channels of array {index - 1}"
            head = before.head_shape.out_channels
            if array.skip_size != head:
                yield Problem(
                    array.skip_key,
                    f"expected {head} channels on the skip path (the head output of array {index - 1}), "
                    f"but got {array.skip_size}",
                    array.skip_size,
                )
        if array.input_size not in (None, expected):
            yield Problem(
                ("input_size",), f"expected {expected} ({what}), but got {array.input_size}", array.input_size
            )

    def _head_problems(self) -> Iterator[Problem]:
        last = self.arrays[-1].head_shape.out_channels
        head, key = self.post_head, "head" if self.head is not None else "head_config"
        if head is not None:
            if head.in_channels not in (None, last):
                yield Problem(
                    (key, "in_channels"),
                    f"expected {last} (the head output of the last array), but got {head.in_channels}",
                    head.in_channels,
                )
            for loc, message, value in head.slope_problems(last):
                yield Problem((key, *loc), message, value)

    def output_problems(self) -> Iterator[Problem]:
        """The output must be mono, except where it is another net's condition."""
        if self.out_channels != 1:
            loc: tuple[str | int, ...] = (self.arrays_key, len(self.arrays) - 1, *self.arrays[-1].head_key)
            if self.post_head is not None:
                loc = ("head" if self.head is not None else "head_config", "out_channels")
            yield Problem(loc, f"expected 1 output channel, but got {self.out_channels}", self.out_channels)

    def parts(self) -> dict[str, Any]:
        """The flat arguments of :class:`WaveNet`."""
        width, _ = self.condition_width()
        arrays: list[LayerArray] = []
        for config in self.arrays:
            arrays.append(config.build(arrays[-1].channels if arrays else 1, width))
        return {
            "arrays": arrays,
            "head": self.post_head.build(arrays[-1].head_size) if self.post_head else None,
            "head_scale": self.head_scale,
            "condition_dsp": self.condition_dsp.build() if self.condition_dsp else None,
            "sample_rate": self.sample_rate,
        }


class ConditionDspConfig(Config):
    """The WaveNet that makes the condition, as in a config (`name`, `config`) or as exported."""

    name: Literal["WaveNet"] | None = Field(None, description="WaveNet")
    architecture: Literal["WaveNet"] | None = Field(None, description="the same as name, as exported")
    config: StackConfig = Field(description="the net, with as many output channels as the condition has")
    weights: list[Float] | None = Field(None, description="weights that training starts from, as exported")
    sample_rate: PositiveFloat | None = Field(None, description="sample rate (Hz), as exported")
    version: Str | None = Field(None, description="file version, as exported; not needed")
    metadata: dict[str, Any] | None = Field(None, description="as exported; not needed")

    @model_validator(mode="after")
    def _one_name(self) -> ConditionDspConfig:
        if (self.name is None) == (self.architecture is None):
            got = "neither" if self.name is None else "both"
            refuse_all("condition_dsp", [Problem((), f"expected `name` to be WaveNet, but got {got}")])
        return self

    def build(self) -> WaveNet:
        """Make the net."""
        net = WaveNet(**self.config.parts())
        if self.weights is not None:
            net.import_weights(self.weights)
        return net


class WaveNetConfig(StackConfig):
    """A WaveNet."""

    @model_validator(mode="after")
    def _mono(self) -> WaveNetConfig:
        refuse_all("WaveNet", self.output_problems())
        return self

    def build(self) -> WaveNet:
        """Make the net."""
        return WaveNet(**self.parts())


StackConfig.model_rebuild()
WaveNetConfig.model_rebuild()
WaveNet.config_model = WaveNetConfig
