"""How many threads a solve takes: one while its matrices are small, where waiting for each other costs more than
the arithmetic, all of them for large ones. The counts before are restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Runs a block with `count` threads in torch and in the libraries behind numpy and scipy; None changes nothing."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)
