"""Networks for the streaming player, as signals and operations.

A :class:`Graph` is built once: signals are groups of rows over time, operations fill them from others,
weights are packed for the processor. `start` lays out the memory (delay lines as long as somebody reads) and
returns a :class:`~nam_like.native.stream.Stream`, which plays. `csrc/stream.h` is the other side.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from ctypes import c_float, c_int, c_ssize_t, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nam_like.errors import UserError
from nam_like.native import library
from nam_like.native.kinds import KINDS, PAIRS
from nam_like.native.stream import Floats, Stream

__all__ = [
    "BLOCK",
    "Activation",
    "Graph",
    "LstmStack",
    "Rows",
    "Source",
    "available",
]


#: Samples that pass through all operations at once (`STREAM_BLOCK` in csrc/stream_kernels.h).
BLOCK = 64


@dataclass(frozen=True)
class Rows:
    """Some rows of a signal.

    Attributes:
        signal: its number.
        first: the first row.
        count: how many.
    """

    signal: int
    first: int
    count: int

    def part(self, first: int, count: int) -> Rows:
        """Rows of these, counted from their first."""
        return Rows(self.signal, self.first + first, count)


@dataclass(frozen=True)
class Source:
    """What a mix reads.

    Attributes:
        rows: from which rows.
        weight: `(taps, outputs, rows)`, the last tap meets the newest sample.
        dilation: samples between taps.
    """

    rows: Rows
    weight: NDArray[np.float64] | Floats
    dilation: int = 1


@dataclass(frozen=True)
class Activation:
    """A function of single samples.

    Attributes:
        kind: one of :data:`~nam_like.native.kinds.KINDS`.
        constants: slope of ``leaky_relu``; limits of ``hardtanh``; limits and slopes of ``leaky_hardtanh``.
        slopes: ``prelu``: one per row.
    """

    kind: str = "Identity"
    constants: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()


@dataclass(frozen=True)
class LstmStack:
    """The numbers of an LSTM with H units per layer, gates in the order i, f, g, o.

    Attributes:
        layers: per layer `(4H, inputs + H)` and `(4H,)`; the first has one input, the others H.
        h, c: the state to begin with, all layers one after the other: `(layers · H,)` each.
        head: `(H,)`, the output's weights.
        head_bias: what is added to the output.
    """

    layers: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]
    h: NDArray[np.float64]
    c: NDArray[np.float64]
    head: NDArray[np.float64]
    head_bias: float


IDENTITY = Activation()


def available() -> bool:
    """Whether there are native kernels to play with."""
    return library.load() is not None


@functools.cache
def _functions(handle: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of this module's functions declared."""
    pointer = c_void_p
    declared: dict[str, tuple[Any, list[Any]]] = {
        "new": (c_void_p, []),
        "free": (None, [pointer]),
        "signal": (c_int, [pointer, c_int]),
        "mix": (c_int, [pointer, pointer, pointer, c_int, pointer, pointer, pointer]),
        "activate": (c_int, [pointer] * 4 + [c_int] * 3 + [pointer] * 2 + [c_int] + [pointer] * 2),
        "modulate": (c_int, [pointer] * 5),
        "lstm": (c_int, [pointer] * 3 + [c_int] * 3 + [pointer] * 3 + [c_float]),
        "start": (c_int, [pointer, c_int]),
        "process": (None, [pointer, pointer, pointer, c_ssize_t]),
        "silence": (None, [pointer, c_ssize_t]),
        "save": (None, [pointer]),
        "reset": (None, [pointer]),
        "time": (None, [pointer, pointer, pointer, c_ssize_t, c_ssize_t, pointer]),
    }
    for name, (result, arguments) in declared.items():
        function = getattr(handle, f"nam_stream_{name}")
        function.restype, function.argtypes = result, arguments
    return handle


def _check(result: int) -> int:
    if result == -2:
        raise MemoryError
    if result < 0:
        raise ValueError("expected rows that the graph has, and taps and dilations above 0")
    return result


def _numbers(rows: Rows | None) -> Any:
    return None if rows is None else (c_int * 3)(rows.signal, rows.first, rows.count)


def _floats(values: Sequence[float], count: int) -> Any:
    return (c_float * count)(*values) if values else None


class Graph:
    """A player that is being built. Signal 0, one row, is the input.

    Raises:
        UserError: there are no native kernels.
    """

    def __init__(self) -> None:
        found = library.load()
        if found is None:
            raise UserError(f"expected native kernels, but got {library.status()}")
        self.isa = found.isa
        self._library = _functions(found.handle)
        self._handle = self._library.nam_stream_new()
        if not self._handle:
            raise MemoryError
        self._free = weakref.finalize(self, self._library.nam_stream_free, self._handle)
        self.input = self.signal(1)

    def signal(self, rows: int) -> Rows:
        """A new signal with so many rows."""
        return Rows(_check(self._library.nam_stream_signal(self._handle, rows)), 0, rows)

    def mix(
        self,
        out: Rows,
        sources: Sequence[Source],
        bias: NDArray[np.float64] | None = None,
        base: Rows | None = None,
    ) -> Rows:
        """`out` = bias + base + Σ over sources and taps of weight · rows; `base` may be `out`."""
        flat = np.concatenate([_flat(source.weight) for source in sources], axis=1)
        weights = _rounded(flat)
        _expect(weights.shape[0] == out.count, "weights", weights.shape, "one row per output row", out.count)
        shift = np.zeros(out.count, np.float32) if bias is None else _rounded(bias)
        _expect(shift.shape == (out.count,), "bias", shift.shape, "one number per output row", out.count)
        _expect(
            base is None or base.count == out.count, "base", base, "as many rows as the output", out.count
        )
        taps: list[int] = []
        for source in sources:
            rows, weight = source.rows, source.weight
            _expect(weight.shape[2] == rows.count, "weight", weight.shape, "one column per row", rows.count)
            taps += [rows.signal, rows.first, rows.count, weight.shape[0], source.dilation]
        _check(
            self._library.nam_stream_mix(
                self._handle,
                _numbers(out),
                _numbers(base),
                len(sources),
                (c_int * len(taps))(*taps),
                weights.ctypes.data,
                shift.ctypes.data,
            )
        )
        return out

    def activate(
        self,
        z: Rows,
        primary: Activation,
        *,
        out: Rows | None = None,
        total: Rows | None = None,
        adds: bool = False,
        pair: str = "none",
        secondary: Activation = IDENTITY,
    ) -> None:
        """Apply an activation, or a pair of them to the two halves of `z`.

        Args:
            z: what goes in.
            primary: of all rows, or of the first half.
            out: where the result goes.
            total: where it goes as well, or is added with `adds`.
            adds: whether it is added to `total`.
            pair: ``"multiply"``: primary(z₁) · secondary(z₂); ``"blend"``: s · primary(z₁) + (1 − s) · z₁
            with
                s = secondary(z₂).
            secondary: of the second half.
        """
        rows = z.count if pair == "none" else z.count // 2
        for what in (out, total):
            _expect(what is None or what.count == rows, "output", what, "rows", rows)
        for activation in (primary, secondary):
            slopes = activation.slopes
            _expect(len(slopes) in (0, rows), "slopes", len(slopes), "one per row", rows)
        _check(
            self._library.nam_stream_activate(
                self._handle,
                _numbers(z),
                _numbers(out),
                _numbers(total),
                adds,
                PAIRS.index(pair),
                *_activation(primary),
                *_activation(secondary),
            )
        )

    def modulate(self, out: Rows, x: Rows, scale: Rows, shift: Rows | None = None) -> Rows:
        """`out` = x · scale + shift, row by row."""
        for what in (x, scale, shift):
            _expect(what is None or what.count == out.count, "operand", what, "rows", out.count)
        _check(
            self._library.nam_stream_modulate(
                self._handle, _numbers(out), _numbers(x), _numbers(scale), _numbers(shift)
            )
        )
        return out

    def lstm(self, out: Rows, x: Rows, stack: LstmStack, *, fast_tanh: bool = False) -> Rows:
        """`out` = a stack of LSTM layers and its linear output on one row; `out` and `x` have one row."""
        hidden = stack.head.shape[0]
        layers = len(stack.layers)
        for what, values, count in (("h", stack.h, layers * hidden), ("c", stack.c, layers * hidden)):
            _expect(values.shape == (count,), what, values.shape, "a number per unit", count)
        parts = []
        for number, (weight, bias) in enumerate(stack.layers):
            columns = hidden + (hidden if number else 1)
            _expect(weight.shape == (4 * hidden, columns), "weight", weight.shape, "columns", columns)
            _expect(bias.shape == (4 * hidden,), "bias", bias.shape, "a number per gate", 4 * hidden)
            parts += [weight.reshape(-1), bias]
        weights, head = np.concatenate(parts).astype(np.float32), stack.head.astype(np.float32)
        initial = np.concatenate([stack.h, stack.c]).astype(np.float32)
        _check(
            self._library.nam_stream_lstm(
                self._handle,
                _numbers(out),
                _numbers(x),
                layers,
                hidden,
                fast_tanh,
                weights.ctypes.data,
                initial.ctypes.data,
                head.ctypes.data,
                stack.head_bias,
            )
        )
        return out

    def start(self, output: Rows) -> Stream:
        """Lay out the memory; the first row of `output` is heard."""
        _check(self._library.nam_stream_start(self._handle, output.signal))
        return Stream(self)


def _flat(weight: NDArray[Any]) -> NDArray[Any]:
    """`(taps, outputs, rows)` → `(outputs, taps · rows)`."""
    return weight.transpose(1, 0, 2).reshape(weight.shape[1], -1)


def _rounded(values: NDArray[Any]) -> Floats:
    """As float32; what is too large becomes infinite, as the output then does."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)


def _activation(activation: Activation) -> tuple[int, Any, Any]:
    kind = KINDS.index(activation.kind)
    return kind, _floats(activation.constants, 4), _floats(activation.slopes, len(activation.slopes))


def _expect(holds: bool, what: str, got: object, expected: str, number: int) -> None:
    if not holds:
        raise ValueError(f"expected {what} to have {expected} ({number}), but got {got}")
