"""What a loss raises when the segments it gets cannot be measured."""

from __future__ import annotations

from nam_like.errors import UserError

__all__ = ["LossError"]


class LossError(UserError):
    """A loss got segments that it cannot work on: too short, or of two different shapes."""
