"""A layer array: layers of one width after each other; a convolution takes the sum of their skip terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from nam_like.models.amp.wavenet.layer import FilmShape, Head1x1, Layer
from nam_like.models.blocks.weights import conv_tensors

__all__ = ["LayerArray"]


class LayerArray(nn.Module):
    """Layers of one width.

    Args:
        input_size: channels that come in.
        condition_size: channels of the condition, 0 for none.
        channels: channels from layer to layer.
        kernel_sizes: taps, one per layer.
        dilations: samples between taps, one per layer.
        activations: one module per layer.
        head_size: channels of the head output.
        head_kernel_size: taps of the head's convolution.
        head_bias: whether it has a bias.
        bottleneck: channels after the activations; None takes `channels`.
        groups_input: groups of the dilated convolutions.
        groups_input_mixin: groups of the condition's 1×1s.
        layer1x1: groups of the residual 1×1s, None for none.
        head1x1: shape of the skip path's 1×1s, None for none.
        film: the active FiLMs by position.

    Raises:
        ValueError: the lists have different lengths.
    """

    def __init__(
        self,
        *,
        input_size: int,
        condition_size: int,
        channels: int,
        kernel_sizes: Sequence[int],
        dilations: Sequence[int],
        activations: Sequence[nn.Module],
        head_size: int,
        head_kernel_size: int = 1,
        head_bias: bool = False,
        bottleneck: int | None = None,
        groups_input: int = 1,
        groups_input_mixin: int = 1,
        layer1x1: int | None = 1,
        head1x1: Head1x1 | None = None,
        film: Mapping[str, FilmShape] | None = None,
    ) -> None:
        super().__init__()
        for name, values in (("kernel_sizes", kernel_sizes), ("activations", activations)):
            count = len(dilations)
            if len(values) != count:
                raise ValueError(
                    f"expected `{name}` to have one entry per dilation ({count}), but got {len(values)}"
                )
        self.input_size, self.condition_size, self.channels = input_size, condition_size, channels
        self.kernel_sizes, self.dilations = tuple(kernel_sizes), tuple(dilations)
        self.head_size, self.head_kernel_size, self.head_bias = head_size, head_kernel_size, head_bias
        self.bottleneck = channels if bottleneck is None else bottleneck
        self.groups_input, self.groups_input_mixin = groups_input, groups_input_mixin
        self.layer1x1, self.head1x1, self.film = layer1x1, head1x1, dict(film or {})
        self.rechannel = nn.Conv1d(input_size, channels, 1, bias=False)
        self.layers = nn.ModuleList(
            Layer(
                channels=channels,
                condition_size=condition_size,
                kernel_size=kernel_size,
                dilation=dilation,
                activation=activation,
                bottleneck=self.bottleneck,
                groups_input=groups_input,
                groups_input_mixin=groups_input_mixin,
                layer1x1=layer1x1,
                head1x1=head1x1,
                film=self.film,
            )
            for kernel_size, dilation, activation in zip(kernel_sizes, dilations, activations, strict=True)
        )
        self.head_rechannel = nn.Conv1d(self.skip_size, head_size, head_kernel_size, bias=head_bias)
        self.shrink = sum(layer.shrink for layer in self.stack)

    def options(self) -> dict[str, Any]:
        """The arguments that it was made with, except for the activations."""
        names = (
            "input_size condition_size channels kernel_sizes dilations head_size head_kernel_size head_bias "
            "bottleneck groups_input groups_input_mixin layer1x1 head1x1 film"
        )
        return {name: getattr(self, name) for name in names.split()}

    @property
    def stack(self) -> list[Layer]:
        """The layers, in order."""
        return [cast("Layer", layer) for layer in self.layers]

    @property
    def skip_size(self) -> int:
        """Channels of the skip terms."""
        return self.head1x1.out_channels if self.head1x1 else self.bottleneck

    @property
    def history(self) -> int:
        """Past samples that its head output depends on."""
        return self.shrink + self.head_kernel_size - 1

    @property
    def activations(self) -> list[nn.Module]:
        """The activation modules, one per layer."""
        return [layer.activation for layer in self.stack]

    def forward(
        self,
        x: Tensor,
        condition: Tensor | None,
        head: Tensor | None = None,
        lag: int = 0,
        need_residual: bool = True,
    ) -> tuple[Tensor | None, Tensor]:
        """Play the array.

        Args:
            x: ``(B, input_size, L)``.
            condition: ``(B, D, L)``, aligned with `x`, or None.
            head: head output of the array before, ``(B, skip_size, L − lag)``, or None.
            lag: samples by which `head` starts later than `x`.
            need_residual: False leaves the residual after the last layer out.

        Returns:
            residual ``(B, channels, L − shrink)`` or None, and head ``(B, head_size, L − lag − history)``.
        """
        # All crops count from the left, by constants, so that a traced graph takes any length.
        if head is not None:
            head = head[..., self.shrink :]
        left = self.shrink + lag
        residual: Tensor | None = self.rechannel(x)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.stack):
            residual, skip = layer(residual, condition, need_residual or index < last)
            left -= layer.shrink
            if condition is not None and layer.shrink:
                condition = condition[..., layer.shrink :]
            if left:
                skip = skip[..., left:]
            head = skip if head is None else head + skip
        return residual, self.head_rechannel(head)

    def file_tensors(self) -> Iterator[Tensor]:
        """All weights in the order of a `.nam` file."""
        yield from conv_tensors(self.rechannel)
        for layer in self.stack:
            yield from layer.file_tensors()
        yield from conv_tensors(self.head_rechannel)
