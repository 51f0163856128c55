"""One nonlinear state over time: the trapezoidal rule, solved for a whole stretch of samples at once.

For `dv/dt = f(v, u(t))` the trapezoidal rule reads `v[n] = v[n−1] + (h/2)·(f[n] + f[n−1])`, one implicit
equation per sample. A loop over samples would be slow in Python, so Newton's method runs on all samples of a
stretch together: their Jacobian has only a diagonal and one diagonal below it, and LAPACK solves that in one
pass. It converges quadratically, to exactly the solution the loop would find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["ConvergenceError", "integrate"]

Float64Array: TypeAlias = npt.NDArray[np.float64]
Derivative: TypeAlias = Callable[[Float64Array, Float64Array], tuple[Float64Array, Float64Array]]

MAX_ITERATIONS = 200
STRETCH = 1 << 14
"""Samples solved at once: small enough for the processor's cache."""


class ConvergenceError(RuntimeError):
    """Newton's method did not settle; the circuit or its drive is not what this solver is made for."""


def integrate(
    derivative: Derivative,
    drive: Float64Array,
    step: float,
    *,
    guess: Float64Array,
    state: tuple[float, float],
    scale: float,
    tolerance: float = 1e-6,
) -> Float64Array:
    """Solve `dv/dt = f(v, u)` by the trapezoidal rule.

    Args:
        derivative: `(v, u) → (f, ∂f/∂v)`, elementwise over `(L,)`; `∂f/∂v` must not be positive.
        drive: `u`, `(L,)`.
        step: seconds from one sample to the next.
        guess: a first guess of `v`, `(L,)`.
        state: `v` and `u` at the sample before the first.
        scale: steps of Newton's method are shortened beyond this change of `v`: where `f` is exponential, the
            full step from a poor guess would land where it overflows.
        tolerance: the iteration ends when no sample changes by more than this; what error then remains is of
            the order of its square.

    Returns:
        `v`, `(L,)`.

    Raises:
        ConvergenceError: no solution after many iterations.
    """
    solution = np.empty_like(drive)
    before = state
    for start in range(0, drive.size, STRETCH):
        stretch = slice(start, start + STRETCH)
        piece = _solve(
            derivative, drive[stretch], guess[stretch], before, step=step, scale=scale, tolerance=tolerance
        )
        solution[stretch] = piece
        before = (float(piece[-1]), float(drive[stretch][-1]))
    return solution


def _solve(
    derivative: Derivative,
    drive: Float64Array,
    guess: Float64Array,
    before: tuple[float, float],
    *,
    step: float,
    scale: float,
    tolerance: float,
) -> Float64Array:
    """Solve one stretch, `(L,)`; the sample before it is known."""
    from scipy.linalg import lapack

    half = 0.5 * step
    value = np.concatenate([[before[0]], guess])
    forced = np.concatenate([[before[1]], drive])
    jacobian = np.zeros((2, drive.size), order="F")  # LAPACK's band storage: the diagonal, the one below it
    for _ in range(MAX_ITERATIONS):
        slope, gradient = derivative(value, forced)
        residual = value[1:] - value[:-1] - half * (slope[1:] + slope[:-1])
        jacobian[0] = 1.0 - half * gradient[1:]
        jacobian[1, :-1] = -1.0 - half * gradient[1:-1]
        change = lapack.dtbtrs(jacobian, residual[:, None], uplo="L")[0][:, 0]
        size = np.abs(change)
        largest = float(size.max())
        if largest > 2.0 * scale:
            change = np.where(size > 2.0 * scale, np.copysign(scale * np.log1p(size / scale), change), change)
        value[1:] -= change
        if largest <= tolerance:
            return value[1:]
    raise ConvergenceError(f"no solution after {MAX_ITERATIONS} iterations; the last change is {largest:.3g}")
