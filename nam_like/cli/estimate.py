"""What a net costs: multiplications per sample, and memory while it is trained."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nam_like.models.base import Net
from nam_like.native import library
from nam_like.native.library import most_bytes

__all__ = ["macs_per_sample", "parameter_count", "training_bytes"]

_SPAN = 64
# weights, gradients and two moments of Adam
_COPIES = 4
# Items of the steps by which the kernels' memory is measured; threads share a single item in another way.
_MEASURED = (2, 4)
# Target samples of each: whole recordings as items would take long.
_OPENING = 8192


def parameter_count(net: nn.Module) -> int:
    """Number of weights that are trained."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def macs_per_sample(net: Net) -> float:
    """Multiply-accumulates per output sample, once the net runs.

    Counted in the matrix products and convolutions of two forward passes of different lengths; what only the
    first sample costs drops out of the difference. Recurrent layers, whose kernels torch does not count, use
    each weight matrix once per sample.
    """
    device = next(net.parameters(), torch.empty(0)).device
    layers = [module for module in net.modules() if isinstance(module, nn.RNNBase)]

    def flops(samples: int) -> float:
        x = torch.zeros(1, net.receptive_field - 1 + samples, device=device)
        # On PyTorch: what a native kernel does inside is not seen from here.
        with library.using("off"), _Counter(layers) as counter, torch.no_grad(), _evaluating(net):
            net(x, *_conditions(net, x), pad_start=False)
        return float(counter.flops)

    counted = (flops(2 * _SPAN) - flops(_SPAN)) / _SPAN / 2
    recurrent = sum(
        parameter.numel()
        for layer in layers
        for name, parameter in layer.named_parameters(recurse=False)
        if name.startswith("weight")
    )
    return counted + recurrent


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the floating-point operations of what torch has a formula for, outside of `layers`."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._inside = 0
        self._hooks = [layer.register_forward_pre_hook(self._enter) for layer in layers]
        self._hooks += [layer.register_forward_hook(self._leave) for layer in layers]

    def _enter(self, module: nn.Module, given: Any) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, given: Any, out: Any) -> None:
        self._inside -= 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None and not self._inside:
            self.flops += int(formula(*args, **(kwargs or {}), out_val=out))
        return out

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)  # type: ignore[no-untyped-call]


def training_bytes(net: Net, item: tuple[Tensor, ...], batch_size: int) -> int:
    """Bytes that a training step needs: what autograd and kernels keep of the batch, and the weights.

    Args:
        net: the net.
        item: ``(x (nx+ny−1,), *conditions, y (ny,))``.
        batch_size: items per step.
    """
    net = copy.deepcopy(net)  # gradients, and averages that a batch norm keeps, are not to stay
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    x, *conditions, y = (tensor[None] for tensor in item)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = (net(x, *conditions, pad_start=False) - y).square().mean()
    activations = sum(size for pointer, size in kept.items() if pointer not in own)
    del loss
    weights = sum(parameter.numel() * parameter.element_size() for parameter in net.parameters())
    return batch_size * activations + _kernel_bytes(net, item, batch_size) + _COPIES * weights


def _kernel_bytes(net: Net, item: tuple[Tensor, ...], batch_size: int) -> int:
    """What native kernels hold during a step: it grows with the samples, and from some items on with each."""
    ny = item[-1].shape[-1]
    surplus = max(0, ny - _OPENING)
    # Audio, and conditions that are aligned with it, are at least as long as the target.
    opening = [part[..., : part.shape[-1] - surplus] if part.shape[-1] >= ny else part for part in item]

    def step(items: int) -> None:
        x, *conditions, y = (tensor.expand(items, *tensor.shape).contiguous() for tensor in opening)
        (net(x, *conditions, pad_start=False) - y).square().mean().backward()

    few, more = (min(batch_size, size) for size in _MEASURED)
    held = {size: most_bytes(partial(step, size)) for size in (few, more)}
    each = (held[more] - held[few]) // max(more - few, 1)
    longer = item[0].shape[-1] / opening[0].shape[-1]
    return round(longer * (held[more] + each * (batch_size - more)))


def _conditions(net: Net, x: Tensor) -> tuple[Tensor, ...]:
    """Knobs in the middle, as many as the net takes."""
    names = getattr(net, "num_knobs", 0) or 1  # plugins take one value per condition, unless they say
    return tuple(torch.full((len(x), names), 0.5, device=x.device) for _ in range(net.num_conditions or 0))


@contextlib.contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Switch to evaluation, and back."""
    was_training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(was_training)
