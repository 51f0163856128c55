"""The exceptions that mean "what you gave us cannot work", as opposed to "we have a bug".

Every command turns a :class:`UserError` into a message without a traceback and exit code 2.
"""

from __future__ import annotations

__all__ = ["ExportError", "HandshakeError", "NamFileError", "UserError"]


class UserError(ValueError):
    """The command line, a JSON, the audio or a model file is wrong; the message says what and where."""


class HandshakeError(UserError):
    """A net and a dataset that do not fit each other."""


class NamFileError(UserError):
    """A `.nam` file that cannot be read: not JSON, an unknown version or architecture, a wrong weight count."""


class ExportError(RuntimeError):
    """An export that could not be written, or that does not play as the network it was made from."""
