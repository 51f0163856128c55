"""How much one program of a kernel does. Only speed depends on these numbers, so tune them here."""

from __future__ import annotations

from nam_like.native.gpu.plan import power_of_two

__all__ = ["WARPS", "channel_group", "stretches", "tile", "tile_of_sums", "unroll"]

#: Warps per program: 128 threads.
WARPS = 4
THREADS = 32 * WARPS
#: Sums that a thread keeps in registers: many of them share the weights that it loads.
SUMS = 64
#: Sums that a thread of the weight gradients keeps: more of them reuse a loaded sample more often.
CORRELATIONS = 64
#: Samples whose products one program of the weight gradients adds up.
STRETCH = 4096


def tile(lanes: int) -> int:
    """Samples per program where a thread holds `lanes` channels of each: 1 to 4 per thread."""
    return THREADS * max(1, min(4, SUMS // lanes))


def tile_of_sums() -> int:
    """Samples that a program of the weight gradients takes at a time: one per thread."""
    return THREADS


def channel_group(rows: int, columns: int) -> int:
    """Input channels that one program of the weight gradients takes, beside `rows` output channels."""
    return min(power_of_two(columns), max(1, CORRELATIONS // rows))


def unroll(channels: int) -> int:
    """How many of the channels that a convolution sums over stand in one piece of straight code.

    More hide the loads better; beyond 16 the code no longer fits the instruction cache, and takes long to
    compile.
    """
    return max(count for count in range(1, min(channels, 16) + 1) if channels % count == 0)


def stretches(length: int) -> int:
    """Programs that share the samples of one item in the weight gradients."""
    return max(1, -(-length // STRETCH))
