"""ConvNet: dilated convolutions of two taps, each with optional batch normalisation and an activation.

Source: weight order and defaults as in NeuralAmpModelerCore 0.5.5 (convnet.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nam_like.errors import NamFileError
from nam_like.export.nam_read.activations import Activation, parse_activation
from nam_like.export.nam_read.envelope import Envelope
from nam_like.export.nam_read.network import Array, CausalConv, ConvShape, Network, Slot, State, split_weights

__all__ = ["ConvNet", "build_convnet"]


def build_convnet(envelope: Envelope, prefix: str = "") -> ConvNet:
    """Read a ConvNet.

    Raises:
        NamFileError: a key is missing or wrong, or the number of weights is not what the config needs.
    """
    config = envelope.config_fields()
    for key in ("in_channels", "out_channels"):
        if config.integer(key, 1) != 1:
            raise config.wrong(key, "1 (mono)", config.raw(key))
    channels, groups = config.integer("channels"), config.integer("groups", 1)
    dilations, batchnorm = config.integers("dilations"), config.boolean("batchnorm")
    if not dilations:
        raise NamFileError(
            f"expected `{config.path('dilations')}` to hold at least one dilation, but got none"
        )
    activation = parse_activation(config.raw("activation"), config.path("activation"))
    activation.check_channels(channels, config.path("activation"), paired=False)
    shapes = {
        str(i): ConvShape(channels if i else 1, channels, 2, dilation, groups, bias=not batchnorm)
        for i, dilation in enumerate(dilations)
    }
    shapes["head"] = ConvShape(channels, 1, bias=True)
    for name, shape in shapes.items():
        shape.check(f"{config.where} (block {name})")
    tensors = split_weights(_slots(shapes, channels, batchnorm), envelope.weights, config.where)
    return ConvNet(shapes, tensors, activation, prefix=prefix, where=config.where)


def _slots(shapes: Mapping[str, ConvShape], channels: int, batchnorm: bool) -> list[Slot]:
    slots = []
    for name, shape in shapes.items():
        slots += shape.slots(name)
        if batchnorm and name != "head":
            slots += [Slot(f"{name}.norm.{what}", (channels,)) for what in ("mean", "var", "gamma", "beta")]
            slots.append(Slot(f"{name}.norm.eps", (1,)))
    return slots


class ConvNet(Network):
    """Blocks of convolution, normalisation and activation, then a 1×1 to one channel."""

    def __init__(
        self,
        shapes: Mapping[str, ConvShape],
        tensors: Mapping[str, Array],
        activation: Activation,
        *,
        prefix: str,
        where: str,
    ) -> None:
        self.convs = {name: CausalConv(shape, name, tensors, prefix) for name, shape in shapes.items()}
        self.norms = {name: _norm(name, tensors) for name in shapes if f"{name}.norm.eps" in tensors}
        self.activation = activation
        self.receptive_field = self.prewarm_samples = 1 + sum(shape.history for shape in shapes.values())
        self.num_weights = sum(tensor.size for tensor in tensors.values())
        self._check_size(where)

    def initial_state(self) -> State:
        """Silence in every delay line."""
        state: State = {}
        for conv in self.convs.values():
            state.update(conv.initial_state())
        return state

    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(1, T)` → `(1, T)`."""
        for name, conv in self.convs.items():
            x = conv(x, state)
            if name in self.norms:
                scale, shift = self.norms[name]
                x *= scale
                x += shift
            if name != "head":
                x = self.activation(x, fast)
        return x


def _norm(name: str, tensors: Mapping[str, Array]) -> tuple[Array, Array]:
    """Batch normalisation in evaluation mode as scale and shift, each `(C, 1)`."""
    mean, var, gamma, beta, eps = (
        tensors[f"{name}.norm.{what}"] for what in ("mean", "var", "gamma", "beta", "eps")
    )
    if np.any(var + eps <= 0.0):
        raise NamFileError(
            f"expected the variances of block {name} plus eps to be above 0, but got {min(var + eps):g}"
        )
    scale = gamma / np.sqrt(var + eps)
    return scale[:, None], (beta - scale * mean)[:, None]
