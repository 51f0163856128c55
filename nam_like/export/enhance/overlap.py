"""A long signal through a net in overlapping blocks, faded into each other; never more than two in memory.

With blocks of B samples that overlap by V, block k begins at k·(B − V). In the first V samples of a block its
answer fades in with a Hann slope while that of the block before fades out; the two weights add up to one. The
last block ends with the signal and is as long as all others, so it overlaps the one before by more: a net is
never asked about a snippet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from nam_like.audio.multichannel import Block

__all__ = ["fade_in", "overlapped"]


def fade_in(length: int) -> Block:
    """The rising half of a Hann window, ``(length,)``; with its own reverse it adds up to one."""
    steps = (np.arange(length) + 0.5) / length
    return (0.5 - 0.5 * np.cos(np.pi * steps)).astype(np.float32)


class _Source:
    """Takes as many samples as one wants from blocks of any size."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._left: Block | None = None

    def take(self, samples: int) -> Block:
        """The next samples, ``(C, samples)``; fewer where the signal ends."""
        parts: list[Block] = []
        missing = samples
        while missing:
            block = self._left if self._left is not None else next(self._blocks, None)
            if block is None:
                break
            parts.append(block[:, :missing])
            self._left = block[:, missing:] if block.shape[1] > missing else None
            missing -= parts[-1].shape[1]
        return np.concatenate(parts, axis=1)


def overlapped(
    blocks: Iterable[Block], total: int, block: int, overlap: int, play: Callable[[Block], Block]
) -> Iterator[Block]:
    """Play a signal through a net block by block.

    Args:
        blocks: the signal, ``(C, n)`` each.
        total: its length in samples; up to `block` of them are played in one go.
        block: samples that the net is given at a time.
        overlap: samples in which two answers fade into each other, at most half of `block`.
        play: the net, ``(C, n)`` → ``(C_out, n)``.

    Yields:
        The answer, ``(C_out, n)`` each, `total` samples in all.

    Raises:
        ValueError: `overlap` is negative or more than half of `block`.
    """
    if not 0 <= overlap <= block // 2:
        raise ValueError(f"expected an overlap from 0 to half a block ({block // 2}), but got {overlap}")
    source = _Source(blocks)
    held = source.take(min(block, total))
    made = play(held)
    if total <= block:
        yield made
        return
    step, rising = block - overlap, fade_in(overlap)
    at, fading = step, made[:, step:].copy()
    yield made[:, :step]
    while True:
        end = min(at + block, total)
        new = end - (at + overlap)  # behind what the block before has heard
        held = np.concatenate((held[:, new:], source.take(new)), axis=1)
        made = play(held)[:, at - (end - block) :]
        # As a difference, so that answers that agree are left exactly as they are.
        made[:, :overlap] = fading + (made[:, :overlap] - fading) * rising
        if end == total:
            yield made
            return
        yield made[:, :step]
        at, fading = at + step, made[:, step:].copy()
