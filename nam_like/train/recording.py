"""Record what is launched on a device once, and replay it as one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

__all__ = ["CudaGraphs", "Recorder"]

Run = Callable[[], None]


class Recorder(Protocol):
    """Records functions that only launch kernels on memory that stays where it is."""

    def warm_up(self, run: Run) -> None:
        """Run a function that is recorded later, as it has to run for that."""

    def record(self, run: Run) -> Run:
        """Record a function without running its kernels; returns what replays them.

        Raises:
            Exception: the function does something that cannot be recorded, such as to wait for the device.
        """


class CudaGraphs:
    """Recordings on the current CUDA device.

    They never run at the same time and leave nothing behind in their own memory, so all share it.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def warm_up(self, run: Run) -> None:
        """Run on a stream beside the main one, as recordings do."""
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        main = torch.cuda.current_stream()
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            run()
        main.wait_stream(stream)

    def record(self, run: Run) -> Run:
        """Record a CUDA graph; other threads may go on using the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            run()
        self._pool = graph.pool()
        replay: Run = graph.replay
        return replay
