"""Keep freed memory: a training step frees what the next one allocates.

The allocator of the GNU C library hands freed memory back to the system when there is much of it, and the
system hands it out again page by page, each filled with zeros.
"""

from __future__ import annotations

import ctypes
import logging
import sys

__all__ = ["keep_freed_memory"]

log = logging.getLogger(__name__)

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Free bytes at the end of the heap that are kept.
KEPT = 256 << 20
#: Larger pieces get pages of their own, which are handed back when they are freed; the library takes no more.
LARGEST = 32 << 20


def keep_freed_memory() -> bool:
    """Ask the C library for it, for the rest of the process.

    Returns:
        Whether it does; False where it is another library.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    done = bool(mallopt(_M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT))
    log.debug("freed memory is %s", "kept" if done else "handed back")
    return done
