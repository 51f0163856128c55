"""Parts of a forward pass that a traced graph shall hold as constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["untraced"]


@contextmanager
def untraced() -> Iterator[None]:
    """Keep ``torch.jit.trace`` from recording the block; its results enter the graph as constants."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]
