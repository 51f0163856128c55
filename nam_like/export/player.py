"""Play a `.nam` file block by block, as fast as this machine can: `load(path).process(block)`.

The native player (`nam_like.native.stream`) plays where it was built; else the reader in NumPy does, with
the same
results to float32 rounding and much more slowly. :meth:`Player.describe` says which.

    player = load("model.nam")
    wet = player.process(dry[:512])     # (512,), the state is kept
    wet = player.process(dry[512:513])
    player.reset()                      # before the first sample again
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nam_like.errors import UserError
from nam_like.export import native_graph
from nam_like.export.nam_read import NamModel, load_nam
from nam_like.export.nam_read.player import mono_samples
from nam_like.native import library, stream, stream_graph

__all__ = ["Player", "load"]

Floats = NDArray[np.float32]


def load(
    source: str | Path | Mapping[str, Any] | NamModel,
    *,
    slim: float | None = None,
    fast_tanh: bool = False,
    prewarm: bool = True,
) -> Player:
    """Load a `.nam` file for playing.

    Args:
        source: path, parsed JSON object, envelope, or a model that was loaded already.
        slim: size knob from 0 to 1 of containers and slimmable WaveNets; None plays the full size.
        fast_tanh: play with the plugins' approximate tanh (`Tanh` layers and LSTM gates only).
        prewarm: start as the realtime engine does, after enough silence for the state to settle.

    Raises:
        NamFileError: the realtime engine would not play the file (see
        :func:`nam_like.export.nam_read.load_nam`).
    """
    model = source if isinstance(source, NamModel) else load_nam(source, slim=slim)
    return Player(model, fast_tanh=fast_tanh, prewarm=prewarm)


class Player:
    """One stream through a model; it remembers the past from block to block.

    Args:
        model: a loaded `.nam` file.
        fast_tanh: play with the plugins' approximate tanh.
        prewarm: begin after enough silence for the state to settle.
    """

    def __init__(self, model: NamModel, *, fast_tanh: bool = False, prewarm: bool = True) -> None:
        self.model = model
        self.fast_tanh = fast_tanh
        self._prewarmed = prewarm
        self._native = _start_native(model, fast_tanh)
        if self._native is None:
            self._reader = model.player(prewarm=prewarm, fast_tanh=fast_tanh)
        elif prewarm:
            self._native.play_silence(model.network.prewarm_samples)
            self._native.save()
        self._description = _describe(model, self._native)

    @property
    def sample_rate(self) -> float | None:
        """Hz, or None when the file does not say."""
        return self.model.sample_rate

    @property
    def receptive_field(self) -> int:
        """Input samples that one output sample depends on; 1 for recurrent models."""
        return self.model.receptive_field

    @property
    def is_native(self) -> bool:
        """Whether the native kernels play."""
        return self._native is not None

    def describe(self) -> str:
        """One line for logs: what plays."""
        return self._description

    def process(self, block: ArrayLike) -> Floats:
        """Play the next samples.

        Args:
            block: `(n,)` float samples at the model's rate, full scale ±1; n may be any number.

        Returns:
            `(n,)` float32, without latency; not clipped.

        Raises:
            UserError: the block is not one-dimensional or not floating point.
        """
        samples = mono_samples(block)
        if self._native is None:
            return self._reader.process(samples)
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        out = np.empty_like(samples)
        self._native.process_into(samples, out)
        return out

    def process_into(self, block: Floats, out: Floats) -> None:
        """Play the next samples into an array that exists; nothing is allocated.

        Args:
            block: `(n,)`, contiguous float32.
            out: `(n,)`, contiguous float32; may be `block` itself.

        Raises:
            UserError: the arrays are something else.
        """
        try:
            if self._native is not None:
                self._native.process_into(block, out)
                return
            stream.check_blocks(block, out)
        except ValueError as error:
            raise UserError(str(error)) from None
        out[:] = self._reader.process(block)

    def time_blocks(self, x: Floats, block: int) -> NDArray[np.float64]:
        """Play `x` `(n,)` in blocks and measure each, on one thread.

        Args:
            x: contiguous float32; what does not fill a block is left out.
            block: samples per block.

        Returns:
            Seconds per block, `(n // block,)`.
        """
        if self._native is not None:
            return self._native.time_blocks(x, block)
        seconds = np.empty(len(x) // block)
        for number in range(len(seconds)):
            started = time.perf_counter()
            self._reader.process(x[number * block : (number + 1) * block])
            seconds[number] = time.perf_counter() - started
        return seconds

    def reset(self) -> None:
        """Forget the stream: back to the state before its first sample."""
        if self._native is None:
            self._reader.reset()
        else:
            self._native.reset()


def _start_native(model: NamModel, fast_tanh: bool) -> stream.Stream | None:
    """The native player from the state in the file, or None where it cannot play."""
    if not stream_graph.available() or native_graph.obstacle(model.network):
        return None
    graph = stream_graph.Graph()
    return graph.start(native_graph.emit(graph, model.network, graph.input, fast_tanh=fast_tanh))


def _describe(model: NamModel, native: stream.Stream | None) -> str:
    if native is not None:
        return f"native player ({native.isa})"
    if library.load() is None:
        return f"NumPy reader ({library.status()})"
    return f"NumPy reader (the native player does not play {native_graph.obstacle(model.network)})"
