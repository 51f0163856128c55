"""LSTM: a stack of long short-term memory cells and a linear output, one sample at a time.

Gates in the file's order i, f, g, o:  c ← σ(f) c + σ(i) tanh(g);  h ← σ(o) tanh(c).
Source: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997;
weight order and prewarming as in NeuralAmpModelerCore 0.5.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nam_like.errors import NamFileError
from nam_like.export.nam_read.activations import fast_tanh
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

    chunk = 65536

    def __init__(
        self, tensors: Mapping[str, Array], layers: int, sample_rate: float | None, prefix: str
    ) -> None:
        self.tensors = tensors
        self.layers = layers
        self.prefix = prefix
        self.num_weights = sum(tensor.size for tensor in tensors.values())
        wanted = max(1, int(0.5 * sample_rate)) if sample_rate is not None else 1
        self.prewarm_samples = -(-wanted // _ENGINE_BLOCK) * _ENGINE_BLOCK

    def initial_state(self) -> State:
        """The h and c that the file holds for each layer."""
        return {
            f"{self.prefix}{i}.{name}": self.tensors[f"{i}.{name}"].copy()
            for i in range(self.layers)
            for name in ("h", "c")
        }

    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(1, T)` → `(1, T)`."""
        signal = x.T
        for i in range(self.layers):
            h, c = (f"{self.prefix}{i}.{name}" for name in ("h", "c"))
            weight, bias = self.tensors[f"{i}.weight"], self.tensors[f"{i}.bias"]
            signal, state[h], state[c] = run_cell(signal, weight, bias, state[h], state[c], fast=fast)
        y: Array = self.tensors["head.weight"] @ signal.T + self.tensors["head.bias"][0]
        return y


def run_cell(
    x: Array, weight: Array, bias: Array, h: Array, c: Array, *, fast: bool
) -> tuple[Array, Array, Array]:
    """Run one cell over `(T, I)`.

    σ(z) = (tanh(z / 2) + 1) / 2 holds for the exact and, by definition, for the fast tanh, so that one
    tanh over all four gates is enough; the halves are folded into the weights.

    Args:
        x: input `(T, I)`.
        weight: `(4H, I + H)`, input columns first.
        bias: `(4H,)`.
        h: hidden state `(H,)`.
        c: cell state `(H,)`.
        fast: use the engine's approximate tanh everywhere.

    Returns:
        All hidden states `(T, H)`, the last h, the last c.
    """
    tanh: Callable[[Array], Array] = fast_tanh if fast else np.tanh
    hidden = len(h)
    inputs = weight.shape[1] - hidden
    half = np.full(4 * hidden, 0.5)
    half[2 * hidden : 3 * hidden] = 1.0
    offset = 1.0 - half
    recurrent = np.ascontiguousarray(weight[:, inputs:] * half[:, None])
    drive = (x @ weight[:, :inputs].T + bias) * half
    outputs = np.empty((len(x), hidden))
    h, c = h.copy(), c.copy()
    i, f, g, o = (slice(k * hidden, (k + 1) * hidden) for k in range(4))
    for row, out in zip(drive, outputs, strict=True):
        gates = recurrent.dot(h)
        gates += row
        gates = tanh(gates)
        gates *= half
        gates += offset
        c *= gates[f]
        c += gates[i] * gates[g]
        h = np.multiply(gates[o], tanh(c), out=out)
    return outputs, h.copy(), c
