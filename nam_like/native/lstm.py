"""A whole LSTM with its linear head as one autograd function: one native call per pass.

Truncated back-propagation through time is part of the call: a training segment is cut into windows whose
gradients
do not cross, so that the backward passes of all windows run side by side. The kernels are
``csrc/isa/lstm_*.cpp``;
what they compute is written down in ``csrc/lstm.h``.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from nam_like.native.library import load

__all__ = ["CallFields", "Cut", "GradientFields", "Weights", "lstm_library", "plain", "play", "train"]

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Cut:
    """How a training segment is cut.

    Attributes:
        burn_in: steps at its start whose outputs carry no gradient.
        truncate: steps of each window after the first, which is longer by the burn-in; the gradient does
        not cross
            their borders. 0 for a single window.
    """

    burn_in: int = 0
    truncate: int = 0


@dataclass(frozen=True)
class Weights:
    """The weights of a net, float32 on the CPU.

    Attributes:
        layers: per layer the input matrix ``(4H, I)``, the recurrent matrix ``(4H, H)`` and both biases
        ``(4H,)`` or
            None; gates in the order i, f, g, o.
        head_weight: ``(1, H)``.
        head_bias: ``(1,)``.
    """

    layers: tuple[tuple[Tensor, Tensor, Tensor | None, Tensor | None], ...]
    head_weight: Tensor
    head_bias: Tensor

    def flat(self) -> list[Tensor | None]:
        """Head, then layers."""
        return [self.head_weight, self.head_bias, *(tensor for layer in self.layers for tensor in layer)]

    @staticmethod
    def from_flat(tensors: Sequence[Tensor | None]) -> Weights:
        """What :meth:`flat` made."""
        layers = tuple(tuple(tensors[at : at + 4]) for at in range(2, len(tensors), 4))
        return Weights(cast("Any", layers), cast("Tensor", tensors[0]), cast("Tensor", tensors[1]))


def train(x: Tensor, state: State, weights: Weights, cut: Cut) -> Tensor:
    """Play a training segment, differentiably.

    Args:
        x: ``(B, L, D)`` float32 on the CPU.
        state: hidden and cell before the segment, each ``(N, B, H)``; an expanded batch is not copied.
        weights: of the net.
        cut: burn-in and truncation.

    Returns:
        ``(B, L)``.

    Raises:
        MemoryError: what the backward pass needs does not fit into memory.
    """
    out = LSTMFunction.apply(cut, x, *state, *weights.flat())  # type: ignore[no-untyped-call]
    return cast("Tensor", out)


def play(x: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Play without gradients.

    Args:
        x: ``(B, L, D)`` float32 on the CPU.
        state: hidden and cell before it, each ``(N, B, H)``.
        weights: of the net.

    Returns:
        ``(B, L)``, and the state after it.
    """
    call = Call(x.detach(), state, weights, Cut())
    y = call.output()
    ends = x.new_empty(2, len(weights.layers), x.shape[0], weights.head_weight.shape[1])
    call.fields.hidden_end, call.fields.cell_end = (end.data_ptr() for end in ends)
    call.forward()
    return y, (ends[0], ends[1])


def plain(x: Tensor, state: State, weights: Weights, cut: Cut) -> Tensor:
    """The same as :func:`train` on PyTorch alone, for double backward passes (and for tests)."""
    outputs = []
    begin, end = 0, cut.burn_in
    while begin < x.shape[1]:
        end = end if begin < end else begin + (cut.truncate or x.shape[1])
        tensors = [tensor for layer in weights.layers for tensor in layer if tensor is not None]
        has_biases = len(tensors) == 4 * len(weights.layers)
        features, *state_after = torch._VF.lstm(
            x[:, begin:end], state, tensors, has_biases, len(weights.layers), 0.0, False, False, True
        )
        y = torch.nn.functional.linear(features, weights.head_weight, weights.head_bias)[..., 0]
        outputs.append(y.detach() if end <= cut.burn_in else y)
        begin, crossed = end, begin >= cut.burn_in
        state = cast("State", tuple(part.detach() if crossed else part for part in state_after))
    return torch.cat(outputs, dim=1)


# -- the native calls ------------------------------------------------------------------------------------


class CallFields(ctypes.Structure):
    """`LstmCall` of csrc/lstm.h."""

    _fields_ = [
        *(
            (name, ctypes.c_int)
            for name in ("batch", "steps", "inputs", "hidden", "layers", "burn_in", "truncate")
        ),
        ("x", ctypes.c_void_p),
        *((name, ctypes.c_ssize_t) for name in ("x_batch", "x_step", "x_input")),
        *((name, ctypes.c_void_p) for name in ("hidden_start", "cell_start")),
        *((name, ctypes.c_ssize_t) for name in ("start_layer", "start_batch")),
        *(
            (name, ctypes.c_void_p)
            for name in ("weights", "head_weight", "head_bias", "y", "hidden_end", "cell_end", "record")
        ),
    ]


class GradientFields(ctypes.Structure):
    """`LstmGradients` of csrc/lstm.h."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in ("y", "x", "hidden_start", "cell_start", "weights", "head_weight", "head_bias")
    ]


class Call:
    """A filled-in `LstmCall`, and the tensors that it points to."""

    def __init__(
        self, x: Tensor, state: State, weights: Weights, cut: Cut, instructions: int | None = None
    ) -> None:
        self.library = lstm_library()
        self.x = x
        hidden, cell = (part.detach() for part in state)
        if hidden.stride() != cell.stride() or hidden.stride(2) != 1:
            hidden, cell = hidden.contiguous(), cell.contiguous()
        flat = [None if tensor is None else tensor.detach().contiguous() for tensor in weights.flat()]
        head_weight, head_bias, *layers = flat
        self.pointers = _pointers(layers)
        self.kept = (hidden, cell, flat)
        width = weights.head_weight.shape[1]
        self.instructions = self.library.nam_lstm_set(width) if instructions is None else instructions
        fields = CallFields(*x.shape, width, len(weights.layers), cut.burn_in, cut.truncate)
        fields.x, fields.x_batch, fields.x_step, fields.x_input = x.data_ptr(), *x.stride()
        fields.hidden_start, fields.cell_start = hidden.data_ptr(), cell.data_ptr()
        fields.start_layer, fields.start_batch = hidden.stride()[:2]
        fields.weights = ctypes.addressof(self.pointers)
        fields.head_weight = None if head_weight is None else head_weight.data_ptr()
        fields.head_bias = None if head_bias is None else head_bias.data_ptr()
        self.fields = fields

    def output(self) -> Tensor:
        """Memory for `y`."""
        y = self.x.new_empty(self.x.shape[:2])
        self.fields.y = y.data_ptr()
        return y

    def forward(self) -> None:
        """Run the forward pass."""
        if self.library.nam_lstm_forward(
            self.instructions, ctypes.byref(self.fields), torch.get_num_threads()
        ):
            raise MemoryError("not enough memory to play an LSTM")

    def backward(self, gradients: GradientFields) -> None:
        """Run the backward pass."""
        if self.library.nam_lstm_backward(
            self.instructions, ctypes.byref(self.fields), ctypes.byref(gradients), torch.get_num_threads()
        ):
            raise MemoryError("not enough memory for the gradients of an LSTM")


class Record:
    """What the backward pass needs: a buffer of the library, given back with this object."""

    def __init__(self, call: Call) -> None:
        self.address = call.library.nam_lstm_record(call.instructions, ctypes.byref(call.fields))
        if not self.address:
            batch, length = call.x.shape[:2]
            raise MemoryError(f"not enough memory to train an LSTM on {batch} × {length} samples")
        weakref.finalize(self, call.library.nam_give_buffer, self.address)


class LSTMFunction(torch.autograd.Function):
    """See :func:`train`."""

    @staticmethod
    def forward(ctx: Any, cut: Cut, x: Tensor, hidden: Tensor, cell: Tensor, *flat: Tensor | None) -> Tensor:
        """Play, and record the gates."""
        call = Call(x, (hidden, cell), Weights.from_flat(flat), cut)
        y = call.output()
        ctx.record, ctx.cut, ctx.instructions = Record(call), cut, call.instructions
        call.fields.record = ctx.record.address
        call.forward()
        ctx.save_for_backward(x, hidden, cell, *flat)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input, the state and the weights."""
        gradient = gradients[0]
        x, hidden, cell, *flat = ctx.saved_tensors
        needs = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            return (None, *_plain_gradients(ctx.cut, (x, hidden, cell, *flat), needs, gradient))
        gradient = gradient.contiguous()
        call = Call(x, (hidden, cell), Weights.from_flat(flat), ctx.cut, ctx.instructions)
        call.fields.record = ctx.record.address
        made_x = torch.empty(x.shape) if needs[0] else None
        made = [torch.empty(part.shape) for part in (hidden, cell)]
        made_flat = [None if tensor is None else torch.empty(tensor.shape) for tensor in flat]
        pointers = _pointers(made_flat)
        head = made_flat[:2]
        fields = GradientFields(gradient.data_ptr(), None if made_x is None else made_x.data_ptr())
        fields.hidden_start, fields.cell_start = (part.data_ptr() for part in made)
        fields.head_weight, fields.head_bias = (None if part is None else part.data_ptr() for part in head)
        fields.weights = ctypes.addressof(pointers) + 2 * ctypes.sizeof(ctypes.c_void_p)
        call.backward(fields)
        return (None, made_x, *made, *made_flat)


def _plain_gradients(
    cut: Cut, inputs: Sequence[Tensor | None], needs: Sequence[bool], gradient: Tensor
) -> list[Tensor | None]:
    """Gradients that can be differentiated again."""
    x, hidden, cell, *flat = inputs
    state = cast("State", (hidden, cell))
    y = plain(cast("Tensor", x), state, Weights.from_flat(flat), cut)
    wanted = [tensor for tensor, need in zip(inputs, needs, strict=True) if need and tensor is not None]
    found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]


def _pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    return (ctypes.c_void_p * len(addresses))(*addresses)


def lstm_library() -> ctypes.CDLL:
    """The library, with the functions for LSTMs declared."""
    loaded = load()
    if loaded is None:
        raise RuntimeError("the native kernels are switched off or were not built")
    return _declare(loaded.handle)


@functools.cache
def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.nam_lstm_set.restype = integer
    library.nam_lstm_set.argtypes = [integer]
    library.nam_lstm_record.restype = pointer
    library.nam_lstm_record.argtypes = [integer, pointer]
    library.nam_lstm_forward.restype = integer
    library.nam_lstm_forward.argtypes = [integer, pointer, integer]
    library.nam_lstm_backward.restype = integer
    library.nam_lstm_backward.argtypes = [integer, pointer, pointer, integer]
    return library
