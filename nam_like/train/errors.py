"""How a run can end other than well."""

from __future__ import annotations

__all__ = ["DivergedError", "Interrupted"]


class Interrupted(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop by a signal; what it had reached is saved."""


class DivergedError(RuntimeError):
    """The weights are no longer finite: no further step can help."""
