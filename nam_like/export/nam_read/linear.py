"""Linear: one impulse response (and a bias). The first weight meets the newest sample.

The convolution is a product of spectra (overlap-save), exact to float64 rounding.
Source: the reading rules of NeuralAmpModelerCore 0.5.5.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nam_like.export.nam_read.envelope import Envelope
from nam_like.export.nam_read.network import Array, Network, Slot, State, split_weights

__all__ = ["Linear", "build_linear"]

_IMPLEMENTATIONS = ("auto", "direct", "fft")


def build_linear(envelope: Envelope, prefix: str = "") -> Linear:
    """Read a Linear model.

    Raises:
        NamFileError: a key is missing or wrong, or the number of weights is not what the config needs.
    """
    config = envelope.config_fields()
    for key in ("in_channels", "out_channels"):
        if config.integer(key, 1) != 1:
            raise config.wrong(key, "1 (mono)", config.raw(key))
    implementation = config.text("implementation", "auto")
    if implementation not in _IMPLEMENTATIONS:
        raise config.wrong("implementation", f"one of {', '.join(_IMPLEMENTATIONS)}", implementation)
    slots = [Slot("response", (config.integer("receptive_field"),))]
    if config.boolean("bias"):
        slots.append(Slot("bias", (1,)))
    tensors = split_weights(slots, envelope.weights, config.where)
    return Linear(tensors, prefix, config.where)


class Linear(Network):
    """y[n] = bias + Σ response[k] x[n − k]."""

    chunk = 16384

    def __init__(self, tensors: Mapping[str, Array], prefix: str, where: str) -> None:
        self.response = tensors["response"]
        self.bias = float(tensors["bias"][0]) if "bias" in tensors else 0.0
        self.key = f"{prefix}history"
        self.receptive_field = self.prewarm_samples = len(self.response)
        self.num_weights = sum(tensor.size for tensor in tensors.values())
        self._check_size(where)

    def initial_state(self) -> State:
        """Silence."""
        return {self.key: np.zeros((1, self.receptive_field - 1))}

    def process(self, x: Array, state: State, fast: bool) -> Array:
        """Play `(1, T)` → `(1, T)`."""
        length = x.shape[1]
        joined = np.concatenate([state[self.key], x], axis=1)
        state[self.key] = joined[:, length:].copy()
        if length == 0:
            return joined[:, :0]
        past = self.receptive_field - 1
        size = 1 << int(joined.shape[1] - 1).bit_length()
        spectrum = np.fft.rfft(joined, size) * np.fft.rfft(self.response, size)
        y: Array = np.fft.irfft(spectrum, size)[:, past : past + length] + self.bias
        return y
