"""Activations as the native kernels know them."""

from __future__ import annotations

from torch import nn

from nam_like.models.blocks.activations import Fasttanh, LeakyHardtanh, Softsigmoid
from nam_like.models.blocks.native import NotCoveredError
from nam_like.native.wavenet import ActivationSpec

__all__ = ["describe_activation"]


def describe_activation(module: nn.Module) -> ActivationSpec:
    """Describe one pointwise activation; exact types only, because a subclass may do anything.

    Raises:
        NotCoveredError: there is no kernel for it.
    """
    kind = type(module)
    name = kind.__name__
    if kind in (
        nn.Identity,
        nn.Tanh,
        Fasttanh,
        nn.ReLU,
        nn.Sigmoid,
        nn.SiLU,
        nn.Hardswish,
        nn.Softsign,
        Softsigmoid,
    ):
        return ActivationSpec(name)
    if isinstance(module, nn.LeakyReLU) and kind is nn.LeakyReLU:
        return ActivationSpec(name, (float(module.negative_slope),))
    if isinstance(module, nn.Hardtanh) and kind is nn.Hardtanh:
        return ActivationSpec(name, (float(module.min_val), float(module.max_val)))
    if isinstance(module, LeakyHardtanh) and kind is LeakyHardtanh:
        constants = (module.min_val, module.max_val, module.min_slope, module.max_slope)
        return ActivationSpec(name, tuple(float(value) for value in constants))
    if isinstance(module, nn.PReLU) and kind is nn.PReLU:
        return ActivationSpec(name, (), module.num_parameters)
    raise NotCoveredError(f"its activation is {name}")
