"""Activation functions that torch does not have, and pairs of two (gates and blends).

All act on each sample of each channel alone, on tensors ``(B, C, L)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from nam_like.config.base import Config, Float, PositiveInt
from nam_like.config.component import Component
from nam_like.models.blocks.activation_field import OfActivation
from nam_like.models.blocks.problems import refuse

__all__ = [
    "Fasttanh",
    "LeakyHardtanh",
    "PReLUConfig",
    "PairActivation",
    "PairBlend",
    "PairMultiply",
    "Softsigmoid",
]


class Fasttanh(nn.Module):
    """The rational approximation of tanh that realtime plugins use (at most about 2e-3 off)."""

    def forward(self, x: Tensor) -> Tensor:
        """``(…) → (…)``."""
        size = x.abs()
        square = x * x
        above = x * (
            2.45550750702956
            + 2.45550750702956 * size
            + (0.893229853513558 + 0.821226666969744 * size) * square
        )
        below = 2.44506634652299 + (2.44506634652299 + square) * (x + 0.814642734961073 * x * size).abs()
        return above / below


class Softsigmoid(nn.Module):
    """A sigmoid made of softsign: (1 + x / (1 + |x|)) / 2."""

    def forward(self, x: Tensor) -> Tensor:
        """``(…) → (…)``."""
        return 0.5 * (1.0 + F.softsign(x))


class LeakyHardtanh(nn.Module):
    """Linear between two limits, and with slopes of its own below and above.

    Args:
        min_val: lower limit.
        max_val: upper limit.
        min_slope: slope below `min_val`.
        max_slope: slope above `max_val`.
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, min_slope: float = 0.01, max_slope: float = 0.01
    ) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"expected `min_val` to be below `max_val` ({max_val}), but got {min_val}")
        self.min_val, self.max_val, self.min_slope, self.max_slope = min_val, max_val, min_slope, max_slope

    def forward(self, x: Tensor) -> Tensor:
        """``(…) → (…)``."""
        below = (x - self.min_val).clamp(max=0.0) * self.min_slope
        above = (x - self.max_val).clamp(min=0.0) * self.max_slope
        return x.clamp(self.min_val, self.max_val) + below + above

    def extra_repr(self) -> str:
        """The limits and slopes."""
        return f"{self.min_val}, {self.max_val}, min_slope={self.min_slope}, max_slope={self.max_slope}"


class PairActivation(nn.Module):
    """Two activations, each on one half of the channels: ``(B, 2C, L) → (B, C, L)``.

    Args:
        primary: acts on the first half.
        secondary: acts on the second half.
    """

    gating_mode = ""

    def __init__(self, primary: nn.Module, secondary: nn.Module) -> None:
        super().__init__()
        self.primary = primary
        self.secondary = secondary


class PairMultiply(PairActivation):
    """A gate: primary(x₁) · secondary(x₂)."""

    gating_mode = "gated"

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 2C, L) → (B, C, L)``."""
        signal, gate = x.chunk(2, dim=1)
        product: Tensor = self.primary(signal) * self.secondary(gate)
        return product


class PairBlend(PairActivation):
    """A blend of activated and plain signal: s · primary(x₁) + (1 − s) · x₁ with s = secondary(x₂)."""

    gating_mode = "blended"

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 2C, L) → (B, C, L)``."""
        signal, share = x.chunk(2, dim=1)
        share = self.secondary(share)
        blended: Tensor = share * self.primary(signal) + (1.0 - share) * signal
        return blended


class FasttanhConfig(Config):
    """Config of :class:`Fasttanh`: it has no parameters."""

    def build(self) -> Fasttanh:
        """Make the activation."""
        return Fasttanh()


class SoftsigmoidConfig(Config):
    """Config of :class:`Softsigmoid`: it has no parameters."""

    def build(self) -> Softsigmoid:
        """Make the activation."""
        return Softsigmoid()


class LeakyHardtanhConfig(Config):
    """Config of :class:`LeakyHardtanh`."""

    min_val: Float = Field(-1.0, description="lower end of the linear part")
    max_val: Float = Field(1.0, description="upper end of the linear part")
    min_slope: Float = Field(0.01, description="slope below min_val")
    max_slope: Float = Field(0.01, description="slope above max_val")

    @model_validator(mode="after")
    def _ordered(self) -> LeakyHardtanhConfig:
        if not self.min_val < self.max_val:
            refuse(
                "LeakyHardtanh",
                ("min_val",),
                f"expected `min_val` to be below `max_val` ({self.max_val:g}), but got {self.min_val:g}",
                self.min_val,
            )
        return self

    def build(self) -> LeakyHardtanh:
        """Make the activation."""
        return LeakyHardtanh(self.min_val, self.max_val, self.min_slope, self.max_slope)


class PReLUConfig(Config):
    """Config of ``torch.nn.PReLU``, also as `.nam` files spell it (``negative_slope`` or ``…s``)."""

    num_parameters: PositiveInt | None = Field(None, description="1, or one slope per channel (default 1)")
    init: Float | None = Field(None, description="slope below 0 that training starts from (default 0.25)")
    negative_slope: Float | None = Field(None, description="the same as init")
    negative_slopes: list[Float] | None = Field(
        None, description="one slope per channel that training starts from", min_length=1
    )

    @model_validator(mode="after")
    def _one_spelling(self) -> PReLUConfig:
        given = [
            name for name in ("init", "negative_slope", "negative_slopes") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            refuse("PReLU", (given[1],), f"expected one of `{given[0]}` and `{given[1]}`, but got both")
        if self.negative_slopes is not None and self.num_parameters not in (None, len(self.negative_slopes)):
            refuse(
                "PReLU",
                ("num_parameters",),
                f"expected `num_parameters` to be the number of slopes ({len(self.negative_slopes)}), "
                f"but got {self.num_parameters}",
            )
        return self

    @property
    def slopes(self) -> Sequence[float]:
        """The slopes that training starts from, one or one per channel."""
        if self.negative_slopes is not None:
            return self.negative_slopes
        start = next((slope for slope in (self.init, self.negative_slope) if slope is not None), 0.25)
        return [start] * (self.num_parameters or 1)

    def build(self) -> nn.PReLU:
        """Make the activation."""
        activation = nn.PReLU(len(self.slopes))
        with torch.no_grad():
            activation.weight.copy_(torch.tensor(self.slopes))
        return activation


class PairConfig(Config):
    """What both pairs have."""

    primary: Annotated[Component, OfActivation("activation", flat=True, pairs=False)] = Field(
        "Tanh", validate_default=True, description="activation of the first half of the channels"
    )
    secondary: Annotated[Component, OfActivation("activation", flat=True, pairs=False)] = Field(
        "Sigmoid", validate_default=True, description="activation of the second half of the channels"
    )

    def members(self) -> dict[str, Any]:
        """Both activations, made."""
        return {"primary": self.primary.build(), "secondary": self.secondary.build()}


class PairMultiplyConfig(PairConfig):
    """Config of :class:`PairMultiply`."""

    def build(self) -> PairMultiply:
        """Make the pair."""
        return PairMultiply(**self.members())


class PairBlendConfig(PairConfig):
    """Config of :class:`PairBlend`."""

    def build(self) -> PairBlend:
        """Make the pair."""
        return PairBlend(**self.members())
