"""The passive tone control of countless amps: treble, bass and middle with three capacitors.

    in ──C1── a ══ treble pot R1 (its wiper is the output) ══ b
    in ──R4── c;   c ──C2── b;   b ══ bass R2 ══ d;   c ──C3── wiper of the middle pot R3 between d and ⏚

The state of the circuit is the three capacitor voltages; the matrices come from its nodal equations with the
capacitors as voltage sources. Source of circuit and values: D. Yeh and J. Smith, "Discretization of the '59
Fender Bassman tone stack", DAFx 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.circuits.linear import discretize

__all__ = ["ToneStackValues", "state_space", "tone_stack_sections"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

LEAST_RESISTANCE = 1.0
"""Ω that remain of a potentiometer turned to its end."""
NODES = ("input", "a", "output", "b", "c", "d", "wiper")


@dataclass(frozen=True)
class ToneStackValues:
    """Component values in Ω and F, named as in the paper (R1 treble, R2 bass, R3 middle, R4 slope)."""

    r1: float = 250e3
    r2: float = 1e6
    r3: float = 25e3
    r4: float = 56e3
    c1: float = 250e-12
    c2: float = 20e-9
    c3: float = 20e-9


def state_space(
    bass: float, middle: float, treble: float, values: ToneStackValues | None = None
) -> tuple[Float64Array, Float64Array, Float64Array, float]:
    """Return `A (3, 3)`, `B (3,)`, `C (3,)` and `D` of `dx/dt = A·x + B·u`, `y = C·x + D·u`.

    Args:
        bass: knob from 0 to 1, linear taper.
        middle: knob from 0 to 1.
        treble: knob from 0 to 1.
        values: component values.
    """
    values = values or ToneStackValues()
    capacitances = np.array([values.c1, values.c2, values.c3])
    resistors = [
        ("input", "c", values.r4),
        ("a", "output", (1.0 - treble) * values.r1),
        ("output", "b", treble * values.r1),
        ("b", "d", bass * values.r2),
        ("d", "wiper", (1.0 - middle) * values.r3),
        ("wiper", None, middle * values.r3),
    ]
    sources = [("input", "a"), ("c", "b"), ("c", "wiper"), ("input", None)]  # C1, C2, C3, u
    size = len(NODES)
    matrix = np.zeros((size + len(sources), size + len(sources)))
    for first, second, resistance in resistors:
        _add_resistor(matrix, first, second, max(resistance, LEAST_RESISTANCE))
    for index, (plus, minus) in enumerate(sources):
        for node, sign in ((plus, 1.0), (minus, -1.0)):
            if node is not None:
                matrix[NODES.index(node), size + index] = sign
                matrix[size + index, NODES.index(node)] = sign
    # Columns: what every node voltage and source current is for 1 V in each of the four sources.
    right = np.zeros((size + len(sources), len(sources)))
    right[size:] = np.eye(len(sources))
    response = np.linalg.solve(matrix, right)
    currents, output = response[size : size + 3], response[NODES.index("output")]
    slopes = currents / capacitances[:, None]
    return slopes[:, :3], slopes[:, 3], output[:3], float(output[3])


def _add_resistor(matrix: Float64Array, first: str, second: str | None, resistance: float) -> None:
    """Enter a resistor into the nodal equations; None is ground."""
    i = NODES.index(first)
    matrix[i, i] += 1.0 / resistance
    if second is not None:
        j = NODES.index(second)
        matrix[j, j] += 1.0 / resistance
        matrix[i, j] -= 1.0 / resistance
        matrix[j, i] -= 1.0 / resistance


def tone_stack_sections(
    sample_rate: float, bass: float, middle: float, treble: float, values: ToneStackValues | None = None
) -> Float64Array:
    """Return the tone stack as second-order sections `(2, 6)` by the bilinear transform.

    Args:
        sample_rate: Hz.
        bass: knob from 0 to 1.
        middle: knob from 0 to 1.
        treble: knob from 0 to 1.
        values: component values.
    """
    a, b, c, d = state_space(bass, middle, treble, values)
    poles = np.linalg.eigvals(a)
    # y = D·u + C·x has its zeros where u = −C·x / D keeps y at 0.
    zeros = np.linalg.eigvals(a - np.outer(b, c) / d)
    return discretize(zeros, poles, d, sample_rate)
