"""The way from a :class:`ConvNet` to the native kernels: description, weights, and whether they cover it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from nam_like.models.blocks.native import HOOKED, NotCoveredError, fits, is_hooked, once_per_net, report_line
from nam_like.models.blocks.native_activation import describe_activation
from nam_like.native import convnet as kernels
from nam_like.native.convnet import LayerSpec, NetSpec, Statistics

if TYPE_CHECKING:
    from nam_like.models.amp.convnet.model import ConvBlock, ConvNet

__all__ = ["obstacle", "play", "report"]


NO_LAYERS = NetSpec(1, ())


@dataclass
class Described:
    """What is known about one net: its structure or why it is not covered, and where its weights are."""

    spec: NetSpec = NO_LAYERS
    weights: tuple[Callable[[], Tensor], ...] = ()
    norms: tuple[nn.BatchNorm1d, ...] = ()
    obstacle: str = ""


def play(net: ConvNet, x: Tensor) -> Tensor | None:
    """Play blocks and head with the native kernels; in training, batch norms take note of their statistics.

    Args:
        net: the net.
        x: ``(B, 1, L)``.

    Returns:
        ``(B, 1, L − past)``; None where the kernels do not cover this call.
    """
    if not fits(x) or not x.numel() or obstacle(net):
        return None
    described = describe(net)
    made = kernels.plan(described.spec)
    if made is None or x.shape[-1] <= made.past:
        return None
    from_batch = any(norm.training for norm in described.norms)
    if from_batch and x.shape[0] * (x.shape[-1] - made.past) == 1:
        return None  # PyTorch says that one value has no variance
    weights = [weight() for weight in described.weights]
    statistics = _statistics(described, made.rows, from_batch)
    y = kernels.play(made, x, weights, statistics)
    if from_batch:
        _take_note(described, statistics, x.shape[0], x.shape[-1])
    return y


def obstacle(net: ConvNet) -> str:
    """Why the kernels do not cover a net as it is now; empty where they do."""
    described = describe(net)
    if described.obstacle:
        return described.obstacle
    if len({norm.training for norm in described.norms}) > 1:
        return "some of its batch norms are in training and some are not"
    if is_hooked(module for module in net.modules() if module is not net):
        return HOOKED
    dtypes = {weight().dtype for weight in described.weights} - {torch.float32}
    return f"its weights are {dtypes.pop()}" if dtypes else ""


def report(net: ConvNet, device: torch.device | str = "cpu") -> str:
    """One line for logs: what plays the net on a device."""
    return report_line(torch.device(device), obstacle(net))


@once_per_net(lambda reason: Described(obstacle=reason))
def describe(net: ConvNet) -> Described:
    """The description of a net: what of it the kernels ask for."""
    blocks = net.conv_blocks()
    if net.channels > kernels.MAX_CHANNELS:
        raise NotCoveredError(f"it has {net.channels} channels, more than {kernels.MAX_CHANNELS}")
    norms = tuple(block.norm for block in blocks if block.norm is not None)
    for module, kind in [*((block.conv, nn.Conv1d) for block in blocks), (net.head, nn.Conv1d)]:
        _expect(module, kind)
    for norm in norms:
        _expect(norm, nn.BatchNorm1d)
        if not norm.affine or not norm.track_running_stats:
            raise NotCoveredError("a batch norm of it has no weights or no running statistics")
    if len(norms) not in (0, len(blocks)):
        raise NotCoveredError("some of its blocks normalise and some do not")
    layers = [_layer(block.conv, block) for block in blocks]
    spec = NetSpec(1, (*layers, _layer(net.head, None)))
    weights = [weight for block in blocks for weight in _weights(block)]
    return Described(spec, (*weights, *_conv(net.head)), norms)


def _expect(module: nn.Module, kind: type[nn.Module]) -> None:
    if type(module) is not kind:  # a subclass may do anything
        raise NotCoveredError(f"a layer of it is a {type(module).__name__}, not a {kind.__name__}")


def _layer(conv: nn.Conv1d, block: ConvBlock | None) -> LayerSpec:
    (kernel,), (dilation,) = conv.kernel_size, conv.dilation
    spec = LayerSpec(conv.out_channels, kernel, dilation, conv.bias is not None)
    if block is None:
        return spec
    activation = describe_activation(block.activation)
    return LayerSpec(spec.outputs, kernel, dilation, spec.bias, block.norm is not None, activation)


def _weights(block: ConvBlock) -> Iterator[Callable[[], Tensor]]:
    """Where the weights are, in the order of :func:`nam_like.native.convnet.weight_shapes`."""
    yield from _conv(block.conv)
    if block.norm is not None:
        yield partial(getattr, block.norm, "weight")
        yield partial(getattr, block.norm, "bias")
    if isinstance(block.activation, nn.PReLU):
        yield partial(getattr, block.activation, "weight")


def _conv(conv: nn.Conv1d) -> Iterator[Callable[[], Tensor]]:
    yield lambda: conv.weight
    if conv.bias is not None:
        yield lambda: cast("Tensor", conv.bias)


# -- batch norm ------------------------------------------------------------------------------------------


def _statistics(described: Described, rows: int, from_batch: bool) -> Statistics:
    """What the kernels read: ε, and the running statistics where they are what normalises."""
    values = torch.ones(3, rows, dtype=torch.float64)
    if described.norms:
        mean, variance, epsilon = values[:, _norm_rows(described)]
        each = [norm.eps for norm in described.norms for _ in range(norm.num_features)]
        epsilon.copy_(torch.tensor(each, dtype=torch.float64))
        if not from_batch:
            mean.copy_(torch.cat([cast("Tensor", norm.running_mean) for norm in described.norms]))
            variance.copy_(torch.cat([cast("Tensor", norm.running_var) for norm in described.norms]))
    return Statistics(values, from_batch)


def _norm_rows(described: Described) -> slice:
    """The rows of the blocks, which all normalise: after the input's, before the head's."""
    start = described.spec.inputs
    return slice(start, start + sum(norm.num_features for norm in described.norms))


@torch.no_grad()
def _take_note(described: Described, statistics: Statistics, batch: int, length: int) -> None:
    """Move the running statistics towards those of a batch, as :class:`torch.nn.BatchNorm1d` does.

    Args:
        described: the net.
        statistics: of the batch.
        batch: items.
        length: input samples of each.
    """
    widths = [norm.num_features for norm in described.norms]
    means, variances, _ = statistics.values[:, _norm_rows(described)].float()
    of_batch = zip(
        described.norms, described.spec.layers, means.split(widths), variances.split(widths), strict=False
    )
    for norm, layer, mean, variance in of_batch:
        length -= (layer.kernel_size - 1) * layer.dilation
        count = batch * length
        tracked = cast("Tensor", norm.num_batches_tracked).add_(1)
        share = 1.0 / float(tracked) if norm.momentum is None else norm.momentum
        cast("Tensor", norm.running_mean).lerp_(mean, share)
        cast("Tensor", norm.running_var).lerp_(variance * (count / (count - 1)), share)
