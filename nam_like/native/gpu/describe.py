"""Read a WaveNet's modules into plans, or say why the kernels do not cover it.

Nothing of `models` is imported here: modules are known by their class's name and their attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nam_like.native.gpu.plan import MOST_CHANNELS, Activation, ArrayPlan, Kind, LayerPlan, Pair

__all__ = ["Uncovered", "activation_of", "parameters_of", "plan_of"]


class Uncovered(Exception):  # noqa: N818 (not an error: plain PyTorch plays the net)
    """Why the kernels cannot play a net."""


_PLAIN = {
    "Identity": Kind.IDENTITY,
    "Tanh": Kind.TANH,
    "Fasttanh": Kind.FASTTANH,
    "ReLU": Kind.RELU,
    "Sigmoid": Kind.SIGMOID,
    "SiLU": Kind.SILU,
    "Hardswish": Kind.HARDSWISH,
    "Softsign": Kind.SOFTSIGN,
    "Softsigmoid": Kind.SOFTSIGMOID,
}
_WITH_PARAMETERS: dict[str, Callable[[Any], Activation]] = {
    "Hardtanh": lambda a: (int(Kind.HARDTANH), float(a.min_val), float(a.max_val), 0.0, 0.0),
    "ReLU6": lambda a: (int(Kind.HARDTANH), float(a.min_val), float(a.max_val), 0.0, 0.0),
    "LeakyReLU": lambda a: (int(Kind.LEAKY_RELU), float(a.negative_slope), 0.0, 0.0, 0.0),
    "LeakyHardtanh": lambda a: (
        int(Kind.LEAKY_HARDTANH),
        float(a.min_val),
        float(a.max_val),
        float(a.min_slope),
        float(a.max_slope),
    ),
}
_PAIR_NAMES = {"PairMultiply": Pair.MULTIPLY, "PairBlend": Pair.BLEND}
_NOTHING: Activation = (int(Kind.IDENTITY), 0.0, 0.0, 0.0, 0.0)


def activation_of(module: Any) -> Activation:
    """A pointwise activation as numbers.

    Raises:
        Uncovered: the kernels do not have it.
    """
    name = type(module).__name__
    if name in _PLAIN:
        return (int(_PLAIN[name]), 0.0, 0.0, 0.0, 0.0)
    if name in _WITH_PARAMETERS:
        return _WITH_PARAMETERS[name](module)
    raise Uncovered(f"its activation {name}")


def plan_of(array: Any) -> ArrayPlan:
    """The plan of a layer array.

    Raises:
        Uncovered: the kernels do not cover it.
    """
    if array.film:
        raise Uncovered(f"its FiLM at {next(iter(array.film))}")
    layers = tuple(_layer(layer, *shape) for layer, *shape in _stack(array))
    if len({layer.pair == Pair.NONE for layer in layers}) > 1:
        raise Uncovered("layers with and without a pair of activations in one array")
    head1x1 = array.head1x1
    plan = ArrayPlan(
        inputs=array.input_size,
        conditions=array.condition_size,
        channels=array.channels,
        width=array.bottleneck,
        skips=head1x1.out_channels if head1x1 else 0,
        has_1x1=array.layer1x1 is not None,
        heads=array.head_size,
        head_taps=array.head_kernel_size,
        head_bias=bool(array.head_bias),
        layers=layers,
        groups_conv=array.groups_input,
        groups_mixer=array.groups_input_mixin,
        groups_1x1=array.layer1x1 or 1,
        groups_skip=head1x1.groups if head1x1 else 1,
    )
    widest = max(plan.inputs, plan.conditions, plan.channels, plan.width, plan.skips, plan.heads)
    if widest > MOST_CHANNELS:
        raise Uncovered(f"{widest} channels, more than {MOST_CHANNELS}")
    return plan


def _stack(array: Any) -> list[tuple[Any, int, int]]:
    return list(zip(array.layers, array.kernel_sizes, array.dilations, strict=True))


def _layer(layer: Any, taps: int, dilation: int) -> LayerPlan:
    module = layer.activation
    pair = _PAIR_NAMES.get(type(module).__name__, Pair.NONE)
    if pair == Pair.NONE:
        return LayerPlan(taps, dilation, int(pair), activation_of(module), _NOTHING)
    return LayerPlan(taps, dilation, int(pair), activation_of(module.primary), activation_of(module.secondary))


def parameters_of(array: Any, has_residual: bool) -> list[Tensor]:
    """The parameters of an array in the order of :func:`nam_like.native.gpu.packing.parameter_shapes`."""
    found: list[Tensor | None] = [array.rechannel.weight]
    last = len(array.layers) - 1
    for index, layer in enumerate(array.layers):
        reads_1x1 = has_residual or index < last
        for conv in (layer.conv, layer.mixer, layer.layer1x1 if reads_1x1 else None, layer.head1x1):
            if conv is not None:
                found += [conv.weight, conv.bias]
    found += [array.head_rechannel.weight, array.head_rechannel.bias]
    return [tensor for tensor in found if tensor is not None]
