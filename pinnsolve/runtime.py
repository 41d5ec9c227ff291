"""How many threads a solve takes: one while its matrices are small, where waiting for each other costs more than
the arithmetic, all of them for large ones. The counts before are restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import threadpool_limits

SMALL = 1000  # coefficients up to which one thread is as fast as two


@cache
def _all() -> int:
    """What there is before anything is limited."""
    return torch.get_num_threads()


@contextmanager
def threads_for(columns: int) -> Iterator[None]:
    """Runs a block that solves for that many coefficients, in torch and in the libraries behind numpy and scipy.

    Within a block for few, one for many takes all threads again.
    """
    most = _all()
    count = most if columns > SMALL else 1
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)


def memory_available() -> float:
    """Bytes that may be taken: three quarters of what the machine has free, or 4 GB where it does not say."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 0.75 * 1024 * float(line.split()[1])
    except OSError:
        pass
    return 4e9
