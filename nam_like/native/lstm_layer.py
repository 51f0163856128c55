"""A recurrent layer that hears one direction or both, as an autograd function: all of its hidden states.

The kernels are those of :mod:`nam_like.native.lstm`, without the head. What a backward direction hears begins
at the end of each item, so padding does not matter.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, cast

import torch
from torch import Tensor, nn

from nam_like.native.library import load, status
from nam_like.native.lstm import CallFields, GradientFields, lstm_library

__all__ = ["WIDEST", "obstacle", "play"]

#: Widest input and hidden state that the kernels take: their weights must stay in a core's cache, because
#: they pass by in every step.
WIDEST = 160


def obstacle(rnn: nn.LSTM, x: Tensor) -> str:
    """Why the kernels do not cover a stack of layers and its input; empty where they do."""
    if load() is None:
        return status()
    if rnn.proj_size or not rnn.batch_first:
        return "hidden states are projected, or time comes first"
    if rnn.training and rnn.dropout > 0.0:
        return "there is dropout between the layers"
    if max(rnn.input_size, rnn.hidden_size * (2 if rnn.bidirectional else 1)) > WIDEST:
        return f"layers are wider than {WIDEST}"
    return next(filter(None, map(_obstacle_of, (x, *rnn.parameters()))), "")


def _obstacle_of(tensor: Tensor) -> str:
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.dtype != torch.float32:
        return f"the input or the weights are {type(tensor).__name__}s of {tensor.dtype}"
    if tensor.device.type != "cpu":
        return f"the input or the weights are on {tensor.device.type}"
    return "" if tensor.numel() else "the input is empty"


def play(rnn: nn.LSTM, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Play a stack of layers from silence; differentiable once.

    Args:
        rnn: where :func:`obstacle` finds none.
        x: ``(B, N, inputs)``.
        lengths: valid steps per item, ``(B,)``; None when all are.

    Returns:
        ``(B, N, directions · hidden)``; unspecified behind the valid steps.
    """
    order = _reversed_order(x, lengths) if rnn.bidirectional else None
    for layer in range(rnn.num_layers):
        heard = [_direction(rnn, x, f"_l{layer}")]
        if order is not None:
            back = _direction(rnn, _Reordered.apply(x, order), f"_l{layer}_reverse")  # type: ignore[no-untyped-call]
            heard.append(_Reordered.apply(back, order))  # type: ignore[no-untyped-call]
        x = torch.cat(heard, dim=2) if order is not None else heard[0]
    return x


def _reversed_order(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Which step comes where when each item's valid steps run the other way, ``(B, N)``; its own inverse."""
    steps = torch.arange(x.shape[1])[None, :]
    ends = torch.full((x.shape[0], 1), x.shape[1]) if lengths is None else lengths[:, None]
    return torch.where(steps < ends, ends - 1 - steps, steps)


def _direction(rnn: nn.LSTM, x: Tensor, suffix: str) -> Tensor:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [getattr(rnn, name + suffix) if rnn.bias or "weight" in name else None for name in names]
    return cast("Tensor", _Direction.apply(x, *weights))  # type: ignore[no-untyped-call]


class _Reordered(torch.autograd.Function):
    """Steps of each item in another order, which is its own inverse."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        """Only the order is kept."""
        ctx.order = order
        return _reorder(x, order)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradients go back where they came from."""
        return _reorder(gradients[0], ctx.order), None


def _reorder(x: Tensor, order: Tensor) -> Tensor:
    rows = order + x.shape[1] * torch.arange(x.shape[0])[:, None]
    return x.reshape(-1, x.shape[2]).index_select(0, rows.reshape(-1)).reshape(x.shape)


class _Direction(torch.autograd.Function):
    """One layer in one direction, from silence: ``(B, N, inputs)`` → ``(B, N, hidden)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor | None) -> Tensor:
        """Play; the gates are recorded where a gradient will be asked for."""
        call = _Call(x, weights)
        y = x.new_empty(*x.shape[:2], call.fields.hidden)
        call.fields.y = y.data_ptr()
        if any(ctx.needs_input_grad):
            address = call.library.nam_lstm_record(call.instructions, ctypes.byref(call.fields))
            if not address:
                raise MemoryError(f"not enough memory to train an LSTM on {tuple(x.shape)}")
            call.keep_record(address)
            ctx.call = call
        failed = call.library.nam_lstm_forward(
            call.instructions, ctypes.byref(call.fields), torch.get_num_threads()
        )
        if failed:
            raise MemoryError("not enough memory to play an LSTM")
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input and the weights."""
        call: _Call = ctx.call
        dy = dy.contiguous()
        made_x = torch.empty(call.x.shape)
        made = [None if weight is None else torch.empty(weight.shape) for weight in call.weights]
        starts = torch.empty(2, call.fields.batch, call.fields.hidden)
        pointers = _addresses(made)
        fields = GradientFields(dy.data_ptr(), made_x.data_ptr(), starts[0].data_ptr(), starts[1].data_ptr())
        fields.weights = ctypes.addressof(pointers)
        failed = call.library.nam_lstm_backward(
            call.instructions, ctypes.byref(call.fields), ctypes.byref(fields), torch.get_num_threads()
        )
        if failed:
            raise MemoryError("not enough memory for the gradients of an LSTM")
        return made_x, *made


class _Call:
    """A filled-in `LstmCall`, what it points to, and its record, which is given back with this object."""

    def __init__(self, x: Tensor, weights: tuple[Tensor | None, ...]) -> None:
        self.library = lstm_library()
        self.x = x.detach().contiguous()
        self.weights = [None if weight is None else weight.detach().contiguous() for weight in weights]
        recurrent = cast("Tensor", self.weights[1])
        hidden = recurrent.shape[1]
        self.pointers, self.silence = _addresses(self.weights), torch.zeros(hidden)
        self.instructions = self.library.nam_lstm_set(hidden)
        fields = CallFields(*x.shape, hidden, 1, 0, 0)
        fields.x, fields.x_batch, fields.x_step, fields.x_input = self.x.data_ptr(), *self.x.stride()
        fields.hidden_start = fields.cell_start = self.silence.data_ptr()  # of every item: strides are 0
        fields.weights = ctypes.addressof(self.pointers)
        self.fields = fields

    def keep_record(self, address: int) -> None:
        """Have the gates recorded there."""
        self.fields.record = address
        weakref.finalize(self, self.library.nam_give_buffer, address)


def _addresses(tensors: list[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * 4)(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))
