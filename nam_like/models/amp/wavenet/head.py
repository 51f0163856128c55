"""The head after the stack: an activation and a convolution, several times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from nam_like.models.blocks.weights import conv_tensors

__all__ = ["PostHead"]


class PostHead(nn.Module):
    """Convolutions with bias, each after the activation.

    All blocks share one activation module, because a `.nam` file has room for one (this matters for PReLU
    only).

    Args:
        in_channels: channels of the stack's output.
        channels: channels between the convolutions.
        out_channels: channels of the last one.
        kernel_sizes: taps, one per convolution.
        activation: pointwise.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        kernel_sizes: Sequence[int],
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.in_channels, self.channels, self.out_channels = in_channels, channels, out_channels
        self.kernel_sizes = tuple(kernel_sizes)
        self.activation = activation
        inner = [channels] * (len(self.kernel_sizes) - 1)
        widths = zip([in_channels, *inner], [*inner, out_channels], self.kernel_sizes, strict=True)
        self.convs = nn.ModuleList(nn.Conv1d(given, made, taps) for given, made, taps in widths)

    @property
    def history(self) -> int:
        """Past samples that its output depends on."""
        return sum(self.kernel_sizes) - len(self.kernel_sizes)

    def conv_list(self) -> list[nn.Conv1d]:
        """The convolutions, in order."""
        return [cast("nn.Conv1d", conv) for conv in self.convs]

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, L) → (B, out_channels, L − history)``."""
        for conv in self.convs:
            x = conv(self.activation(x))
        return x

    def file_tensors(self) -> Iterator[Tensor]:
        """All weights in the order of a `.nam` file."""
        for conv in self.conv_list():
            yield from conv_tensors(conv)
