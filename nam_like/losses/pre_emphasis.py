"""Pre-emphasis: the first-order high-pass p[n] = x[n] − c·x[n−1], which makes a loss hear the treble.

Source: Wright and Välimäki, "Perceptual loss function for neural modelling of audio systems", ICASSP 2020.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, Float
from nam_like.losses.errors import LossError

__all__ = ["PreEmphasisConfig", "checked", "pre_emphasis"]


def pre_emphasis(x: Tensor, coef: float) -> Tensor:
    """Filter signals; the first sample, which has no predecessor, is dropped.

    Args:
        x: signals, ``(…, L)``.
        coef: c of x[n] − c·x[n−1], 0 (no emphasis) to 1 (differences).

    Returns:
        ``(…, L − 1)``.

    Raises:
        LossError: the signals have fewer than two samples.
    """
    if x.shape[-1] < 2:
        raise LossError(f"expected segments of at least 2 samples for pre-emphasis, but got {x.shape[-1]}")
    return x[..., 1:] - coef * x[..., :-1]


def checked(prediction: Tensor, target: Tensor, coef: float | None) -> tuple[Tensor, Tensor]:
    """Check that two signals can be compared, and pre-emphasise both unless `coef` is None.

    Raises:
        LossError: the shapes differ, or there is no sample.
    """
    if prediction.shape != target.shape:
        raise LossError(
            f"expected the prediction to have the target's shape {tuple(target.shape)}, "
            f"but got {tuple(prediction.shape)}"
        )
    if prediction.shape[-1] == 0:
        raise LossError("expected segments of at least 1 sample, but got 0")
    if coef is None:
        return prediction, target
    return pre_emphasis(prediction, coef), pre_emphasis(target, coef)


class PreEmphasisConfig(Config):
    """The option every loss on waveforms has."""

    pre_emphasis: Annotated[Float, Field(ge=0.0, le=1.0)] | None = Field(
        None,
        description="coefficient c of the pre-emphasis x[n] − c·x[n−1] put before the loss; null for none",
    )
