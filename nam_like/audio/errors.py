"""The exceptions of audio that cannot be used."""

from __future__ import annotations

from nam_like.errors import UserError

__all__ = ["AudioError", "reason"]


class AudioError(UserError):
    """An audio file or signal that cannot be used; the message says which one and why."""


def reason(error: BaseException) -> str:
    """Return the library's reason without the path it repeats."""
    if code := getattr(error, "error_string", ""):
        return str(code)
    return str(error) or type(error).__name__
