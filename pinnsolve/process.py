"""Settings of the whole process: memory that is kept, a pause of garbage collection, a library loaded ahead.

The command line alone calls these functions, because a program that imports pinnsolve has settings of its own.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
import threading
from pathlib import Path

MAPPED_BLOCKS, TRIM = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
MOST = 2**31 - 1
TORCH = Path("lib", "libtorch_cpu.so")  # the library that takes longest to load


def keep_freed_memory() -> bool:
    """Tell the allocator of the C library to keep freed memory, and say whether it took the settings.

    glibc hands every large block back to the system and asks for it again, zeroed page by page: a third of the time of
    large factorizations. Other allocators have no such settings.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(MAPPED_BLOCKS, 0)) and bool(mallopt(TRIM, MOST))


def pause_garbage_collection() -> None:
    """Look for no garbage while modules are imported: among the objects of torch, sympy and matplotlib is none."""
    gc.disable()


def resume_garbage_collection() -> None:
    """Look for garbage again, but not among the objects that are there now. Without a pause, nothing changes."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def load_torch_ahead() -> None:
    """Load torch's largest library in a thread, while the problem file is read.

    `dlopen` is called as a C function, so that the thread does not hold Python's lock. An import that comes before the
    end waits for it. Where there is no such library, nothing happens.
    """
    found = importlib.util.find_spec("torch") if sys.platform == "linux" and "torch" not in sys.modules else None
    for folder in found.submodule_search_locations or () if found else ():
        path = os.fsencode(Path(folder, TORCH))
        threading.Thread(target=ctypes.CDLL(None).dlopen, args=(path, os.RTLD_NOW), daemon=True).start()


def leave(code: int) -> None:
    """End the process at once: taking torch and sympy apart, object by object, takes a quarter of a second."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # a pipe that nobody reads: Python's own way out says so
        return
    os._exit(code)
