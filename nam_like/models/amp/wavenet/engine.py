"""WaveNets that the realtime engine would refuse or play otherwise, rewritten into ones that play alike.

The rewriting widens convolutions with zeros or adds 1×1s that copy; it never approximates. What it handles:

- no condition (``condition_size`` 0): a condition with zero weights;
- a FiLM after the residual 1×1 without a blend, which the engine reads and drops: a blend that always takes
  all of the activated signal;
- an array whose channels differ from the head before it, which the engine refuses: zero channels on the
narrower side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.layer import FILM_POSITIONS, FilmShape, Head1x1, Layer
from nam_like.models.blocks.activations import PairActivation, PairBlend
from nam_like.models.blocks.engine_activation import why_not_playable
from nam_like.models.blocks.film import FiLM

if TYPE_CHECKING:
    from nam_like.models.amp.wavenet.model import WaveNet

__all__ = ["engine_form", "obstacles", "rebuilt"]


def obstacles(net: WaveNet) -> list[str]:
    """Why the engine cannot play a net, whatever its form; empty when it can."""
    reasons = []
    for index, array in enumerate(net.layer_arrays()):
        for activation in array.activations:
            reason = why_not_playable(activation)
            if reason is not None:
                reasons.append(f"layers_configs[{index}].activation: {reason}")
        if any(_drops_film(layer) for layer in array.stack):
            reasons.append(
                f"layers_configs[{index}].film_params.layer1x1_post_film: the realtime engine drops it in "
                "gated layers (PairBlend and single activations work)"
            )
    if net.head is not None:
        reason = why_not_playable(net.head.activation)
        if reason is not None:
            reasons.append(f"head.activation: {reason}")
    if net.condition_dsp is not None:
        reasons += [f"condition_dsp.config.{reason}" for reason in obstacles(net.condition_dsp)]
    return list(dict.fromkeys(reasons))


def engine_form(net: WaveNet) -> WaveNet:
    """`net` itself where the engine plays it as it is, otherwise an equal one that it does.

    Returns:
        A plain WaveNet on the same device; weights that need no change are shared.
    """
    from nam_like.models.amp.wavenet.model import WaveNet

    arrays: list[LayerArray] = list(net.layer_arrays())
    condition_dsp = engine_form(net.condition_dsp) if net.condition_dsp is not None else None
    with torch.no_grad():
        for index in range(len(arrays)):
            if arrays[index].condition_size == 0:
                arrays[index] = rebuilt(arrays[index], condition_size=net.condition_size)
            if "layer1x1_post_film" in arrays[index].film:
                arrays[index] = _with_blends(arrays[index])
        for index in range(1, len(arrays)):
            _fit_head(arrays, index)
    if condition_dsp is net.condition_dsp and all(
        a is b for a, b in zip(arrays, net.layer_arrays(), strict=True)
    ):
        return net
    form = WaveNet(arrays, net.head, float(net.head_scale), condition_dsp, net.sample_rate)
    return form.to(net.head_scale).train(net.training)


def rebuilt(array: LayerArray, **changes: Any) -> LayerArray:
    """An array with other widths that holds the weights of `array`; what is new is zero, FiLM scales are 1.

    A 1×1 on the skip path that `array` does not have copies its input. Groups become dense convolutions.
    """
    dense: dict[str, Any] = {"groups_input": 1, "groups_input_mixin": 1}
    dense["film"] = {position: FilmShape(shape.shift) for position, shape in array.film.items()}
    if array.layer1x1 is not None:
        dense["layer1x1"] = 1
    if array.head1x1 is not None:
        dense["head1x1"] = Head1x1(array.head1x1.out_channels)
    options = {**array.options(), **dense, "activations": array.activations, **changes}
    new = LayerArray(**options).to(array.rechannel.weight)
    with torch.no_grad():
        embed(new.rechannel, array.rechannel)
        embed(new.head_rechannel, array.head_rechannel)
        for made, given in zip(new.stack, array.stack, strict=True):
            _embed_layer(made, given)
    return new


def embed(new: nn.Conv1d, old: nn.Conv1d) -> None:
    """Put the weights of `old` into the first channels (and last taps) of `new`, zeros elsewhere."""
    weight = _dense(old)
    new.weight.zero_()
    new.weight[: weight.shape[0], : weight.shape[1], new.kernel_size[0] - weight.shape[2] :] = weight
    if new.bias is not None:
        new.bias.zero_()
        if old.bias is not None:
            new.bias[: len(old.bias)] = old.bias


def _embed_layer(new: Layer, old: Layer) -> None:
    embed(new.conv, old.conv)
    for name in ("mixer", "layer1x1", "head1x1"):
        made, given = getattr(new, name), getattr(old, name)
        if made is None:
            continue
        if given is not None:
            embed(made, given)
            continue
        made.weight.zero_()  # a condition or a residual that had none
        if made.bias is not None:
            made.bias.zero_()
        if name == "head1x1":
            nn.init.eye_(made.weight[:, :, 0])
    for position in FILM_POSITIONS:
        if position in old.film:
            _embed_film(new.film_at(position), old.film_at(position))


def _embed_film(new: FiLM, old: FiLM) -> None:
    weight, bias, new_bias = _dense(old.conv), cast("Tensor", old.conv.bias), cast("Tensor", new.conv.bias)
    new.conv.weight.zero_()
    new_bias.zero_()
    new_bias[: new.dim] = 1.0
    for half in range(2 if old.shift else 1):
        made = slice(half * new.dim, half * new.dim + old.dim)
        given = slice(half * old.dim, (half + 1) * old.dim)
        new.conv.weight[made, : weight.shape[1]] = weight[given]
        new_bias[made] = bias[given]


def _dense(conv: nn.Conv1d) -> Tensor:
    """The weight of a grouped convolution as that of an ungrouped one, ``(C_out, C_in, K)``."""
    weight = conv.weight.detach()
    if conv.groups == 1:
        return weight
    dense = weight.new_zeros(conv.out_channels, conv.in_channels, weight.shape[2])
    out, given = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    for group in range(conv.groups):
        rows, columns = slice(group * out, (group + 1) * out), slice(group * given, (group + 1) * given)
        dense[rows, columns] = weight[rows]
    return dense


def _drops_film(layer: Layer) -> bool:
    """Whether the engine would leave out a FiLM that does something."""
    gated = isinstance(layer.activation, PairActivation) and layer.activation.gating_mode == "gated"
    name = "layer1x1_post_film"
    return gated and name in layer.film and not layer.film_at(name).neutral


def _with_blends(array: LayerArray) -> LayerArray:
    """Single activations become blends with the share relu(1) = 1, which keep the FiLM behind them."""
    single = [not isinstance(activation, PairActivation) for activation in array.activations]
    if not any(single):
        return array
    activations = [
        PairBlend(activation, nn.ReLU()) if alone else activation
        for alone, activation in zip(single, array.activations, strict=True)
    ]
    new = rebuilt(array, activations=activations)
    for layer, alone in zip(new.stack, single, strict=True):
        if alone:
            cast("Tensor", layer.conv.bias)[array.bottleneck :] = 1.0
    return new


def _fit_head(arrays: list[LayerArray], index: int) -> None:
    """Make the channels of array `index` equal the head output of the array before it."""
    before, array = arrays[index - 1], arrays[index]
    channels, head = array.channels, before.head_size
    if channels == head:
        return
    if channels < head:
        # An inactive residual 1×1 ties the bottleneck to the channels; one with zero weights does not.
        arrays[index] = rebuilt(array, channels=head, bottleneck=array.bottleneck, layer1x1=1)
        if index + 1 < len(arrays):
            arrays[index + 1] = rebuilt(arrays[index + 1], input_size=head)
        return
    arrays[index - 1] = rebuilt(before, head_size=channels)
    arrays[index] = rebuilt(array, head1x1=Head1x1(channels))
