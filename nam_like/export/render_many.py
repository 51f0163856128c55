"""Play many audio files through one `.nam` file, several at a time; without torch.

The native player computes outside of Python's lock, so threads share the cores. Every file has a player to
itself that starts from the same state: what comes out does not depend on how many threads there are, nor on
which files come before.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nam_like.errors import UserError
from nam_like.export.nam_read import NamModel
from nam_like.export.player import Player
from nam_like.export.render import Dry, RenderResult, render_through

__all__ = ["cores", "render_many"]


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def render_many(
    model: NamModel, pairs: Sequence[tuple[Dry, Path]], *, threads: int = 1, fast_tanh: bool = False
) -> Generator[RenderResult | UserError, None, None]:
    """Render files; what is wrong with one does not stop the others.

    Args:
        model: the `.nam` file, loaded once.
        pairs: what is played, and the `.wav` that it becomes; see
            :func:`nam_like.export.render.render_through`.
        threads: how many files are played at a time.
        fast_tanh: play with the plugins' approximate tanh.

    Yields:
        For each pair, in their order, what was rendered or what was wrong. Where the iterator is closed
        early, files that are not finished are not written.

    Raises:
        UserError: `threads` is not positive.
    """
    if threads < 1:
        raise UserError(f"expected at least 1 thread, but got {threads}")
    idle: queue.SimpleQueue[Player] = queue.SimpleQueue()
    threads = min(threads, len(pairs))
    for _ in range(threads):
        idle.put(Player(model, fast_tanh=fast_tanh))
    stop = threading.Event()

    def render(dry: Dry, output: Path) -> RenderResult | UserError:
        player = idle.get()
        try:
            player.reset()
            return render_through(player, dry, output, stop.is_set)
        except UserError as error:
            return error
        finally:
            idle.put(player)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        waiting = [pool.submit(render, dry, output) for dry, output in pairs]
        try:
            for future in waiting:
                yield future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
