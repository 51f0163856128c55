"""Field types that the configs of optimizers share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nam_like.config.base import Float

__all__ = ["Beta"]

#: the share that a moving average keeps in each step
Beta = Annotated[Float, Field(ge=0.0, lt=1.0)]
