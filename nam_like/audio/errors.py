"""The exceptions of audio that cannot be used."""

from __future__ import annotations

from nam_like.errors import UserError

__all__ = ["AudioError"]


class AudioError(UserError):
    """An audio file or signal that cannot be used; the message says which one and why."""
