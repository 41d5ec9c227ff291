"""Pieces of work that a process shares with a copy of itself.

Input: a function of the number of a piece. Output: what it gives for each. A copy has everything that was imported, and
starts at once. Only Linux makes copies that are safe, and with one processor they would gain nothing.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from typing import TypeVar

from pinnsolve.process import processors

T = TypeVar("T")
MOST = 256  # pieces: the number of one is a byte


def in_order(work: Callable[[int], T], count: int) -> list[T]:
    """work(0), ..., work(count - 1), one after the other."""
    return [work(number) for number in range(count)]


def in_two(work: Callable[[int], T], count: int) -> list[T]:
    """The same, by this process and a copy of it, each of which takes the next piece when it is done with one.

    For a process of one thread that owns its standard streams: the copy closes them, so that nobody waits for it there.
    What a copy leaves undone because it was ended is done here.
    """
    if sys.platform != "linux" or processors() < 2 or not 1 < count <= MOST:
        return in_order(work, count)
    pieces, given = os.pipe()
    os.write(given, bytes(reversed(range(count))))  # a film comes last and takes longest
    os.close(given)
    answer, answered = os.pipe()
    copy = os.fork()
    if copy == 0:
        _answer_and_end(work, pieces, answered)
    os.close(answered)
    done = _taken(work, pieces)
    with open(answer, "rb") as stream:
        said = stream.read()
    os.waitpid(copy, 0)
    os.close(pieces)
    if said:
        done |= pickle.loads(said)
    return [done[number] if number in done else work(number) for number in range(count)]


def _taken(work: Callable[[int], T], pieces: int) -> dict[int, T]:
    """What became of the pieces that were taken from a pipe until it was empty, by their numbers."""
    done = {}
    while taken := os.read(pieces, 1):
        done[taken[0]] = work(taken[0])
    return done


def _answer_and_end(work: Callable[[int], T], pieces: int, answered: int) -> None:
    """What the copy does: it writes all at once at its end, and leaves nothing of the process to be ended twice."""
    try:
        for stream in (0, 1):
            os.close(stream)
        said = pickle.dumps(_taken(work, pieces))
        with open(answered, "wb") as stream:
            stream.write(said)
    finally:
        os._exit(0)
