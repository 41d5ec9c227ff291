"""Threads of a solve: pieces that do not depend on each other, side by side, with the same numbers as one by one.

Libraries take one thread each: factorizations and sums by several differ in their last digits, and numbers are to be
the same on every machine of a kind, however many processors it has. Work is divided here instead, in pieces that
depend on its size alone, each of which is done as if it were the only one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")
PARTS = 4  # of many equal pieces: more than threads, so that none of these waits for long
FAST = 10.0  # multiplications in the time in which a number is read
WHOLE = slice(None)
WORTH = 2**19  # numbers that are read; to hand on less takes as long as to do it

_helpers: ThreadPoolExecutor | None = None  # of the solve that runs, where it may have more than one thread
_count, _whose = 0, 0  # how many they are; the thread of that solve
_busy = False  # whether it does one of several tasks, whose own are done one by one


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Runs a block with libraries on one thread, in torch and behind numpy and scipy, and with as many threads side by
    side as torch took before. The counts before are restored."""
    global _helpers, _count, _whose
    if _whose:  # within another one
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1), ThreadPoolExecutor(max(before - 1, 1), "side by side", _prepare) as helpers:
            _helpers, _count, _whose = helpers, before - 1, threading.get_ident()
            yield
    finally:
        _helpers, _count, _whose = None, 0, 0
        torch.set_num_threads(before)


def _prepare() -> None:
    torch.set_num_threads(1)  # libraries keep a count for every thread


def side_by_side(tasks: Sequence[Callable[[], T]], numbers: float = math.inf) -> list[T]:
    """What tasks return that read so many `numbers` together, in their order. None may need what another one does. The
    first error there is, is raised when no task runs any more."""
    global _busy
    few = len(tasks) < 2 or numbers < WORTH
    if _helpers is None or not _count or few or _whose != threading.get_ident() or _busy or _elsewhere():
        return [task() for task in tasks]
    results: list = [None] * len(tasks)
    left, lock, gradients = iter(range(len(tasks))), threading.Lock(), torch.is_grad_enabled()

    def take() -> None:
        nonlocal left
        try:
            with torch.set_grad_enabled(gradients):
                while True:
                    with lock:
                        number = next(left, None)
                    if number is None:
                        return
                    results[number] = tasks[number]()
        except BaseException:
            with lock:
                left = iter(())  # nobody begins another one
            raise

    others = [_helpers.submit(take) for _ in range(min(_count, len(tasks) - 1))]
    _busy = True
    try:
        take()
    finally:
        wait(others)  # they write into what may be given up
        _busy = False
    for other in others:
        other.result()
    return results


def all_at_each(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The same of tasks that have pieces of their own: what is left when every thread has done as many as the others is
    done one by one, each by all threads."""
    even = len(tasks) - len(tasks) % (_count + 1)
    return [*side_by_side(tasks[:even]), *(task() for task in tasks[even:])]


def _elsewhere() -> bool:
    """Whether tensors are made on a card, which has threads of its own; it is told to one thread alone."""
    return torch.get_default_device().type != "cpu"


def parts(count: int, numbers: float) -> list[slice]:
    """Parts of `count` equal pieces that read so many `numbers` together."""
    if numbers < WORTH:
        return [WHOLE]
    ends = [count * k // PARTS for k in range(PARTS + 1)]
    return [slice(first, last) for first, last in pairwise(ends) if last > first]


def few_at_a_time(work: Callable[[slice], None], count: int, few: int, numbers: float) -> None:
    """Does `work` for these parts, of each for so few pieces after others, which stay in the cache."""

    def some(part: slice) -> None:
        first, end, _ = part.indices(count)
        for k in range(first, end, few):
            work(slice(k, min(k + few, end)))

    in_parts(some, count, numbers)


def in_parts(work: Callable[[slice], T], count: int, numbers: float) -> list[T]:
    """What `work` returns for each of these parts."""
    return side_by_side([partial(work, some) for some in parts(count, numbers)])
