"""Which entries of a manifest are used, by the durations that they state."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from nam_like.data.base import DataError
from nam_like.data.manifest.lines import ManifestEntry

__all__ = ["select_entries"]

LOGGER = logging.getLogger(__name__)


def select_entries(
    entries: Sequence[ManifestEntry],
    *,
    min_duration: float | None = None,
    max_duration: float | None = None,
    max_utts: int = 0,
) -> list[ManifestEntry]:
    """Return the entries whose duration is within the limits, and log how many there are and are not.

    Args:
        entries: of all manifests, in order.
        min_duration: the shortest duration kept (s), inclusive; None has no limit.
        max_duration: the longest duration kept (s), inclusive; None has no limit.
        max_utts: stop after so many have been kept; 0 keeps all.

    Raises:
        DataError: none is left.
    """
    kept: list[ManifestEntry] = []
    dropped: list[float] = []
    for entry in entries:
        if max_utts and len(kept) == max_utts:
            break
        too_short = min_duration is not None and entry.duration < min_duration
        too_long = max_duration is not None and entry.duration > max_duration
        if too_short or too_long:
            dropped.append(entry.duration)
        else:
            kept.append(entry)
    if not kept:
        raise DataError(_nothing_left(dropped, min_duration, max_duration))
    LOGGER.info("used of the manifests: %s", _amount([entry.duration for entry in kept]))
    if dropped:
        LOGGER.info("left out by min_duration or max_duration: %s", _amount(dropped))
    return kept


def _amount(durations: Sequence[float]) -> str:
    """``"1362 lines (2.31 h)"``."""
    seconds, count = sum(durations), len(durations)
    length = f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds:.1f} s"
    return f"{count} {'line' if count == 1 else 'lines'} ({length})"


def _nothing_left(dropped: Sequence[float], min_duration: float | None, max_duration: float | None) -> str:
    if not dropped:
        return "expected at least one entry in the manifests, but got only blank lines"
    limits = [
        f"`{name}` {limit:g} s"
        for name, limit in (("min_duration", min_duration), ("max_duration", max_duration))
        if limit is not None
    ]
    return (
        f"expected entries within {' and '.join(limits)}, but got {len(dropped)} of {min(dropped):g} s to "
        f"{max(dropped):g} s"
    )
