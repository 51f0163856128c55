"""``learning.json`` → ``ema``: validate, keep and export a moving average of the weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nam_like.config.base import Bool, Config, Float

__all__ = ["EmaConfig"]


class EmaConfig(Config):
    """Exponential moving average of the weights."""

    decay: Annotated[Float, Field(gt=0.0, lt=1.0)] = Field(
        0.999, description="share of the average that each step keeps; it spans about 1/(1 − decay) steps"
    )
    warm_up: Bool = Field(
        True, description="begin with a short average: after n steps the share is at most (1 + n)/(10 + n)"
    )
