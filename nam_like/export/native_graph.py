"""From a network that was read (`nam_read`) to a graph for the native streaming player.

Linear steps that follow each other are merged here, in float64: batch normalisation into its convolution,
the head
scale into the last head, groups into zeros of dense weights. What nobody hears (the last residual 1×1) is
left out.
"""

from __future__ import annotations

import numpy as np

from nam_like.export.nam_read import activations as read
from nam_like.export.nam_read.convnet import ConvNet
from nam_like.export.nam_read.linear import Linear
from nam_like.export.nam_read.lstm import LSTM
from nam_like.export.nam_read.network import Array, CausalConv, Network
from nam_like.export.nam_read.wavenet import WaveNet
from nam_like.export.nam_read.wavenet_config import ArraySpec, LayerSpec
from nam_like.native.stream_graph import Activation, Graph, LstmStack, Rows, Source

__all__ = ["MAX_TAPS", "emit", "obstacle"]

#: Impulse responses are played tap by tap; from here on a product of spectra is faster.
MAX_TAPS = 16_384

_PLAIN = {
    "Tanh": Activation("Tanh"),
    "Fasttanh": Activation("Fasttanh"),
    "Hardtanh": Activation("Hardtanh", (-1.0, 1.0, 0.0, 0.0)),
    "ReLU": Activation("ReLU"),
    "Sigmoid": Activation("Sigmoid"),
    "SiLU": Activation("SiLU"),
    "Hardswish": Activation("Hardswish"),
    "Softsign": Activation("Softsign"),
}


def obstacle(network: Network) -> str:
    """Why the native player cannot play a network; empty if it can."""
    if isinstance(network, Linear):
        taps = network.receptive_field
        return f"an impulse response of more than {MAX_TAPS} taps: {taps}" if taps > MAX_TAPS else ""
    if isinstance(network, WaveNet):
        return "" if network.condition is None else obstacle(network.condition)
    if isinstance(network, ConvNet | LSTM):
        return ""
    return f"a network of type {type(network).__name__}"


def emit(graph: Graph, network: Network, signal: Rows, *, fast_tanh: bool = False) -> Rows:
    """Add a network to a graph.

    Args:
        graph: where it is added.
        network: from `nam_read`, without an :func:`obstacle`.
        signal: what goes in.
        fast_tanh: play with the plugins' approximate tanh.

    Returns:
        What comes out.

    Raises:
        ValueError: the player does not know the network.
    """
    if isinstance(network, WaveNet):
        return _WaveNetEmitter(graph, network, fast_tanh).emit(signal)
    if isinstance(network, ConvNet):
        return _convnet(graph, network, signal, fast_tanh)
    if isinstance(network, LSTM):
        return graph.lstm(graph.signal(1), signal, _lstm(network), fast_tanh=fast_tanh)
    if isinstance(network, Linear):
        taps = network.response[::-1].reshape(-1, 1, 1)
        return graph.mix(graph.signal(1), [Source(signal, taps)], np.array([network.bias]))
    raise ValueError(f"expected a network that the player knows, but got {obstacle(network)}")


def _lstm(network: LSTM) -> LstmStack:
    tensors, state = network.tensors, network.initial_state()
    h, c = (state[key] for key in network.keys)
    return LstmStack(
        layers=[(tensors[f"{i}.weight"], tensors[f"{i}.bias"]) for i in range(network.layers)],
        h=h,
        c=c,
        head=tensors["head.weight"][0],
        head_bias=float(tensors["head.bias"][0]),
    )


def _activation(activation: read.Activation, rows: int, fast: bool) -> Activation:
    if activation.slopes:
        if len(activation.slopes) == 1:
            return Activation("LeakyReLU", (activation.slopes[0], 0.0, 0.0, 0.0))
        return Activation("PReLU", slopes=activation.slopes)
    if activation.name == "LeakyHardtanh":
        return Activation("LeakyHardtanh", activation.limits)
    return Activation("Fasttanh") if fast and activation.name == "Tanh" else _PLAIN[activation.name]


def _source(conv: CausalConv, rows: Rows) -> Source:
    return Source(rows, conv.taps, conv.shape.dilation)


def _bias(*convs: CausalConv) -> Array | None:
    """The sum of their biases."""
    biases = [conv.bias for conv in convs if conv.bias is not None]
    return np.sum(biases, axis=0).reshape(-1) if biases else None


def _convnet(graph: Graph, network: ConvNet, signal: Rows, fast: bool) -> Rows:
    for name, conv in network.convs.items():
        outputs = conv.shape.outputs
        scale, shift = network.norms.get(name, (np.ones((outputs, 1)), np.zeros((outputs, 1))))
        bias = shift[:, 0] + scale[:, 0] * _or_zero(_bias(conv), outputs)
        z = graph.signal(outputs)
        graph.mix(z, [Source(signal, scale * conv.taps, conv.shape.dilation)], bias)
        if name != "head":
            graph.activate(z, _activation(network.activation, outputs, fast), out=z)
        signal = z
    return signal


def _or_zero(bias: Array | None, rows: int) -> Array:
    return np.zeros(rows) if bias is None else bias


class _WaveNetEmitter:
    """The layers of one WaveNet, with the signals that they share."""

    def __init__(self, graph: Graph, network: WaveNet, fast: bool) -> None:
        self.graph = graph
        self.network = network
        self.fast = fast
        self.scratch: dict[tuple[str, int], Rows] = {}

    def emit(self, signal: Rows) -> Rows:
        network, graph = self.network, self.graph
        condition = signal
        if network.condition is not None:
            condition = emit(graph, network.condition, signal, fast_tanh=self.fast)
        x, last = signal, len(network.arrays) - 1
        head = graph.signal(network.arrays[0].skip_width)
        begun = False
        for a, array in enumerate(network.arrays):
            x = self._array(f"layers.{a}.", array, x, condition, head, begun=begun, last=a == last)
            conv = network.convs[f"layers.{a}.head"]
            following = graph.signal(array.head_size)
            scale = network.head_scale if a == last else 1.0
            bias = _bias(conv)
            graph.mix(
                following,
                [Source(head, scale * conv.taps, conv.shape.dilation)],
                None if bias is None else scale * bias,
            )
            head, begun = following, True
        return self._post_head(head)

    def _post_head(self, y: Rows) -> Rows:
        head = self.network.post_head
        if head is None:
            return y
        for i in range(len(head.kernels)):
            activation = _activation(head.activation, y.count, self.fast)
            conv = self.network.convs[f"head.{i}"]
            a = self.graph.signal(y.count)
            self.graph.activate(y, activation, out=a)
            y = self.graph.mix(self.graph.signal(conv.shape.outputs), [_source(conv, a)], _bias(conv))
        return y

    def _scratch(self, name: str, rows: int) -> Rows:
        """A signal that is used up before the next layer; all layers share it, in the cache."""
        if (name, rows) not in self.scratch:
            self.scratch[name, rows] = self.graph.signal(rows)
        return self.scratch[name, rows]

    def _array(
        self, prefix: str, array: ArraySpec, x: Rows, condition: Rows, head: Rows, *, begun: bool, last: bool
    ) -> Rows:
        """One layer array: returns its signal; the skip sum goes to `head`."""
        convs = self.network.convs
        rechannel = convs[f"{prefix}rechannel"]
        x = self.graph.mix(self.graph.signal(array.channels), [_source(rechannel, x)])
        for i, layer in enumerate(array.layers):
            heard = not (last and i == len(array.layers) - 1)
            x = self._layer(
                f"{prefix}{i}.", array, layer, x, condition, head, adds=begun or i > 0, heard=heard
            )
        return x

    def _layer(
        self,
        prefix: str,
        array: ArraySpec,
        layer: LayerSpec,
        x: Rows,
        condition: Rows,
        head: Rows,
        *,
        adds: bool,
        heard: bool,
    ) -> Rows:
        """One layer: returns the next signal, which nobody reads if it is not `heard`."""
        graph, convs = self.graph, self.network.convs
        z = self._preactivation(prefix, x, condition)
        z = self._film(f"{prefix}activation_pre_film", z, condition)
        width = array.bottleneck
        head1x1, pointwise = convs.get(f"{prefix}head1x1"), convs.get(f"{prefix}layer1x1")
        modulated = f"{prefix}activation_post_film" in convs
        a = self._scratch("a", width)
        direct = head1x1 is None and not modulated  # what the activation gives is what the head adds up
        graph.activate(
            z,
            _activation(layer.activation, width, self.fast),
            out=a if (pointwise is not None and heard) or not direct else None,
            total=head if direct else None,
            adds=adds,
            pair={"none": "none", "gated": "multiply", "blended": "blend"}[layer.gating],
            secondary=_activation(layer.secondary, width, self.fast) if layer.secondary else Activation(),
        )
        a = self._film(f"{prefix}activation_post_film", a, condition)
        if not direct:
            self._skip(prefix, a, condition, head, adds=adds)
        if pointwise is None or not heard:
            return x
        return self._residual(prefix, layer, pointwise, a, x, condition)

    def _preactivation(self, prefix: str, x: Rows, condition: Rows) -> Rows:
        """Z = conv(x) + mixer(condition), each possibly modulated before and after."""
        convs = self.network.convs
        conv, mixer = convs[f"{prefix}conv"], convs[f"{prefix}mixer"]
        z = self._scratch("z", conv.shape.outputs)
        driven = self._film(f"{prefix}conv_pre_film", x, condition, remembers=True)
        drive = self._film(f"{prefix}input_mixin_pre_film", condition, condition)
        if f"{prefix}conv_post_film" not in convs and f"{prefix}input_mixin_post_film" not in convs:
            return self.graph.mix(z, [_source(conv, driven), _source(mixer, drive)], _bias(conv, mixer))
        self.graph.mix(z, [_source(conv, driven)], _bias(conv))
        z = self._film(f"{prefix}conv_post_film", z, condition)
        mixed = self.graph.mix(self._scratch("mixed", z.count), [_source(mixer, drive)], _bias(mixer))
        mixed = self._film(f"{prefix}input_mixin_post_film", mixed, condition)
        self.graph.activate(mixed, Activation(), total=z, adds=True)
        return z

    def _skip(self, prefix: str, a: Rows, condition: Rows, head: Rows, *, adds: bool) -> None:
        """Head += head1x1(a), or a."""
        conv = self.network.convs.get(f"{prefix}head1x1")
        if conv is None:
            self.graph.activate(a, Activation(), total=head, adds=adds)
        elif f"{prefix}head1x1_post_film" not in self.network.convs:
            self.graph.mix(head, [_source(conv, a)], _bias(conv), base=head if adds else None)
        else:
            skip = self.graph.mix(self._scratch("skip", head.count), [_source(conv, a)], _bias(conv))
            skip = self._film(f"{prefix}head1x1_post_film", skip, condition)
            self.graph.activate(skip, Activation(), total=head, adds=adds)

    def _residual(
        self, prefix: str, layer: LayerSpec, conv: CausalConv, a: Rows, x: Rows, condition: Rows
    ) -> Rows:
        """The next signal x + layer1x1(a). Only blended layers modulate it, as the engine does."""
        following = self.graph.signal(x.count)
        if layer.gating != "blended" or f"{prefix}layer1x1_post_film" not in self.network.convs:
            return self.graph.mix(following, [_source(conv, a)], _bias(conv), base=x)
        self.graph.mix(following, [_source(conv, a)], _bias(conv))
        modulated = self._film(f"{prefix}layer1x1_post_film", following, condition, remembers=True)
        self.graph.activate(x, Activation(), total=modulated, adds=True)
        return modulated

    def _film(self, name: str, y: Rows, condition: Rows, *, remembers: bool = False) -> Rows:
        """Y · scale (+ shift), both from a 1×1 of the condition; or y itself."""
        conv = self.network.convs.get(name)
        if conv is None:
            return y
        width = y.count
        modulation = self._scratch("film", conv.shape.outputs)
        self.graph.mix(modulation, [_source(conv, condition)], _bias(conv))
        out = self.graph.signal(width) if remembers else self._scratch(name.rsplit(".", 1)[-1], width)
        shift = modulation.part(width, width) if modulation.count > width else None
        return self.graph.modulate(out, y, modulation.part(0, width), shift)
