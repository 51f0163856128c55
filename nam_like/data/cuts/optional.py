"""Packages of the extra ``nam_like[speech]``, imported when they are first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from nam_like.errors import UserError

__all__ = ["require"]


def require(module: str, purpose: str) -> ModuleType:
    """Import a module of the extra.

    Args:
        module: its full name, such as ``"lhotse.shar.readers.tar"``.
        purpose: what needs it, for the message: "Lhotse cuts".

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{purpose} need {module.partition('.')[0]} ({error}): pip install 'nam_like[speech]'"
        ) from error
