"""Memory and threads of a solve.

It takes one thread, so that its numbers are the same on every machine of a kind, however many there
are: factorizations and sums by several threads differ in their last digits. The counts before are restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs a block on one thread, in torch and in the libraries behind numpy and scipy: see above."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def bytes_available(memory_gb: float | None) -> float:
    """What may be taken: what the file says, or most of what is free."""
    return memory_available() if memory_gb is None else memory_gb * 1e9


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, of which torch has no type of its own on the processor."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


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
