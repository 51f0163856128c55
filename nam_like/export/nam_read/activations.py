"""The engine's activation functions, with its parameters, its defaults and its blind spots.

Arrays are `(channels, time)`, float64. Source: NeuralAmpModelerCore 0.5.5, activations.h (formulas only).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nam_like.errors import NamFileError
from nam_like.export.nam_read.fields import Fields, describe

__all__ = [
    "FAST_TANH_DENOMINATOR",
    "FAST_TANH_NUMERATOR",
    "NAMES",
    "Activation",
    "fast_tanh",
    "parse_activation",
    "sigmoid",
]

Array = NDArray[np.float64]


# The rational approximation of tanh that plugins play with: x · P(|x|) / Q(|x|), powers ascending. It is
# f(x) = x (a + a|x| + (b + c|x|) x²) / (d + (d + x²) |x + e x|x||), multiplied out.
_D, _E = 2.44506634652299, 0.814642734961073
FAST_TANH_NUMERATOR = (2.45550750702956, 2.45550750702956, 0.893229853513558, 0.821226666969744, 0.0)
FAST_TANH_DENOMINATOR = (_D, _D, _D * _E, 1.0, _E)


def fast_tanh(x: Array) -> Array:
    """The plugins' approximation of tanh, at most 3e-3 off."""
    size = np.abs(x)
    numerator, denominator = (
        np.full_like(x, FAST_TANH_NUMERATOR[-2]),
        np.full_like(x, FAST_TANH_DENOMINATOR[-1]),
    )
    for coefficient in FAST_TANH_NUMERATOR[-3::-1]:
        numerator *= size
        numerator += coefficient
    for coefficient in FAST_TANH_DENOMINATOR[-2::-1]:
        denominator *= size
        denominator += coefficient
    numerator *= x
    numerator /= denominator
    return numerator


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), written with tanh so that no exponential overflows."""
    result: Array = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return result


def _hardswish(x: Array) -> Array:
    """0 below −3, x above 3, x (x + 3) / 6 between."""
    result: Array = x * np.clip(x + 3.0, 0.0, 6.0) / 6.0
    return result


def _tanh(x: Array) -> Array:
    result: Array = np.tanh(x)
    return result


def _silu(x: Array) -> Array:
    return x * sigmoid(x)


def _relu(x: Array) -> Array:
    result: Array = np.maximum(x, 0.0)
    return result


def _hardtanh(x: Array) -> Array:
    """Clamped to [−1, 1]: the engine ignores `min_val` and `max_val`."""
    result: Array = np.clip(x, -1.0, 1.0)
    return result


def _softsign(x: Array) -> Array:
    result: Array = x / (1.0 + np.abs(x))
    return result


_PLAIN: dict[str, Callable[[Array], Array]] = {
    "Tanh": _tanh,
    "Fasttanh": fast_tanh,
    "Hardtanh": _hardtanh,
    "ReLU": _relu,
    "Sigmoid": sigmoid,
    "SiLU": _silu,
    "Hardswish": _hardswish,
    "Softsign": _softsign,
}
_SPELLINGS = {"LeakyHardTanh": "LeakyHardtanh"}
NAMES: tuple[str, ...] = (*sorted(_PLAIN), "LeakyHardtanh", "LeakyReLU", "PReLU")


@dataclass(frozen=True)
class Activation:
    """One activation of a file: a name and the parameters that the engine reads for it.

    Attributes:
        name: canonical engine name, one of :data:`NAMES`.
        slopes: LeakyReLU and PReLU: slope below 0, one for all channels or one per channel.
        limits: LeakyHardtanh: (min_val, max_val, min_slope, max_slope).
    """

    name: str
    slopes: tuple[float, ...] = ()
    limits: tuple[float, float, float, float] = (-1.0, 1.0, 0.01, 0.01)

    def __call__(self, x: Array, fast: bool = False) -> Array:
        """Apply to `(C, T)`; `fast` replaces exact tanh by :func:`fast_tanh`, for `Tanh` only."""
        if self.slopes:
            slope = np.array(self.slopes)[:, None]
            result: Array = np.where(x > 0.0, x, slope * x)
            return result
        if self.name == "LeakyHardtanh":
            return self._leaky_hardtanh(x)
        return fast_tanh(x) if fast and self.name == "Tanh" else _PLAIN[self.name](x)

    def _leaky_hardtanh(self, x: Array) -> Array:
        low, high, low_slope, high_slope = self.limits
        below = (x - low) * low_slope + low
        above = (x - high) * high_slope + high
        result: Array = np.where(x < low, below, np.where(x > high, above, x))
        return result

    def check_channels(self, channels: int, where: str, *, paired: bool) -> None:
        """Refuse PReLU slopes that the engine would pair with the wrong channels or read past the end of.

        Raises:
            NamFileError: more than one slope but not one per channel, or a single slope in a gated or
                blended layer, where the engine always reads one per channel.
        """
        if self.name != "PReLU" or len(self.slopes) == channels:
            return
        if len(self.slopes) > 1 or paired:
            raise NamFileError(
                f"expected `{where}` to have {channels} negative_slopes, one per channel,"
                f" but got {len(self.slopes)}"
            )


def parse_activation(value: object, where: str) -> Activation:
    """Read an activation as the engine does: a name, or an object with `type` and parameters.

    Raises:
        NamFileError: unknown name, no `type`, or a parameter of the wrong type.
    """
    if isinstance(value, str):
        fields, name = Fields({}, where), value
    else:
        if not isinstance(value, dict):
            raise NamFileError(
                f"expected `{where}` to be an activation name or object, but got {describe(value)}"
            )
        fields = Fields(value, where)
        name = fields.text("type")
    name = _SPELLINGS.get(name, name)
    if name not in NAMES:
        raise NamFileError(
            f"unknown activation in `{where}`: expected one of {', '.join(NAMES)}, but got {name!r}"
        )
    return _with_parameters(name, fields)


def _with_parameters(name: str, fields: Fields) -> Activation:
    if name == "LeakyReLU":
        return Activation(name, slopes=(_single(fields, "negative_slope", 0.01),))
    if name == "PReLU":
        return Activation(name, slopes=_prelu_slopes(fields))
    if name == "LeakyHardtanh":
        low, high = _single(fields, "min_val", -1.0), _single(fields, "max_val", 1.0)
        return Activation(
            name, limits=(low, high, _single(fields, "min_slope", 0.01), _single(fields, "max_slope", 0.01))
        )
    if name == "Softsign" and fields.number("alpha", 1.0) != 1.0:
        raise NamFileError(f"expected `{fields.path('alpha')}` to be 1, but got {fields.raw('alpha')}")
    return Activation(name)


def _prelu_slopes(fields: Fields) -> tuple[float, ...]:
    if "negative_slope" in fields or "negative_slopes" not in fields:
        return (_single(fields, "negative_slope", 0.01),)
    where = fields.path("negative_slopes")
    slopes = tuple(_rounded(slope, where) for slope in fields.numbers("negative_slopes"))
    if not slopes:
        raise NamFileError(f"expected `{where}` to hold a number, but got an empty list")
    return slopes


def _single(fields: Fields, key: str, default: float) -> float:
    return _rounded(fields.number(key, default), fields.path(key))


def _rounded(value: float, where: str) -> float:
    """The engine keeps parameters as 32-bit floats."""
    if abs(value) > float(np.finfo(np.float32).max):
        raise NamFileError(f"expected `{where}` to be a 32-bit float, but got {value:g}")
    return float(np.float32(value))
