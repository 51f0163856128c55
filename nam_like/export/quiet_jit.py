"""torch announces the end of ``torch.jit``; its warnings are kept off the screen while files are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch.jit._trace import TracerWarning

__all__ = ["quiet_jit"]


@contextmanager
def quiet_jit() -> Iterator[None]:
    """No such warnings in the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is (deprecated|not supported)")
        warnings.filterwarnings("ignore", category=TracerWarning)
        yield
