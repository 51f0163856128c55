"""Activations as the realtime engine spells them, and which of torch's it can play.

Some that the engine does not know are special cases of one that it does: a hard tanh with other limits is a
leaky hard tanh with slopes 0, the identity is a leaky ReLU with slope 1.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nam_like.models.blocks.activations import Fasttanh, LeakyHardtanh
from nam_like.models.blocks.weights import shortest

__all__ = ["ENGINE_ACTIVATIONS", "engine_activation", "why_not_playable"]

ENGINE_ACTIVATIONS = (
    "Tanh, Fasttanh, Hardtanh, LeakyHardtanh, ReLU, LeakyReLU, PReLU, Sigmoid, SiLU, Hardswish, Softsign"
)
_PLAIN: dict[type[nn.Module], str] = {
    nn.Tanh: "Tanh",
    Fasttanh: "Fasttanh",
    nn.ReLU: "ReLU",
    nn.Sigmoid: "Sigmoid",
    nn.SiLU: "SiLU",
    nn.Hardswish: "Hardswish",
    nn.Softsign: "Softsign",
}


def engine_activation(activation: nn.Module, channels: int = 0) -> dict[str, Any] | None:
    """Describe an activation as `.nam` files do.

    Args:
        activation: a single one, not a pair.
        channels: write that many slopes for a PReLU with one (pairs need one per channel); 0 leaves one.

    Returns:
        ``{"type": …, parameters}``, or None when the engine cannot play it.
    """
    kind = type(activation)
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if isinstance(activation, nn.PReLU):
        slopes = [shortest(slope) for slope in activation.weight.detach().cpu()]
        if len(slopes) > 1 or channels:
            return {"type": "PReLU", "negative_slopes": slopes * channels if len(slopes) == 1 else slopes}
        return {"type": "PReLU", "negative_slope": slopes[0]}
    slope = _leaky_slope(activation)
    if slope is not None:
        return {"type": "LeakyReLU", "negative_slope": shortest(slope)}
    return _hard(activation)


def _hard(activation: nn.Module) -> dict[str, Any] | None:
    """Hard tanhs, with limits and with slopes; None for everything else."""
    if isinstance(activation, nn.Hardtanh):
        limits = (activation.min_val, activation.max_val)
        if limits == (-1.0, 1.0):
            return {"type": "Hardtanh"}
        activation = LeakyHardtanh(*limits, 0.0, 0.0)
    if isinstance(activation, LeakyHardtanh):
        keys = ("min_val", "max_val", "min_slope", "max_slope")
        return {"type": "LeakyHardtanh", **{key: shortest(getattr(activation, key)) for key in keys}}
    return None


def why_not_playable(activation: nn.Module) -> str | None:
    """Why the engine cannot play an activation (or a member of a pair); None when it can."""
    members = [getattr(activation, name, None) for name in ("primary", "secondary")]
    singles = [member for member in members if member is not None] or [activation]
    for single in singles:
        if engine_activation(single) is None:
            name = type(single).__name__
            return f"the realtime engine has no activation '{name}' (it has {ENGINE_ACTIVATIONS})"
    return None


def _leaky_slope(activation: nn.Module) -> float | None:
    """The slope below 0 of everything that is a leaky ReLU when it plays."""
    if type(activation) is nn.LeakyReLU:
        return float(activation.negative_slope)
    if type(activation) is nn.Identity:
        return 1.0
    if type(activation) is nn.RReLU:  # its slope is random in training only
        return (activation.lower + activation.upper) / 2.0
    return None
