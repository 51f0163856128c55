"""One layer of a WaveNet: dilated convolution, condition, activation, residual and skip path.

Shapes: B batch, C channels, D condition channels, L samples. Source: van den Oord et al., "WaveNet: A
Generative Model for Raw Audio", 2016, as the realtime engine plays it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from nam_like.models.blocks.activations import PairActivation
from nam_like.models.blocks.film import FiLM
from nam_like.models.blocks.weights import conv_tensors

__all__ = ["FILM_POSITIONS", "FilmShape", "Head1x1", "Layer"]

#: Where a FiLM can stand, in the order of the weights of a `.nam` file.
FILM_POSITIONS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)


@dataclass(frozen=True)
class FilmShape:
    """One active FiLM: whether it shifts, and the groups of its convolution."""

    shift: bool = True
    groups: int = 1


@dataclass(frozen=True)
class Head1x1:
    """The 1×1 convolution of the skip path."""

    out_channels: int
    groups: int = 1


def film_widths(
    channels: int, mid: int, bottleneck: int, condition_size: int, head1x1: Head1x1 | None
) -> dict[str, int]:
    """Channels that each FiLM position modulates."""
    return {
        "conv_pre_film": channels,
        "conv_post_film": mid,
        "input_mixin_pre_film": condition_size,
        "input_mixin_post_film": mid,
        "activation_pre_film": mid,
        "activation_post_film": bottleneck,
        "layer1x1_post_film": channels,
        "head1x1_post_film": head1x1.out_channels if head1x1 else 0,
    }


class Layer(nn.Module):
    """z = conv(x) + mixer(c); a = activation(z); the residual is x + layer1x1(a), the skip term head1x1(a).

    Without `layer1x1` the residual is x itself, and without `head1x1` the skip term is a, as in the realtime
    engine.

    Args:
        channels: C, channels of x.
        condition_size: D, channels of the condition; 0 for none.
        kernel_size: taps.
        dilation: samples between taps.
        activation: pointwise, or a pair, which halves the channels.
        bottleneck: channels after the activation.
        groups_input: groups of the dilated convolution.
        groups_input_mixin: groups of the condition's 1×1.
        layer1x1: groups of the residual 1×1, None for none.
        head1x1: shape of the skip path's 1×1, None for none.
        film: the active FiLMs by position.
    """

    def __init__(
        self,
        *,
        channels: int,
        condition_size: int,
        kernel_size: int,
        dilation: int,
        activation: nn.Module,
        bottleneck: int,
        groups_input: int = 1,
        groups_input_mixin: int = 1,
        layer1x1: int | None = 1,
        head1x1: Head1x1 | None = None,
        film: Mapping[str, FilmShape] | None = None,
    ) -> None:
        super().__init__()
        mid = 2 * bottleneck if isinstance(activation, PairActivation) else bottleneck
        self.shrink = (kernel_size - 1) * dilation
        self.conv = nn.Conv1d(channels, mid, kernel_size, dilation=dilation, groups=groups_input)
        self.mixer = (
            nn.Conv1d(condition_size, mid, 1, groups=groups_input_mixin, bias=False)
            if condition_size
            else None
        )
        self.activation = activation
        self.layer1x1 = None if layer1x1 is None else nn.Conv1d(bottleneck, channels, 1, groups=layer1x1)
        self.head1x1 = (
            None if head1x1 is None else nn.Conv1d(bottleneck, head1x1.out_channels, 1, groups=head1x1.groups)
        )
        widths = film_widths(channels, mid, bottleneck, condition_size, head1x1)
        self.film = nn.ModuleDict(
            {
                position: FiLM(condition_size, widths[position], shape.shift, shape.groups)
                for position, shape in (film or {}).items()
            }
        )

    def forward(
        self, x: Tensor, condition: Tensor | None, need_residual: bool = True
    ) -> tuple[Tensor | None, Tensor]:
        """Play one layer.

        Args:
            x: ``(B, C, L)``.
            condition: ``(B, D, L)``, aligned with `x`; None for none.
            need_residual: False leaves the residual out (after the last layer nobody reads it).

        Returns:
            residual ``(B, C, L − shrink)`` or None, and skip term ``(B, head1x1 or bottleneck, L − shrink)``.
        """
        c = condition if condition is None or not self.shrink else condition[..., self.shrink :]
        z = self._film("conv_post_film", self.conv(self._film("conv_pre_film", x, condition)), c)
        if self.mixer is not None and c is not None:
            mixed = self.mixer(self._film("input_mixin_pre_film", c, c))
            z = z + self._film("input_mixin_post_film", mixed, c)
        a = self.activation(self._film("activation_pre_film", z, c))
        a = self._film("activation_post_film", a, c)
        skip = a if self.head1x1 is None else self._film("head1x1_post_film", self.head1x1(a), c)
        if not need_residual:
            return None, skip
        residual = x[..., self.shrink :] if self.shrink else x
        if self.layer1x1 is not None:
            residual = residual + self._film("layer1x1_post_film", self.layer1x1(a), c)
        return residual, skip

    def _film(self, position: str, x: Tensor, condition: Tensor | None) -> Tensor:
        if position not in self.film or condition is None:
            return x
        modulated: Tensor = self.film[position](x, condition)
        return modulated

    def film_at(self, position: str) -> FiLM:
        """The FiLM at a position where there is one."""
        return cast("FiLM", self.film[position])

    def residual_tensors(self) -> list[Tensor]:
        """The weights that only the residual needs."""
        film = self.film_at("layer1x1_post_film") if "layer1x1_post_film" in self.film else None
        convs = [self.layer1x1, film.conv if film is not None else None]
        return [tensor for conv in convs if conv is not None for tensor in conv_tensors(conv)]

    def file_tensors(self) -> Iterator[Tensor]:
        """All weights in the order of a `.nam` file."""
        convs = [self.conv, self.mixer, self.layer1x1, self.head1x1]
        convs += [self.film_at(position).conv for position in FILM_POSITIONS if position in self.film]
        for conv in convs:
            if conv is not None:
                yield from conv_tensors(conv)
