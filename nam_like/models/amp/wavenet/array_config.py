"""Config of one layer array, in all spellings: current, older (`head_size`, `gated`) and as exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator
from torch import nn

from nam_like.config.base import Bool, Config, NonNegativeInt, PositiveInt
from nam_like.config.component import Component
from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.fields import (
    ArrayHeadConfig,
    FilmField,
    FilmParams,
    GatingModes,
    Head1x1Config,
    IntOrList,
    Layer1x1Config,
)
from nam_like.models.amp.wavenet.layer import FILM_POSITIONS, FilmShape, Head1x1, film_widths
from nam_like.models.blocks.activation_field import ActivationOrList
from nam_like.models.blocks.activations import PairBlend, PairMultiply
from nam_like.models.blocks.problems import Problem, refuse_all

__all__ = ["LayerArrayConfig"]

Activations = Annotated[Any, ActivationOrList()]
PlainActivations = Annotated[Any, ActivationOrList(optional=True, pairs=False)]
_PAIRS = {"gated": PairMultiply, "blended": PairBlend}


class LayerArrayConfig(Config):
    """One layer array of a WaveNet."""

    input_size: PositiveInt | None = Field(
        None, description="channels that come in: 1, or the channels of the array before (the default)"
    )
    condition_size: NonNegativeInt | None = Field(
        None, description="channels of the condition: 1 (the audio) or the condition_dsp's; 0 = no condition"
    )
    channels: PositiveInt = Field(description="channels from layer to layer")
    dilations: list[PositiveInt] = Field(description="samples between taps, one per layer", min_length=1)
    kernel_size: IntOrList | None = Field(None, description="taps, for all layers or one per layer")
    kernel_sizes: IntOrList | None = Field(None, description="the same as kernel_size")
    activation: Activations = Field(description="activation or pair, for all layers or one per layer")
    gated: Bool | None = Field(None, description="true: activation(x1) · sigmoid(x2)")
    gating_mode: GatingModes | None = Field(None, description="as exported: none, gated or blended")
    secondary_activation: PlainActivations = Field(None, description="as exported: second member of pairs")
    head: ArrayHeadConfig | None = Field(None, description="convolution after the sum of the skip terms")
    head_size: PositiveInt | None = Field(None, description="the same as head.out_channels, with kernel 1")
    head_bias: Bool | None = Field(None, description="the same as head.bias")
    bottleneck: PositiveInt | None = Field(
        None, description="channels after the activation (default channels)"
    )
    head_1x1_config: Head1x1Config | None = Field(None, description="1×1 of the skip path (default off)")
    head1x1: Head1x1Config | None = Field(None, description="the same as head_1x1_config, as exported")
    layer_1x1_config: Layer1x1Config | None = Field(None, description="1×1 of the residual (default on)")
    layer1x1: Layer1x1Config | None = Field(None, description="the same as layer_1x1_config, as exported")
    groups_input: PositiveInt = Field(1, description="groups of the dilated convolutions")
    groups_input_mixin: PositiveInt = Field(1, description="groups of the condition's 1×1s")
    film_params: FilmParams | None = Field(None, description="FiLM by position")
    conv_pre_film: FilmField = Field(None, description="as in film_params, as exported")
    conv_post_film: FilmField = Field(None, description="as in film_params, as exported")
    input_mixin_pre_film: FilmField = Field(None, description="as in film_params, as exported")
    input_mixin_post_film: FilmField = Field(None, description="as in film_params, as exported")
    activation_pre_film: FilmField = Field(None, description="as in film_params, as exported")
    activation_post_film: FilmField = Field(None, description="as in film_params, as exported")
    layer1x1_post_film: FilmField = Field(None, description="as in film_params, as exported")
    head1x1_post_film: FilmField = Field(None, description="as in film_params, as exported")
    slimmable: Any = Field(None, description="only null: nets of adjustable width are not trained")

    @model_validator(mode="after")
    def _consistent(self) -> LayerArrayConfig:
        problems = list(self._spelling_problems())
        if not problems:
            problems = list(self._length_problems())
        if not problems:
            problems = list(self._width_problems())
        refuse_all("LayerArray", problems)
        return self

    # -- the same thing in several spellings -------------------------------------------------------

    def _spelling_problems(self) -> Iterator[Problem]:
        if self.slimmable is not None:
            yield Problem(("slimmable",), "expected null (nets of adjustable width are not trained)")
        both = [
            ("kernel_size", "kernel_sizes"),
            ("head", "head_size"),
            ("head", "head_bias"),
            ("head_1x1_config", "head1x1"),
            ("layer_1x1_config", "layer1x1"),
            ("gated", "gating_mode"),
        ]
        both += [("film_params", position) for position in FILM_POSITIONS]
        for first, second in both:
            if getattr(self, first) is not None and getattr(self, second) is not None:
                yield Problem((second,), f"expected one of `{first}` and `{second}`, but got both")
        if self.kernel_size is None and self.kernel_sizes is None:
            yield Problem((), "expected the layer array to have a `kernel_size`, but got none")
        if self.head is None and self.head_size is None:
            loc = () if self.head_bias is None else ("head_bias",)
            yield Problem(
                loc,
                "expected the layer array to have a `head` (or `head_size` and `head_bias`), but got none",
            )
        if self.secondary_activation is not None and self.gating_mode is None:
            yield Problem(
                ("secondary_activation",),
                "expected `gating_mode` beside `secondary_activation`, but got none",
            )

    def _length_problems(self) -> Iterator[Problem]:
        count = len(self.dilations)
        for name in ("kernel_size", "kernel_sizes", "activation", "gating_mode", "secondary_activation"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != count:
                yield Problem(
                    (name,), f"expected one entry per dilation ({count}), but got {len(value)}", len(value)
                )
        yield from self._gating_problems() if self._lists_fit(count) else ()

    def _lists_fit(self, count: int) -> bool:
        values = (self.activation, self.gating_mode, self.secondary_activation)
        return all(len(value) == count for value in values if isinstance(value, list))

    def _gating_problems(self) -> Iterator[Problem]:
        modes, primaries, secondaries = self._modes(), self._listed(self.activation), self._secondaries()
        key = "gated" if self.gated else "gating_mode"
        for index, (mode, primary) in enumerate(zip(modes, primaries, strict=True)):
            if mode == "none":
                continue
            if primary.name in ("PairMultiply", "PairBlend"):
                yield Problem(
                    (key,),
                    f"expected a single activation to pair up, but got '{primary.name}' (layer {index})",
                )
            if secondaries[index] is None:
                yield Problem(
                    ("secondary_activation",), f"expected a second activation for layer {index}, but got null"
                )

    def _listed(self, value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value] * len(self.dilations)

    def _modes(self) -> list[str]:
        if self.gating_mode is not None:
            return self._listed(self.gating_mode)
        return ["gated" if self.gated else "none"] * len(self.dilations)

    def _secondaries(self) -> list[Component | None]:
        if self.secondary_activation is None:
            sigmoid = ActivationOrList().validate("Sigmoid")
            return self._listed(sigmoid)
        return self._listed(self.secondary_activation)

    # -- widths ------------------------------------------------------------------------------------

    @property
    def kernels(self) -> list[int]:
        """Taps of each layer."""
        return self._listed(self.kernel_sizes if self.kernel_size is None else self.kernel_size)

    @property
    def head_shape(self) -> ArrayHeadConfig:
        """The head convolution."""
        if self.head is not None:
            return self.head
        return ArrayHeadConfig.model_validate({"out_channels": self.head_size, "bias": bool(self.head_bias)})

    @property
    def head_key(self) -> tuple[str, ...]:
        """Where the width of the head stands."""
        return ("head_size",) if self.head is None else ("head", "out_channels")

    @property
    def middle(self) -> int:
        """Channels after the activation."""
        return self.channels if self.bottleneck is None else self.bottleneck

    @property
    def skip_shape(self) -> Head1x1 | None:
        """The skip path's 1×1, None where it is off."""
        config = self.head_1x1_config or self.head1x1
        return Head1x1(config.out_channels, config.groups) if config is not None and config.active else None

    @property
    def skip_key(self) -> tuple[str, ...]:
        """Where the width of the skip path stands."""
        if self.skip_shape is None:
            return ("channels",) if self.bottleneck is None else ("bottleneck",)
        return ("head1x1" if self.head_1x1_config is None else "head_1x1_config", "out_channels")

    @property
    def skip_size(self) -> int:
        """Channels of the skip path."""
        return self.skip_shape.out_channels if self.skip_shape else self.middle

    @property
    def residual_groups(self) -> int | None:
        """Groups of the residual 1×1, None where it is off."""
        config = self.layer_1x1_config or self.layer1x1 or Layer1x1Config.model_validate({})
        return config.groups if config.active else None

    @property
    def films(self) -> dict[str, FilmShape]:
        """The active FiLMs."""
        if self.film_params is not None:
            return self.film_params.shapes()
        given = {position: getattr(self, position) for position in FILM_POSITIONS}
        return FilmParams.model_construct(**given).shapes()

    def film_key(self, position: str) -> tuple[str, ...]:
        """Where a FiLM stands."""
        return (position,) if self.film_params is None else ("film_params", position)

    def mids(self) -> list[int]:
        """Channels before the activation, per layer."""
        paired = [
            mode != "none" or item.name in ("PairMultiply", "PairBlend")
            for mode, item in zip(self._modes(), self._listed(self.activation), strict=True)
        ]
        return [self.middle * (2 if pair else 1) for pair in paired]

    def _width_problems(self) -> Iterator[Problem]:
        films = self.films
        if self.residual_groups is None:
            if self.middle != self.channels:
                yield Problem(
                    ("bottleneck",),
                    f"expected `bottleneck` to be {self.channels} (the channels, as layer1x1 is inactive), "
                    f"but got {self.middle}",
                    self.middle,
                )
            if "layer1x1_post_film" in films:
                yield Problem(
                    self.film_key("layer1x1_post_film"), "expected layer1x1 to be active, but it is inactive"
                )
        if self.skip_shape is None and "head1x1_post_film" in films:
            yield Problem(
                self.film_key("head1x1_post_film"), "expected head1x1 to be active, but it is inactive"
            )
        groups: list[tuple[tuple[str, ...], int, dict[str, int]]] = [
            (("groups_input",), self.groups_input, {"channels": self.channels, "mid": min(self.mids())}),
        ]
        if self.residual_groups is not None:
            key = ("layer1x1" if self.layer_1x1_config is None else "layer_1x1_config", "groups")
            groups.append((key, self.residual_groups, {"channels": self.channels, "bottleneck": self.middle}))
        if self.skip_shape is not None:
            key = (self.skip_key[0], "groups")
            widths = {"out_channels": self.skip_shape.out_channels, "bottleneck": self.middle}
            groups.append((key, self.skip_shape.groups, widths))
        for loc, count, widths in groups:
            yield from _undivided(loc, count, widths)
        yield from self._prelu_problems()

    def _prelu_problems(self) -> Iterator[Problem]:
        for name in ("activation", "secondary_activation"):
            value = getattr(self, name)
            for index, item in enumerate(self._listed(value)):
                for single in _singles(item):
                    count = len(getattr(single.config, "slopes", [0]))
                    if count not in (1, self.middle):
                        loc = (name, index) if isinstance(value, list) else (name,)
                        yield Problem(
                            loc,
                            f"expected the PReLU to have 1 or {self.middle} slopes (one per channel), "
                            f"but got {count}",
                            count,
                        )
                        return

    def condition_problems(self, condition_size: int) -> Iterator[Problem]:
        """What does not fit a condition of that many channels."""
        if condition_size == 0:
            for position in self.films:
                yield Problem(
                    self.film_key(position), "expected a condition for FiLM, but `condition_size` is 0"
                )
            return
        yield from _undivided(
            ("groups_input_mixin",),
            self.groups_input_mixin,
            {"condition_size": condition_size, "mid": min(self.mids())},
        )
        widths = film_widths(self.channels, min(self.mids()), self.middle, condition_size, self.skip_shape)
        for position, shape in self.films.items():
            made = widths[position] * (2 if shape.shift else 1)
            yield from _undivided(
                (*self.film_key(position), "groups"),
                shape.groups,
                {"condition_size": condition_size, "its output": made},
            )

    # -- making it ---------------------------------------------------------------------------------

    def activation_modules(self) -> list[nn.Module]:
        """A fresh activation for each layer."""
        modules: list[nn.Module] = []
        for mode, first, second in zip(
            self._modes(), self._listed(self.activation), self._secondaries(), strict=True
        ):
            if mode == "none" or second is None:
                modules.append(first.build())
            else:
                modules.append(_PAIRS[mode](first.build(), second.build()))
        return modules

    def build(self, input_size: int, condition_size: int) -> LayerArray:
        """Make the array for a given input and condition.

        Args:
            input_size: channels that come in, where the config leaves it open.
            condition_size: channels of the condition, where the config leaves it open.
        """
        head = self.head_shape
        return LayerArray(
            input_size=self.input_size or input_size,
            condition_size=condition_size if self.condition_size is None else self.condition_size,
            channels=self.channels,
            kernel_sizes=self.kernels,
            dilations=self.dilations,
            activations=self.activation_modules(),
            head_size=head.out_channels,
            head_kernel_size=head.kernel_size,
            head_bias=head.bias,
            bottleneck=self.middle,
            groups_input=self.groups_input,
            groups_input_mixin=self.groups_input_mixin,
            layer1x1=self.residual_groups,
            head1x1=self.skip_shape,
            film=self.films,
        )


def _undivided(loc: tuple[str, ...], groups: int, widths: dict[str, int]) -> Iterator[Problem]:
    for name, width in widths.items():
        if width % groups:
            yield Problem(loc, f"expected the groups to divide {name} ({width}), but got {groups}", groups)


def _singles(item: Component | None) -> list[Component]:
    if item is None:
        return []
    if item.name in ("PairMultiply", "PairBlend"):
        return [item.config.primary, item.config.secondary]
    return [item]
