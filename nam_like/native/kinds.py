"""Numbers of activations, as the kernels know them."""

from __future__ import annotations

__all__ = ["KINDS", "PAIRS"]

#: Names of activations, in the order of `Kind` in csrc/wavenet.h.
KINDS = (
    "Identity",
    "Tanh",
    "Hardtanh",
    "Fasttanh",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "Sigmoid",
    "SiLU",
    "Hardswish",
    "LeakyHardtanh",
    "Softsign",
    "Softsigmoid",
)
#: Ways to make one channel of two, in the order of `Pair`.
PAIRS = ("none", "multiply", "blend")
