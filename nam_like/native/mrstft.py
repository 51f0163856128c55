"""Multi-resolution STFT distance as one autograd function: value and gradient come from one native call.

The kernels are ``csrc/isa/stft_*``; what they compute, and why the gradient is worked out together with the
value, is written down in ``csrc/stft.h``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from nam_like.native.library import load, status

__all__ = ["Spec", "distance", "obstacle"]

#: The prediction and the target to the distance, on PyTorch alone.
Plain = Callable[[Tensor, Tensor], Tensor]

#: Least squared magnitudes between which no product of float32 numbers overflows.
EPS_RANGE = (1e-24, 1e24)
LARGEST_FFT = 1 << 20


@dataclass(frozen=True)
class Spec:
    """A distance.

    Attributes:
        resolutions: of each, the points of the transform, the samples from frame to frame and those under the
            Hann window.
        eps: least squared magnitude.
        emphasis: coefficient c of x[n] − c·x[n−1] put before it, 0 to 1, or None.
    """

    resolutions: tuple[tuple[int, int, int], ...]
    eps: float
    emphasis: float | None


def obstacle(spec: Spec, prediction: Tensor, target: Tensor) -> str:
    """Why the kernels do not cover a call; empty where they do.

    Args:
        spec: the distance.
        prediction: ``(…, L)``.
        target: ``(…, L)``.
    """
    library = load()
    if library is None:
        return status()
    return _obstacle_of_signals((prediction, target)) or _obstacle_of_sizes(spec, _declare(library.handle))


def _obstacle_of_signals(signals: tuple[Tensor, ...]) -> str:
    for signal in signals:
        if type(signal) not in (Tensor, nn.Parameter):
            return f"the signals are {type(signal).__name__}s"
        if signal.device.type != "cpu":
            return f"the signals are on {signal.device.type}"
        if signal.dtype != torch.float32:
            return f"the signals are {signal.dtype}"
        if signal.numel() == 0:
            return "there is no signal"
    recording = torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()
    if recording or torch._C._functorch.peek_interpreter_stack() is not None:
        return "the computation is being recorded or transformed"
    return ""


def _obstacle_of_sizes(spec: Spec, library: ctypes.CDLL) -> str:
    low, high = EPS_RANGE
    if not low <= spec.eps <= high:
        return f"eps is {spec.eps}, and the kernels take {low} to {high}"
    least = library.nam_mrstft_least_fft()
    for points, _, _ in spec.resolutions:
        if points & (points - 1) or not least <= points <= LARGEST_FFT:
            return (
                f"an FFT has {points} points, and the kernels take powers of 2 from {least} to {LARGEST_FFT}"
            )
    return ""


def distance(spec: Spec, prediction: Tensor, target: Tensor, plain: Plain) -> Tensor:
    """The distance of two signals, differentiable with respect to the prediction.

    Args:
        spec: the distance.
        prediction: ``(…, L)``, where :func:`obstacle` finds none, longer than half the largest FFT (with
            emphasis by two samples).
        target: ``(…, L)``.
        plain: computes the same on PyTorch; takes over where a gradient is to be differentiated once more.

    Returns:
        A scalar.

    Raises:
        MemoryError: the gradients of all frames do not fit into memory.
    """
    if torch.is_grad_enabled() and prediction.requires_grad:
        made = MRSTFTFunction.apply(spec, prediction, target, plain)  # type: ignore[no-untyped-call]
        return cast("Tensor", made)
    return _measure(spec, prediction, target, None)


class MRSTFTFunction(torch.autograd.Function):
    """See :func:`distance`."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, prediction: Tensor, target: Tensor, plain: Plain) -> Tensor:
        """The distance; its gradient is kept."""
        gradient = torch.empty_like(prediction, memory_format=torch.contiguous_format)
        value = _measure(spec, prediction, target, gradient)
        ctx.plain = plain
        ctx.save_for_backward(prediction, target, gradient)
        return value

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient with respect to the prediction."""
        prediction, target, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate the gradient
            (gradient,) = torch.autograd.grad(ctx.plain(prediction, target), prediction, create_graph=True)
        return None, gradient * scale, None, None


def _measure(spec: Spec, prediction: Tensor, target: Tensor, gradient: Tensor | None) -> Tensor:
    """One call of the library; `gradient` is filled unless it is None."""
    library = load()
    if library is None:
        raise RuntimeError("expected the native library, but it is switched off")
    prediction, target = prediction.detach().contiguous(), target.detach().contiguous()
    samples = prediction.shape[-1]
    # A hop beyond the end leaves one frame, however far it goes.
    sizes = [n for points, hop, width in spec.resolutions for n in (points, min(hop, samples + 1), width)]
    value = ctypes.c_double()
    failed = _declare(library.handle).nam_mrstft(
        prediction.data_ptr(),
        target.data_ptr(),
        prediction.numel() // samples,
        samples,
        (ctypes.c_int32 * len(sizes))(*sizes),
        len(spec.resolutions),
        spec.eps,
        -1.0 if spec.emphasis is None else spec.emphasis,
        torch.get_num_threads(),
        ctypes.byref(value),
        None if gradient is None else gradient.data_ptr(),
    )
    if failed == -1:
        raise MemoryError(f"not enough memory for the MRSTFT of {tuple(prediction.shape)} samples")
    if failed:
        raise ValueError(f"the kernels cannot compute {spec} of {tuple(prediction.shape)} samples")
    return prediction.new_tensor(value.value)


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, long, integer, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
    library.nam_mrstft_least_fft.restype = integer
    library.nam_mrstft_least_fft.argtypes = []
    library.nam_mrstft.restype = integer
    signals: list[Any] = [pointer, pointer, long, long]
    library.nam_mrstft.argtypes = [*signals, pointer, integer, real, real, integer, pointer, pointer]
    return library
