"""Playing a loaded model: whole signals, or streams in blocks of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nam_like.errors import UserError
from nam_like.export.nam_read.envelope import Envelope
from nam_like.export.nam_read.network import Network, State

__all__ = ["NamModel", "Player", "mono_samples"]


def mono_samples(block: ArrayLike) -> NDArray[Any]:
    """A block as an array.

    Raises:
        UserError: it is not one-dimensional or not floating point.
    """
    samples = np.asarray(block)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise UserError(
            "expected mono floating-point samples of shape (L,),"
            f" but got {samples.dtype} of shape {samples.shape}"
        )
    return samples


class Player:
    """One stream through a model; it remembers the past from block to block.

    Args:
        network: what plays.
        start: the state to start from; it is copied.
        fast_tanh: play with the plugins' approximate tanh.
    """

    def __init__(self, network: Network, start: State, *, fast_tanh: bool) -> None:
        self._network = network
        self._start = start
        self._fast = fast_tanh
        self.reset()

    def reset(self) -> None:
        """Forget the stream: back to the state before its first sample."""
        self._state = _copy(self._start)

    def state(self) -> State:
        """A copy of what the stream remembers."""
        return _copy(self._state)

    def process(self, block: ArrayLike) -> NDArray[np.float32]:
        """Play the next samples.

        Args:
            block: `(L,)` float samples, rounded to float32 as the engine does; L may be any number.

        Returns:
            `(L,)` float32, without latency; not clipped.

        Raises:
            UserError: the block is not one-dimensional or not floating point.
        """
        samples = mono_samples(block)
        out = np.empty(len(samples), dtype=np.float32)
        step = self._network.chunk
        # A model may overflow; then the output is infinite, as the engine's is, and nobody is warned twice.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(samples), step):
                chunk = samples[start : start + step].astype(np.float32).astype(np.float64)
                out[start : start + step] = self._network.process(chunk[None, :], self._state, self._fast)[0]
        return out


class NamModel:
    """A `.nam` file that is ready to play.

    Attributes:
        envelope: the validated file.
        network: the network that plays (of a container, the chosen member).
        slim: the size that was asked for, None for the full one.
    """

    def __init__(self, envelope: Envelope, network: Network, slim: float | None = None) -> None:
        self.envelope = envelope
        self.network = network
        self.slim = slim
        self._prewarmed: dict[bool, State] = {}

    @property
    def architecture(self) -> str:
        """For example "WaveNet"."""
        return self.envelope.architecture

    @property
    def version(self) -> str:
        """Version of the file format."""
        return self.envelope.version

    @property
    def sample_rate(self) -> float | None:
        """Hz, or None when the file does not say."""
        return self.envelope.sample_rate

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the file says about itself."""
        return self.envelope.metadata

    @property
    def config(self) -> Mapping[str, Any]:
        """The architecture's options as they stand in the file."""
        return self.envelope.config

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on; 1 for recurrent models."""
        return self.network.receptive_field

    @property
    def num_weights(self) -> int:
        """Weights of the network that plays, its condition network included."""
        return self.network.num_weights

    def player(self, *, prewarm: bool = True, fast_tanh: bool = False) -> Player:
        """A new stream.

        Args:
            prewarm: start as the engine does, after enough silence for the state to settle.
            fast_tanh: play with the plugins' approximate tanh (`Tanh` layers and LSTM gates only).
        """
        return Player(self.network, self._start(prewarm, fast_tanh), fast_tanh=fast_tanh)

    def process(self, x: ArrayLike, *, prewarm: bool = True, fast_tanh: bool = False) -> NDArray[np.float32]:
        """Play a whole signal `(L,)` as the engine does: same length, float32, no latency, not clipped.

        Args:
            x: mono samples at the model's rate, full scale ±1.
            prewarm: as in :meth:`player`.
            fast_tanh: as in :meth:`player`.
        """
        return self.player(prewarm=prewarm, fast_tanh=fast_tanh).process(x)

    def _start(self, prewarm: bool, fast: bool) -> State:
        if not prewarm:
            return self.network.initial_state()
        if fast not in self._prewarmed:
            player = Player(self.network, self.network.initial_state(), fast_tanh=fast)
            remaining = self.network.prewarm_samples
            while remaining > 0:
                size = min(remaining, self.network.chunk)
                player.process(np.zeros(size, dtype=np.float32))
                remaining -= size
            self._prewarmed[fast] = player.state()
        return self._prewarmed[fast]


def _copy(state: State) -> State:
    return {name: value.copy() for name, value in state.items()}
