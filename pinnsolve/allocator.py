"""The C library's allocator, told to keep freed memory.

glibc hands every large block back to the system and asks for it again, zeroed page by page: a third of the time of
large factorizations. Called by the command line alone, since it is a matter of the whole process.
"""

from __future__ import annotations

import ctypes
import sys

MAPPED_BLOCKS, TRIM = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Whether the allocator took the settings; others than that of glibc have none."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(MAPPED_BLOCKS, 0)) and bool(mallopt(TRIM, MOST))
