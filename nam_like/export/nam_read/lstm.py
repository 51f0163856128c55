"""LSTM: a stack of long short-term memory cells and a linear output, one sample at a time.

Gates in the file's order i, f, g, o:  c ← σ(f) c + σ(i) tanh(g);  h ← σ(o) tanh(c).

All layers advance together, as a wavefront: at step s, layer l works on sample s − l, for which the layer
below has its output ready since the step before. So one small matrix product per step serves the whole stack.

Source: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997;
weight order and prewarming as in NeuralAmpModelerCore 0.5.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nam_like.errors import NamFileError
from nam_like.export.nam_read.activations import FAST_TANH_DENOMINATOR, FAST_TANH_NUMERATOR
from nam_like.export.nam_read.envelope import Envelope
from nam_like.export.nam_read.network import MAX_CHANNELS, Array, Network, Slot, State, split_weights

__all__ = ["LSTM", "build_lstm"]

# The engine's renderer works in blocks of 64 and prewarms by whole blocks.
_ENGINE_BLOCK = 64


def build_lstm(envelope: Envelope, prefix: str = "") -> LSTM:
    """Read an LSTM.

    Raises:
        NamFileError: not mono, or the number of weights is wrong (the engine would play such a file,
            with whatever stands in memory behind the weights).
    """
    config = envelope.config_fields()
    for key in ("input_size", "in_channels", "out_channels"):
        if config.integer(key, *(() if key == "input_size" else (1,))) != 1:
            raise config.wrong(key, "1 (mono)", config.raw(key))
    hidden, layers = config.integer("hidden_size"), config.integer("num_layers")
    if hidden > MAX_CHANNELS or layers > MAX_CHANNELS:
        raise NamFileError(
            f"expected `{config.where}`: hidden_size and num_layers to be at most {MAX_CHANNELS},"
            f" but got {hidden} and {layers}"
        )
    tensors = split_weights(_slots(hidden, layers), envelope.weights, config.where)
    return LSTM(tensors, layers, envelope.sample_rate, prefix)


def _slots(hidden: int, layers: int) -> list[Slot]:
    slots = []
    for i in range(layers):
        inputs = hidden if i else 1
        slots.append(Slot(f"{i}.weight", (4 * hidden, inputs + hidden)))
        slots.append(Slot(f"{i}.bias", (4 * hidden,)))
        slots.append(Slot(f"{i}.h", (hidden,)))
        slots.append(Slot(f"{i}.c", (hidden,)))
    return [*slots, Slot("head.weight", (1, hidden)), Slot("head.bias", (1,))]


class LSTM(Network):
    """A stack of cells that starts from the state in the file and hears half a second of silence first."""

    chunk = 8192

    def __init__(
        self, tensors: Mapping[str, Array], layers: int, sample_rate: float | None, prefix: str
    ) -> None:
        self.tensors = tensors
        self.layers = layers
        self.hidden = len(tensors["0.h"])
        self.keys = (f"{prefix}h", f"{prefix}c")
        self.wave = _stack(tensors, layers, self.hidden)
        self.num_weights = sum(tensor.size for tensor in tensors.values())
        wanted = max(1, int(0.5 * sample_rate)) if sample_rate is not None else 1
        self.prewarm_samples = -(-wanted // _ENGINE_BLOCK) * _ENGINE_BLOCK

    def initial_state(self) -> State:
        """The h and c that the file holds, all layers one after the other: `(layers · H,)` each."""
        return {
            key: np.concatenate([self.tensors[f"{i}.{name}"] for i in range(self.layers)])
            for key, name in zip(self.keys, ("h", "c"), strict=True)
        }

    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(1, T)` → `(1, T)`."""
        h, c = (state[key].copy() for key in self.keys)
        h, top = _run(self.wave, x[0], h, c, self.layers, fast=fast)
        state.update(zip(self.keys, (h, c), strict=True))
        y: Array = self.tensors["head.weight"] @ top.T + self.tensors["head.bias"][0]
        return y


@dataclass(frozen=True)
class _Wave:
    """The stack as one cell of width n = layers · H, gates i, f, g, o of all layers next to each other.

    σ(z) = (tanh(z / 2) + 1) / 2 holds for the exact and, by definition, for the fast tanh, so that one tanh
    over all gates is enough: the halves are folded into `drive`, `bias` and `recurrent`, and
    gates = tanh(…) · `scale` + `offset`.
    """

    drive: Array  # (4n,), weight of the input sample
    bias: Array  # (4n,)
    recurrent: Array  # (4n, n), from the layer itself and from the layer below
    scale: Array  # (4n,)
    offset: Array  # (4n,)


def _stack(tensors: Mapping[str, Array], layers: int, hidden: int) -> _Wave:
    width = layers * hidden
    drive, bias = np.zeros((4, width)), np.zeros((4, width))
    recurrent = np.zeros((4, width, width))
    for i in range(layers):
        own, below = slice(i * hidden, (i + 1) * hidden), slice((i - 1) * hidden, i * hidden)
        weight = tensors[f"{i}.weight"].reshape(4, hidden, -1)
        bias[:, own] = tensors[f"{i}.bias"].reshape(4, hidden)
        recurrent[:, own, own] = weight[:, :, -hidden:]
        if i:
            recurrent[:, own, below] = weight[:, :, :hidden]
        else:
            drive[:, own] = weight[:, :, 0]
    scale = np.repeat([0.5, 0.5, 1.0, 0.5], width)
    return _Wave(
        drive=drive.reshape(-1) * scale,
        bias=bias.reshape(-1) * scale,
        recurrent=recurrent.reshape(4 * width, width) * scale[:, None],
        scale=scale,
        offset=1.0 - scale,
    )


def _run(wave: _Wave, x: Array, h: Array, c: Array, layers: int, *, fast: bool) -> tuple[Array, Array]:
    """Run the wavefront over `(T,)`; `c` is updated in place.

    Returns:
        The last h of all layers `(n,)`, and the top layer's h for every sample `(T, H)`.
    """
    width, length = len(h), len(x)
    steps = length + layers - 1 if length else 0
    padded = np.zeros(steps)
    padded[:length] = x
    drives = np.multiply.outer(padded, wave.drive) + wave.bias
    history = np.empty((steps, width))
    tanh_gates, tanh_cell = (_tanh(4 * width, fast), _tanh(width, fast))
    i, f, g, o = (slice(k * width, (k + 1) * width) for k in range(4))
    for step, (drive, out) in enumerate(zip(drives, history, strict=True)):
        whole = layers - 1 <= step < length
        before = None if whole else (h, c.copy())
        gates = wave.recurrent.dot(h)
        gates += drive
        gates = tanh_gates(gates)
        gates *= wave.scale
        gates += wave.offset
        c *= gates[f]
        c += gates[i] * gates[g]
        h = np.multiply(gates[o], tanh_cell(c), out=out)
        if before is not None:
            _keep_idle(before, (h, c), step, length, layers)
    hidden = width // layers
    return h.copy(), history[layers - 1 :, width - hidden :]


def _keep_idle(
    before: tuple[Array, Array], after: tuple[Array, Array], step: int, length: int, layers: int
) -> None:
    """At the ends of the wave, undo the step for the layers whose sample does not exist."""
    for old, new in zip(before, after, strict=True):
        hidden = len(new) // layers
        for layer in range(layers):
            if not 0 <= step - layer < length:
                own = slice(layer * hidden, (layer + 1) * hidden)
                new[own] = old[own]


def _tanh(width: int, fast: bool) -> Callable[[Array], Array]:
    """The exact tanh, or the fast one as a ratio of polynomials in |x|, in few calls on small arrays."""
    if not fast:
        return np.tanh
    powers, ratio = np.ones((5, width)), np.empty((2, width))
    coefficients = np.array([FAST_TANH_NUMERATOR, FAST_TANH_DENOMINATOR])

    # Views made once: making them at every step costs as much as the arithmetic.
    size, square, low, high = powers[1], powers[2], powers[1:3], powers[3:5]
    numerator, denominator = ratio

    def approximate(x: Array) -> Array:
        np.abs(x, out=size)
        np.multiply(size, size, out=square)
        np.multiply(low, square, out=high)
        np.dot(coefficients, powers, out=ratio)
        np.multiply(numerator, x, out=numerator)
        np.divide(numerator, denominator, out=numerator)
        return numerator

    return approximate
