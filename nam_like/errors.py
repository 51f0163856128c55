"""The exceptions that mean "what you gave us cannot work", as opposed to "we have a bug".

Every command turns a :class:`UserError` into a message without a traceback and exit code 2.
"""

from __future__ import annotations

__all__ = ["ExportError", "HandshakeError", "NamFileError", "UserError"]


class UserError(ValueError):
    """The command line, a JSON, the audio or a model file is wrong; the message says what and where.

    Attributes:
        place: path in the data JSON of what it is about, such as ``("train", 1)``; empty if unknown.
    """

    place: tuple[str | int, ...] = ()

    @property
    def reason(self) -> str:
        """The message without the place that may stand before it."""
        return str(self)[len(self._prefix) :]

    _prefix = ""

    def put_at(self, place: tuple[str | int, ...]) -> None:
        """Say where in the data JSON the mistake is: the message then begins with that place."""
        self.place = place
        self._prefix = "".join(f"[{step}]" if isinstance(step, int) else step for step in place) + ": "
        self.args = (f"{self._prefix}{self.args[0] if self.args else ''}", *self.args[1:])


class HandshakeError(UserError):
    """A net and a dataset that do not fit each other."""


class NamFileError(UserError):
    """A `.nam` file that cannot be read: not JSON, an unknown version, a wrong weight count."""


class ExportError(RuntimeError):
    """An export that could not be written, or that does not play as the network it was made from."""
