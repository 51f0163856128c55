"""WaveNet: stacks of dilated convolutions, as the engine plays them.

Per layer, with x the signal, c the condition and optional modulations (FiLM) at eight places:
z = conv(x) + mixer(c);  a = act(z), act(z₁)·gate(z₂), or a blend of act(z₁) and z₁;
next x = x + layer1x1(a), or x unchanged when that 1×1 is off;  the head sums head1x1(a), or a.

Source: van den Oord et al., "WaveNet", arXiv:1609.03499; details and weight order as in
NeuralAmpModelerCore 0.5.5 (see docs/nam-format.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nam_like.errors import NamFileError
from nam_like.export.nam_read.envelope import Envelope, parse_envelope
from nam_like.export.nam_read.network import Array, CausalConv, ConvShape, Network, Slot, State, split_weights
from nam_like.export.nam_read.wavenet_config import (
    FILM_POSITIONS,
    ArraySpec,
    LayerSpec,
    PostHeadSpec,
    parse_arrays,
    parse_post_head,
)

__all__ = ["WaveNet", "build_wavenet", "slim_sizes"]


def slim_sizes(envelope: Envelope) -> tuple[tuple[int, ...], ...]:
    """The allowed channels of each array; all empty when the file is not slimmable."""
    return tuple(array.allowed_channels for array in parse_arrays(envelope.config_fields()))


def build_wavenet(
    envelope: Envelope,
    build: Callable[[Envelope, str, float | None], Network],
    prefix: str = "",
    slim: float | None = None,
) -> WaveNet:
    """Read a WaveNet.

    Args:
        envelope: the file.
        build: how to read the nested `condition_dsp`.
        prefix: put before the names of its delay lines.
        slim: 0 (smallest) to 1 (full size), for slimmable files only.

    Raises:
        NamFileError: the config breaks a rule, or the number of weights is not what it needs.
    """
    config = envelope.config_fields()
    arrays = parse_arrays(config)
    config.number("head_scale")  # demanded by the engine, then overridden by the last weight
    condition = _condition(envelope, build, prefix)
    post_head = parse_post_head(config, arrays[-1].head_size)
    if config.integer("in_channels", 1) != 1:
        raise config.wrong("in_channels", "1 (mono)", config.raw("in_channels"))
    if post_head is not None and any(array.allowed_channels for array in arrays):
        raise NamFileError(f"`{config.path('head')}` cannot stand in a slimmable WaveNet")
    shapes = _checked_shapes(arrays, post_head, condition)
    tensors = split_weights(_slots(shapes), envelope.weights, config.where)
    if slim is not None:
        slimmed = tuple(_slimmed(arrays, slim))
        if slimmed != arrays:
            arrays = slimmed
            shapes = _checked_shapes(arrays, post_head, condition)
            tensors = _cut(tensors, _slots(shapes))
    return WaveNet(arrays, post_head, shapes, tensors, condition, prefix=prefix, where=config.where)


def _condition(
    envelope: Envelope, build: Callable[[Envelope, str, float | None], Network], prefix: str
) -> Network | None:
    config = envelope.config_fields()
    if not config.has_value("condition_dsp"):
        return None
    inner = parse_envelope(config.raw("condition_dsp"), config.path("condition_dsp"))
    if inner.sample_rate != envelope.sample_rate:
        raise NamFileError(
            f"expected `{inner.where}.sample_rate` to be that of the model ({envelope.sample_rate}),"
            f" but got {inner.sample_rate}"
        )
    return build(inner, f"{prefix}condition_dsp.", None)


def _slots(shapes: Mapping[str, ConvShape]) -> list[Slot]:
    """The weight order of the file: the convolutions one after the other, then the head scale."""
    slots = [slot for name, shape in shapes.items() for slot in shape.slots(name)]
    return [*slots, Slot("head_scale", (1,))]


def _checked_shapes(
    arrays: Sequence[ArraySpec], post_head: PostHeadSpec | None, condition: Network | None
) -> dict[str, ConvShape]:
    """All convolutions by name, in weight order, after checking that their widths fit together."""
    _check_widths(arrays, 1 if condition is None else condition.out_channels)
    shapes: dict[str, ConvShape] = {}
    for a, array in enumerate(arrays):
        shapes.update(_array_shapes(array, f"layers.{a}."))
    if post_head is not None:
        shapes.update(_post_head_shapes(post_head, arrays[-1].head_size))
    for name, shape in shapes.items():
        shape.check(name)
    return shapes


def _check_widths(arrays: Sequence[ArraySpec], condition_size: int) -> None:
    inputs = 1
    for a, array in enumerate(arrays):
        _expect(
            array, "condition_size", array.condition_size, condition_size, "the channels of the condition"
        )
        _expect(array, "input_size", array.input_size, inputs, "the channels that come in")
        if a:
            head = arrays[a - 1].head_size
            _expect(array, "channels", array.channels, head, "the head size of the array before")
            _expect(array, "head path", array.skip_width, head, "the head size of the array before")
        inputs = array.channels


def _expect(array: ArraySpec, key: str, got: int, expected: int, what: str) -> None:
    if got != expected:
        raise NamFileError(f"expected `{array.where}`: {key} to be {what} ({expected}), but got {got}")


def _array_shapes(array: ArraySpec, prefix: str) -> dict[str, ConvShape]:
    shapes = {f"{prefix}rechannel": ConvShape(array.input_size, array.channels)}
    for i, layer in enumerate(array.layers):
        shapes.update(_layer_shapes(array, layer, f"{prefix}{i}."))
    shapes[f"{prefix}head"] = ConvShape(
        array.skip_width, array.head_size, array.head_kernel, array.head_dilation, bias=array.head_bias
    )
    return shapes


def _layer_shapes(array: ArraySpec, layer: LayerSpec, prefix: str) -> dict[str, ConvShape]:
    channels, bottleneck, condition = array.channels, array.bottleneck, array.condition_size
    mid = bottleneck if layer.secondary is None else 2 * bottleneck
    conv = ConvShape(channels, mid, layer.kernel, layer.dilation, array.groups_input, bias=True)
    shapes = {
        f"{prefix}conv": conv,
        f"{prefix}mixer": ConvShape(condition, mid, groups=array.groups_mixin),
    }
    if array.layer1x1_groups is not None:
        shapes[f"{prefix}layer1x1"] = ConvShape(bottleneck, channels, groups=array.layer1x1_groups, bias=True)
    if array.head1x1 is not None:
        out, groups = array.head1x1
        shapes[f"{prefix}head1x1"] = ConvShape(bottleneck, out, groups=groups, bias=True)
    widths = (channels, mid, condition, mid, mid, bottleneck, channels, array.skip_width)
    for position, width in zip(FILM_POSITIONS, widths, strict=True):
        film = array.films.get(position)
        if film is not None:
            outputs = 2 * width if film.shift else width
            shapes[prefix + position] = ConvShape(condition, outputs, groups=film.groups, bias=True)
    return shapes


def _post_head_shapes(head: PostHeadSpec, inputs: int) -> dict[str, ConvShape]:
    shapes = {}
    last = len(head.kernels) - 1
    for i, kernel in enumerate(head.kernels):
        head.activation.check_channels(inputs, f"{head.where}.activation", paired=False)
        outputs = head.out_channels if i == last else head.channels
        shapes[f"head.{i}"] = ConvShape(inputs, outputs, kernel, bias=True)
        inputs = outputs
    return shapes


def _slimmed(arrays: Sequence[ArraySpec], slim: float) -> list[ArraySpec]:
    """The arrays at another size: index min(⌊slim · n⌋, n − 1) of each array's allowed channels."""
    if not any(array.allowed_channels for array in arrays):
        raise NamFileError("expected a slimmable model for `slim`, but this WaveNet has one size only")
    targets = []
    for array in arrays:
        sizes = array.allowed_channels or (array.channels,)
        targets.append(sizes[min(int(slim * len(sizes)), len(sizes) - 1)])
    if all(target == array.channels for target, array in zip(targets, arrays, strict=True)):
        return list(arrays)
    slimmed = []
    for a, (array, target) in enumerate(zip(arrays, targets, strict=True)):
        _check_can_slim(array)
        bottleneck = target
        if array.layer1x1_groups is not None:
            bottleneck = max(1, array.bottleneck * target // array.channels)
        slimmed.append(
            replace(
                array,
                channels=target,
                bottleneck=bottleneck,
                input_size=targets[a - 1] if a else array.input_size,
                head_size=targets[a + 1] if a + 1 < len(arrays) else array.head_size,
            )
        )
    return slimmed


def _check_can_slim(array: ArraySpec) -> None:
    """Groups and head kernels cannot be cut; the engine refuses them at any but the full size."""
    groups = {array.groups_input, array.groups_mixin, array.layer1x1_groups or 1}
    groups.add(array.head1x1[1] if array.head1x1 else 1)
    if groups != {1}:
        raise NamFileError(
            f"expected `{array.where}` to have 1 group at a reduced size, but got {max(groups)}"
        )
    if array.head_kernel != 1:
        raise NamFileError(
            f"expected `{array.where}` to have a head kernel of 1 at a reduced size,"
            f" but got {array.head_kernel}"
        )


def _cut(tensors: Mapping[str, Array], slots: Sequence[Slot]) -> dict[str, Array]:
    """The leading block of every tensor: the first channels are those of the smaller network."""
    return {slot.name: tensors[slot.name][tuple(slice(n) for n in slot.shape)] for slot in slots}


class WaveNet(Network):
    """A WaveNet that is ready to play; see the module for what it computes."""

    def __init__(
        self,
        arrays: Sequence[ArraySpec],
        post_head: PostHeadSpec | None,
        shapes: Mapping[str, ConvShape],
        tensors: Mapping[str, Array],
        condition: Network | None,
        *,
        prefix: str,
        where: str,
    ) -> None:
        self.arrays = tuple(arrays)
        self.post_head = post_head
        self.condition = condition
        self.convs = {name: CausalConv(shape, name, tensors, prefix) for name, shape in shapes.items()}
        self.head_scale = float(tensors["head_scale"][0])
        self.out_channels = post_head.out_channels if post_head else self.arrays[-1].head_size
        history = sum(array.history for array in self.arrays)
        history += sum(kernel - 1 for kernel in post_head.kernels) if post_head else 0
        self.receptive_field = history + (condition.receptive_field if condition else 1)
        self.prewarm_samples = history + (condition.prewarm_samples if condition else 1)
        self.num_weights = sum(tensor.size for tensor in tensors.values())
        self.num_weights += condition.num_weights if condition else 0
        self._check_size(where)

    def initial_state(self) -> State:
        """Silence in every delay line."""
        state: State = {} if self.condition is None else self.condition.initial_state()
        for conv in self.convs.values():
            state.update(conv.initial_state())
        return state

    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(1, T)` → `(out_channels, T)`."""
        condition = x if self.condition is None else self.condition.process(x, state, fast)
        head: Array | None = None
        for a, array in enumerate(self.arrays):
            prefix = f"layers.{a}."
            x = self.convs[f"{prefix}rechannel"](x, state)
            for i, layer in enumerate(array.layers):
                x, skip = self._layer(f"{prefix}{i}.", layer, x, condition, state, fast=fast)
                head = skip if head is None else head + skip
            head = self.convs[f"{prefix}head"](_present(head), state)
        y = self.head_scale * _present(head)
        if self.post_head is not None:
            for i in range(len(self.post_head.kernels)):
                y = self.convs[f"head.{i}"](self.post_head.activation(y, fast), state)
        return y

    def _layer(
        self, prefix: str, layer: LayerSpec, x: Array, condition: Array, state: State, *, fast: bool
    ) -> tuple[Array, Array]:
        """One layer: the next signal and what it adds to the head."""

        def film(position: str, y: Array) -> Array:
            return self._film(prefix + position, y, condition, state)

        z = film("conv_post_film", self.convs[f"{prefix}conv"](film("conv_pre_film", x), state))
        mixed = self.convs[f"{prefix}mixer"](film("input_mixin_pre_film", condition), state)
        z += film("input_mixin_post_film", mixed)
        a = _activate(layer, film("activation_pre_film", z), fast)
        a = film("activation_post_film", a)
        skip = a
        if f"{prefix}head1x1" in self.convs:
            skip = film("head1x1_post_film", self.convs[f"{prefix}head1x1"](a, state))
        if f"{prefix}layer1x1" not in self.convs:
            return x, skip
        residual = self.convs[f"{prefix}layer1x1"](a, state)
        if layer.gating == "blended":  # in the other modes the engine reads these weights and drops them
            residual = film("layer1x1_post_film", residual)
        residual += x
        return residual, skip

    def _film(self, name: str, y: Array, condition: Array, state: State) -> Array:
        conv = self.convs.get(name)
        if conv is None:
            return y
        modulation = conv(condition, state)
        width = y.shape[0]
        if modulation.shape[0] == width:
            return y * modulation
        result: Array = y * modulation[:width] + modulation[width:]
        return result


def _activate(layer: LayerSpec, z: Array, fast: bool) -> Array:
    if layer.secondary is None:
        return layer.activation(z, fast)
    first, second = np.split(z, 2)
    share = layer.secondary(second, fast)
    primary = layer.activation(first, fast)
    if layer.gating == "gated":
        return primary * share
    return share * primary + (1.0 - share) * first


def _present(head: Array | None) -> Array:
    if head is None:  # every array has at least one layer
        raise NamFileError("expected a layer array to have at least one layer, but got none")
    return head
