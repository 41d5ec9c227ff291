"""Where the members of a sweep are solved: processes of this machine, or those of a Dask cluster.

Input: tasks. Output: rows, in the order in which they are done. A process that dies takes the members that it had in
hand with it, and these are given to others, a few times at most: no other member is lost.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pinnsolve.errors import PinnsolveError
from pinnsolve.sweeps.member import Task, failed, prepare_process, solve_member

MOST_TRIES = 3  # of a member whose process ended
AHEAD = 2  # members per process that are handed out: few are begun again where one ends


def in_processes(tasks: Sequence[Task], workers: int) -> Iterator[dict[str, Any]]:
    """Rows from so many processes, each with its share of the threads."""
    waiting, tries = list(reversed(tasks)), dict.fromkeys((task.number for task in tasks), 0)
    while waiting:
        pool = _pool(workers)
        running: dict[Future, Task] = {}
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * workers:
                    task = waiting.pop()
                    running[pool.submit(solve_member, task)] = task
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    row = future.result()
                    del running[future]
                    yield row
        except BrokenProcessPool:
            lost = list(running.values())
            for task in lost:
                tries[task.number] += 1
            for task in (t for t in lost if tries[t.number] >= MOST_TRIES):
                yield failed(task, "its process ended without a word, as it does when the machine runs out of memory")
            waiting += [task for task in reversed(lost) if tries[task.number] < MOST_TRIES]
        except BaseException:  # nobody takes further rows
            _stop(pool)
            raise
        pool.shutdown()


def _pool(workers: int) -> ProcessPoolExecutor:
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")  # a forked process would inherit locks of threads it does not have
    return ProcessPoolExecutor(workers, context, prepare_process, (threads,))


def _stop(pool: ProcessPoolExecutor) -> None:
    """Without waiting for members that are being solved."""
    for one in list((pool._processes or {}).values()):
        one.terminate()
    pool.shutdown(wait=False, cancel_futures=True)


def on_cluster(tasks: Sequence[Task], address: str) -> Iterator[dict[str, Any]]:
    """Rows from the workers of a Dask scheduler, which see the folders of the sweep under the same names."""
    try:
        from dask.distributed import Client, as_completed
    except ImportError:
        raise PinnsolveError("a cluster needs Dask: pip install 'pinnsolve[cluster]'") from None
    try:
        client = Client(address, timeout="10s")
    except OSError:
        raise PinnsolveError(f"there is no Dask scheduler at {address}") from None
    with client:
        given = {client.submit(solve_member, task, pure=False): task for task in tasks}
        for future in as_completed(given):
            try:
                yield future.result()
            except Exception as error:  # the scheduler gave up on a member, after tries of its own
                yield failed(given[future], f"{type(error).__name__}: {error}".splitlines()[0])
