"""The `config` of a WaveNet in all its spellings (0.5.0 to 0.7.0), normalised to one description per layer.

Source: the reading rules of NeuralAmpModelerCore 0.5.5 (wavenet/model.cpp); see docs/nam-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nam_like.errors import NamFileError
from nam_like.export.nam_read.activations import Activation, parse_activation
from nam_like.export.nam_read.fields import Fields, describe

__all__ = [
    "FILM_POSITIONS",
    "ArraySpec",
    "FilmSpec",
    "LayerSpec",
    "PostHeadSpec",
    "parse_arrays",
    "parse_post_head",
]

# In the order in which their weights stand in the file.
FILM_POSITIONS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)
_GATINGS = ("none", "gated", "blended")
_METHOD = "slice_channels_uniform"


@dataclass(frozen=True)
class FilmSpec:
    """A feature-wise modulation by the condition: x · scale(+ shift), both from a grouped 1×1."""

    shift: bool
    groups: int


@dataclass(frozen=True)
class LayerSpec:
    """What differs from layer to layer of one array. `secondary` is None when `gating` is "none"."""

    kernel: int
    dilation: int
    activation: Activation
    gating: str
    secondary: Activation | None


@dataclass(frozen=True)
class ArraySpec:
    """One layer array.

    Attributes:
        input_size: channels that come in.
        condition_size: channels of the condition.
        channels: channels from layer to layer.
        bottleneck: channels after the activation.
        head_size: channels of the head output.
        head_kernel: taps of the head's convolution.
        head_dilation: samples between those taps.
        head_bias: whether that convolution has a bias.
        layers: one per dilation.
        groups_input: groups of the dilated convolutions.
        groups_mixin: groups of the condition's 1×1.
        layer1x1_groups: groups of the residual 1×1, None when it is off.
        head1x1: (out_channels, groups) of the skip 1×1, None when it is off.
        films: the active modulations by position.
        allowed_channels: sizes a slimmable array can be cut to, ascending; empty when it cannot.
        where: place in the file.
    """

    input_size: int
    condition_size: int
    channels: int
    bottleneck: int
    head_size: int
    head_kernel: int
    head_dilation: int
    head_bias: bool
    layers: tuple[LayerSpec, ...]
    groups_input: int
    groups_mixin: int
    layer1x1_groups: int | None
    head1x1: tuple[int, int] | None
    films: Mapping[str, FilmSpec]
    allowed_channels: tuple[int, ...]
    where: str

    @property
    def skip_width(self) -> int:
        """Channels that the layers add up for the head."""
        return self.head1x1[0] if self.head1x1 else self.bottleneck

    @property
    def history(self) -> int:
        """Past samples that its outputs depend on."""
        past = sum((layer.kernel - 1) * layer.dilation for layer in self.layers)
        return past + (self.head_kernel - 1) * self.head_dilation


@dataclass(frozen=True)
class PostHeadSpec:
    """The head after the stack: per kernel an activation, then a convolution with bias."""

    channels: int
    out_channels: int
    kernels: tuple[int, ...]
    activation: Activation
    where: str


def parse_arrays(config: Fields) -> tuple[ArraySpec, ...]:
    """Read `layers`.

    Raises:
        NamFileError: a key is missing or wrong, or two keys contradict each other.
    """
    arrays = tuple(_array(fields) for fields in config.objects("layers"))
    if not arrays:
        raise NamFileError(
            f"expected `{config.path('layers')}` to hold at least one layer array, but got none"
        )
    return arrays


def parse_post_head(config: Fields, last_head_size: int) -> PostHeadSpec | None:
    """Read the optional post-stack `head`, whose input is the last array's head."""
    if not config.has_value("head"):
        return None
    head = config.nested("head")
    if head.has_value("in_channels") and head.integer("in_channels") != last_head_size:
        raise NamFileError(
            f"expected `{head.path('in_channels')}` to be the last array's head size {last_head_size},"
            f" but got {head.raw('in_channels')}"
        )
    kernels = head.integers("kernel_sizes")
    if not kernels:
        raise NamFileError(f"expected `{head.path('kernel_sizes')}` to hold at least one size, but got none")
    activation = parse_activation(head.raw("activation"), head.path("activation"))
    return PostHeadSpec(
        head.integer("channels"), head.integer("out_channels"), kernels, activation, head.where
    )


def _array(fields: Fields) -> ArraySpec:
    channels = fields.integer("channels")
    head_size, head_kernel, head_dilation, head_bias = _head(fields)
    layer1x1_groups = _layer1x1(fields)
    spec = ArraySpec(
        input_size=fields.integer("input_size"),
        condition_size=fields.integer("condition_size"),
        channels=channels,
        bottleneck=fields.integer("bottleneck", channels),
        head_size=head_size,
        head_kernel=head_kernel,
        head_dilation=head_dilation,
        head_bias=head_bias,
        layers=_layers(fields),
        groups_input=fields.integer("groups_input", 1),
        groups_mixin=fields.integer("groups_input_mixin", 1),
        layer1x1_groups=layer1x1_groups,
        head1x1=_head1x1(fields),
        films=_films(fields),
        allowed_channels=_allowed_channels(fields, channels),
        where=fields.where,
    )
    _check_array(spec)
    return spec


def _check_array(spec: ArraySpec) -> None:
    """The engine's rules within one array."""
    if spec.layer1x1_groups is None:
        if spec.bottleneck != spec.channels:
            raise NamFileError(
                f"expected `{spec.where}.bottleneck` to equal `channels` ({spec.channels}) because"
                f" layer1x1 is inactive, but got {spec.bottleneck}"
            )
        if "layer1x1_post_film" in spec.films:
            raise NamFileError(f"`{spec.where}.layer1x1_post_film` is active, but layer1x1 is not")
    if spec.head1x1 is None and "head1x1_post_film" in spec.films:
        raise NamFileError(f"`{spec.where}.head1x1_post_film` is active, but head1x1 is not")
    for i, layer in enumerate(spec.layers):
        where, paired = f"{spec.where}.activation (layer {i})", layer.secondary is not None
        layer.activation.check_channels(spec.bottleneck, where, paired=paired)
        if layer.secondary is not None:
            where = f"{spec.where}.secondary_activation (layer {i})"
            layer.secondary.check_channels(spec.bottleneck, where, paired=True)


def _head(fields: Fields) -> tuple[int, int, int, bool]:
    """(size, kernel, dilation, bias), from `head` or from the older `head_size` and `head_bias`."""
    if fields.has_value("head"):
        head = fields.nested("head")
        size, kernel = head.integer("out_channels"), head.integer("kernel_size")
        return size, kernel, head.integer("head_dilation", 1), head.boolean("bias")
    if "head_size" in fields:
        return fields.integer("head_size"), 1, 1, fields.boolean("head_bias")
    raise NamFileError(
        f"expected `{fields.where}` to have `head` {{out_channels, kernel_size, bias}} or `head_size` and"
        " `head_bias`, but got neither"
    )


def _layer1x1(fields: Fields) -> int | None:
    if "layer1x1" not in fields:
        return 1
    pointwise = fields.nested("layer1x1")
    groups = pointwise.integer("groups")
    return groups if pointwise.boolean("active") else None


def _head1x1(fields: Fields) -> tuple[int, int] | None:
    if "head1x1" not in fields:
        return None
    pointwise = fields.nested("head1x1")
    shape = (pointwise.integer("out_channels"), pointwise.integer("groups"))
    return shape if pointwise.boolean("active") else None


def _films(fields: Fields) -> dict[str, FilmSpec]:
    films = {}
    for position in FILM_POSITIONS:
        if fields.raw(position, False) is False:
            continue
        film = fields.nested(position)
        if film.boolean("active", True):
            films[position] = FilmSpec(film.boolean("shift", True), film.integer("groups", 1))
    return films


def _layers(fields: Fields) -> tuple[LayerSpec, ...]:
    dilations = fields.integers("dilations")
    count = len(dilations)
    if not count:
        raise NamFileError(
            f"expected `{fields.path('dilations')}` to hold at least one dilation, but got none"
        )
    kernels = _kernels(fields, count)
    activations = [
        parse_activation(value, fields.path("activation"))
        for value in _per_layer(fields, "activation", fields.raw("activation"), count)
    ]
    gatings = _gatings(fields, count)
    secondaries = _secondaries(fields, gatings)
    return tuple(
        LayerSpec(*layer) for layer in zip(kernels, dilations, activations, gatings, secondaries, strict=True)
    )


def _kernels(fields: Fields, count: int) -> tuple[int, ...]:
    if ("kernel_size" in fields) == ("kernel_sizes" in fields):
        got = "both" if "kernel_size" in fields else "neither"
        raise NamFileError(
            f"expected `{fields.where}` to have `kernel_size` or `kernel_sizes`, but got {got}"
        )
    if "kernel_size" in fields:
        return (fields.integer("kernel_size"),) * count
    kernels = fields.integers("kernel_sizes")
    _check_count(fields, "kernel_sizes", len(kernels), count)
    return kernels


def _gatings(fields: Fields, count: int) -> list[str]:
    if "gating_mode" not in fields:
        return ["gated" if fields.boolean("gated", False) else "none"] * count
    gatings = list(_per_layer(fields, "gating_mode", fields.raw("gating_mode"), count))
    for gating in gatings:
        if gating not in _GATINGS:
            raise fields.wrong("gating_mode", f"one of {', '.join(_GATINGS)}", gating)
    return gatings


def _secondaries(fields: Fields, gatings: Sequence[str]) -> list[Activation | None]:
    """The second activation of each pair; Sigmoid by default and for the older `gated: true`."""
    where = fields.path("secondary_activation")
    value = fields.raw("secondary_activation", "Sigmoid") if "gating_mode" in fields else "Sigmoid"
    listed = isinstance(fields.raw("gating_mode", None), (list, tuple))
    if listed and isinstance(value, (list, tuple)):
        values: Sequence[Any] = _per_layer(fields, "secondary_activation", value, len(gatings))
    else:
        values = [value] * len(gatings)
    return [
        None if gating == "none" else parse_activation(item, where)
        for gating, item in zip(gatings, values, strict=True)
    ]


def _per_layer(fields: Fields, key: str, value: Any, count: int) -> Sequence[Any]:
    """A list with one entry per layer; a single value stands for all."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    _check_count(fields, key, len(value), count)
    return value


def _check_count(fields: Fields, key: str, got: int, count: int) -> None:
    if got != count:
        raise NamFileError(
            f"expected `{fields.path(key)}` to have one entry per dilation ({count}), but got {got}"
        )


def _allowed_channels(fields: Fields, channels: int) -> tuple[int, ...]:
    """The sizes of a slimmable array, checked as the engine does; empty when it is not slimmable."""
    value = fields.raw("slimmable", None)
    if not isinstance(value, Mapping):
        return ()
    slimmable = fields.nested("slimmable")
    method = slimmable.text("method", "")
    if method != _METHOD:
        raise slimmable.wrong("method", f'"{_METHOD}"', method)
    kwargs = slimmable.nested("kwargs") if "kwargs" in slimmable else Fields({}, slimmable.path("kwargs"))
    if "allowed_channels" not in kwargs:
        return tuple(range(1, channels + 1))
    allowed = kwargs.integers("allowed_channels")
    where = kwargs.path("allowed_channels")
    if any(later <= earlier for earlier, later in pairwise(allowed)):
        raise NamFileError(f"expected `{where}` to be strictly ascending, but got {describe_list(allowed)}")
    if allowed and allowed[-1] != channels:
        raise NamFileError(f"expected `{where}` to end with `channels` ({channels}), but got {allowed[-1]}")
    return allowed


def describe_list(values: Sequence[int]) -> str:
    """A list of numbers, cut short."""
    return describe(", ".join(map(str, values)))
