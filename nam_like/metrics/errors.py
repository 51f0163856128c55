"""What a metric raises when it cannot be made, or cannot measure what it gets."""

from __future__ import annotations

from nam_like.errors import UserError

__all__ = ["MetricError"]


class MetricError(UserError):
    """A metric lacks a package, or got signals or options that it cannot work with."""
