"""ConvNet: a plain stack of dilated convolutions of two taps, with batch norm (if asked for) and activation.

The realtime engine knows the activation of a ConvNet by name only. Where a name does not say it all (a
learned slope, other limits), the net is exported as a WaveNet that computes the same; see :func:`as_wavenet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from nam_like.models.amp.convnet import native
from nam_like.models.amp.wavenet import Head1x1, LayerArray, WaveNet
from nam_like.models.base import Net, Weights
from nam_like.models.blocks.engine_activation import engine_activation, why_not_playable
from nam_like.models.blocks.weights import WeightSource, conv_tensors, flat

__all__ = ["ConvBlock", "ConvNet", "as_wavenet"]

#: What the engine takes the parameters of an activation to be when it has only the name.
_ENGINE_DEFAULTS: dict[str, dict[str, float]] = {
    "LeakyReLU": {"negative_slope": 0.01},
    "PReLU": {"negative_slope": 0.01},
    "LeakyHardtanh": {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01},
}


class ConvBlock(nn.Module):
    """conv (2 taps), batch norm, activation: ``(B, C_in, L) → (B, C, L − dilation)``."""

    def __init__(
        self, in_channels: int, channels: int, dilation: int, batchnorm: bool, activation: nn.Module
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, channels, 2, dilation=dilation, bias=not batchnorm)
        self.norm = nn.BatchNorm1d(channels) if batchnorm else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C_in, L) → (B, C, L − dilation)``."""
        z = self.conv(x)
        z = z if self.norm is None else self.norm(z)
        activated: Tensor = self.activation(z)
        return activated

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight ``(C, C_in, 2)`` and bias ``(C,)`` of conv and batch norm (as it plays) in one."""
        if self.norm is None:
            return self.conv.weight, cast("Tensor", self.conv.bias)
        mean, variance = cast("Tensor", self.norm.running_mean), cast("Tensor", self.norm.running_var)
        scale = self.norm.weight / (variance + self.norm.eps).sqrt()
        return self.conv.weight * scale[:, None, None], self.norm.bias - mean * scale

    def file_tensors(self) -> Iterator[Tensor]:
        """Weights in file order; the last number of a batch norm is its epsilon."""
        yield from conv_tensors(self.conv)
        if self.norm is not None:
            mean, variance = cast("Tensor", self.norm.running_mean), cast("Tensor", self.norm.running_var)
            yield from (mean, variance, self.norm.weight, self.norm.bias)
            yield mean.new_tensor([self.norm.eps])


class ConvNet(Net):
    """A stack of dilated convolutions.

    Args:
        channels: width.
        dilations: samples between the two taps, one per block.
        activations: one module per block.
        batchnorm: whether the blocks normalise.
        sample_rate: Hz, or None.
    """

    architecture: ClassVar[str] = "ConvNet"
    exports: frozenset[str] = frozenset({"nam", "torchscript", "onnx"})

    def __init__(
        self,
        channels: int,
        dilations: Sequence[int],
        activations: Sequence[nn.Module],
        *,
        batchnorm: bool = False,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(sample_rate)
        self.channels, self.dilations, self.batchnorm = channels, tuple(dilations), batchnorm
        widths = [1] + [channels] * (len(self.dilations) - 1)
        self.blocks = nn.Sequential(
            *(
                ConvBlock(width, channels, dilation, batchnorm, activation)
                for width, dilation, activation in zip(widths, dilations, activations, strict=True)
            )
        )
        self.head = nn.Conv1d(channels, 1, 1)
        self.receptive_field = 1 + sum(self.dilations)

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        y = native.play(self, x[:, None])
        if y is None:
            y = self.head(self.blocks(x[:, None]))
        return y[:, 0]

    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """See :meth:`Net.runs_on`."""
        return native.report(self, device)

    def conv_blocks(self) -> list[ConvBlock]:
        """The blocks, in order."""
        return [cast("ConvBlock", block) for block in self.blocks]

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: the last convolution."""
        with torch.no_grad():
            for tensor in conv_tensors(self.head):
                tensor.mul_(gain)

    def engine_name(self) -> str | None:
        """The name that tells the engine the activation of all blocks; None when a name is not enough."""
        spelled = [engine_activation(block.activation) or {} for block in self.conv_blocks()]
        first = dict(spelled[0])
        name: str | None = first.pop("type", None)
        if name is None or any(other != spelled[0] for other in spelled):
            return None
        return name if first == _ENGINE_DEFAULTS.get(name, {}) else None

    def engine_net(self) -> Net:
        """This net, or the same as a WaveNet."""
        return self if self.engine_name() is not None else as_wavenet(self).engine_net()

    def export_obstacles(self, exporter: str) -> list[str]:
        """See :meth:`Net.export_obstacles`."""
        reasons = super().export_obstacles(exporter)
        reason = why_not_playable(self.conv_blocks()[0].activation)
        if exporter == "nam" and reason is not None:
            reasons.append(f"activation: {reason}")
        return reasons

    def export_config(self) -> dict[str, Any]:
        """Config of the ConvNet, or of the WaveNet that stands for it."""
        name = self.engine_name()
        if name is None:
            return self.engine_net().export_config()
        return {
            "channels": self.channels,
            "dilations": list(self.dilations),
            "batchnorm": self.batchnorm,
            "activation": name,
        }

    def export_weights(self) -> Weights:
        """Weights of the ConvNet, or of the WaveNet that stands for it."""
        return flat(self.file_tensors()) if self.engine_name() else self.engine_net().export_weights()

    def file_tensors(self) -> Iterator[Tensor]:
        """All weights in file order."""
        for block in self.conv_blocks():
            yield from block.file_tensors()
        yield from conv_tensors(self.head)

    def import_weights(self, weights: Any) -> int:
        """Read weights in file order; see :meth:`Net.import_weights`.

        Raises:
            NamFileError: another number of weights than the net has.
        """
        source = WeightSource(weights)
        for block in self.conv_blocks():
            *tensors, last = block.file_tensors()
            source.fill(*tensors)
            if block.norm is None:
                source.fill(last)
            else:
                block.norm.eps = float(source.take(1)[0])
        source.fill(*conv_tensors(self.head))
        return source.finish()


def as_wavenet(net: ConvNet) -> WaveNet:
    """A WaveNet that computes the same as a ConvNet in ``eval()``.

    Each block becomes an array of one layer with twice the channels: the layer reads the first half and its
    residual writes the activation into the second, which was zero; the next array moves the second half to
    the first. Heads before the last one are zero.
    """
    width, blocks = net.channels, net.conv_blocks()
    arrays: list[LayerArray] = []
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        array = LayerArray(
            input_size=2 * width if index else 1,
            condition_size=0,
            channels=2 * width,
            kernel_sizes=[2],
            dilations=[net.dilations[index]],
            activations=[block.activation],
            head_size=1 if last else 2 * width,
            head_bias=last,
            bottleneck=width,
            head1x1=Head1x1(2 * width) if index else None,
        ).to(net.head.weight)
        with torch.no_grad():
            for parameter in array.parameters():
                if parameter is not getattr(block.activation, "weight", None):
                    parameter.zero_()
            _fill_array(array, block, first=index == 0)
            if last:
                array.head_rechannel.weight[:, :width] = net.head.weight
                cast("Tensor", array.head_rechannel.bias).copy_(cast("Tensor", net.head.bias))
        arrays.append(array)
    return WaveNet(arrays, sample_rate=net.sample_rate).to(net.head.weight).train(net.training)


def _fill_array(array: LayerArray, block: ConvBlock, *, first: bool) -> None:
    layer, width = array.stack[0], array.bottleneck
    unit = torch.eye(width).to(array.rechannel.weight)
    if first:
        array.rechannel.weight[0, 0, 0] = 1.0
    else:
        array.rechannel.weight[:width, width:, 0] = unit
    weight, bias = block.folded()
    layer.conv.weight[:, : weight.shape[1]] = weight
    cast("Tensor", layer.conv.bias).copy_(bias)
    cast("nn.Conv1d", layer.layer1x1).weight[width:, :, 0] = unit
    if layer.head1x1 is not None:
        layer.head1x1.weight[:width, :, 0] = unit
