"""The streaming player: block by block, without allocation.

`nam_like.native.stream_graph` builds what a :class:`Stream` plays.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nam_like.native.stream_graph import Graph

__all__ = ["Floats", "Stream", "check_blocks"]

Floats = NDArray[np.float32]
FLOAT32 = np.dtype(np.float32)


def _address(samples: Floats) -> int:
    """Where the samples of a contiguous array stand."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(samples.data))  # far faster than the other way
    except (TypeError, ValueError):  # it cannot be written, or is empty
        address: int = samples.__array_interface__["data"][0]
        return address


def check_blocks(block: Floats, out: Floats) -> None:
    """Refuse arrays that cannot be played from one into the other.

    Raises:
        ValueError: they are not contiguous float32 of one length, or `out` cannot be written.
    """
    if not (
        block.dtype == FLOAT32
        and out.dtype == FLOAT32
        and block.ndim == 1
        and block.shape == out.shape
        and block.flags.c_contiguous
        and out.flags.carray
    ):
        raise ValueError(
            "expected contiguous float32 arrays of one shape (n,), the second writeable,"
            f" but got {block.dtype} of shape {block.shape} and {out.dtype} of shape {out.shape}"
        )


class Stream:
    """A started graph. It plays one signal; its state is kept from call to call.

    Attributes:
        isa: the instruction set that it was packed for.
    """

    def __init__(self, graph: Graph) -> None:
        self.isa = graph.isa
        self._graph = graph  # keeps the handle alive
        self._handle = graph._handle
        functions = graph._library
        self._process = functions.nam_stream_process
        self._functions = functions

    def process_into(self, block: Floats, out: Floats) -> None:
        """Play the next samples: `block` `(n,)` → `out` `(n,)`, which may be the same array.

        Raises:
            ValueError: the arrays are not contiguous float32 of one length.
        """
        check_blocks(block, out)
        self._process(
            self._handle,
            _address(block),
            _address(out),
            block.shape[0],
        )

    def play_silence(self, samples: int) -> None:
        """Play so many zeros and forget what comes out."""
        self._functions.nam_stream_silence(self._handle, samples)

    def save(self) -> None:
        """Make the present state the one that :meth:`reset` goes back to."""
        self._functions.nam_stream_save(self._handle)

    def reset(self) -> None:
        """Go back to the saved state, at first the one after `start`."""
        self._functions.nam_stream_reset(self._handle)

    def time_blocks(self, x: Floats, block: int) -> NDArray[np.float64]:
        """Play `x` in blocks of `block` samples and measure each.

        Args:
            x: `(n,)`, contiguous float32; what does not fill a block is left out.
            block: samples per block.

        Returns:
            Seconds per block, `(n // block,)`.
        """
        samples = np.ascontiguousarray(x, np.float32)
        seconds = np.zeros(len(samples) // block)
        out = np.empty_like(samples)
        self._functions.nam_stream_time(
            self._handle, samples.ctypes.data, out.ctypes.data, block, len(seconds), seconds.ctypes.data
        )
        return seconds
