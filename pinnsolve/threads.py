"""How many threads a solve takes: one while its matrices are small, where waiting for each other costs more than
the arithmetic, all of them for large ones. The counts before are restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

SMALL = 1000  # coefficients up to which one thread is as fast as two


@contextmanager
def threads_for(columns: int) -> Iterator[None]:
    """Runs a block that solves for that many coefficients, in torch and in the libraries behind numpy and scipy."""
    if columns > SMALL:
        yield
        return
    count = 1
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)
