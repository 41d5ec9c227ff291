"""Processes of this machine, or of a Dask cluster, in which many solves run side by side.

Input: tasks, and a function of a module that solves one. Output: its results, in the order in which they are done. A
process is an interpreter of its own that reads tasks from a pipe and imports the solver once. It knows nothing of the
program that started it, which may be a script without a guard or a notebook. A process that dies takes one task with
it, and this one is given to another process, a few times at most.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any, TypeVar

from pinnsolve.errors import PinnsolveError
from pinnsolve.process import THREADS, WAITING, keep_freed_memory, processors

Task = TypeVar("Task")
Result = TypeVar("Result")
MOST_TRIES = 3  # of a task whose process ended
ENDED = "its process ended without a word, as it does when the machine runs out of memory"
CARDS = Path("/proc/driver/nvidia/gpus")  # where Linux lists them
LENGTH = struct.Struct("<Q")  # of a message, before it
# the parent alone is interrupted; what libraries print must not come between the results
START = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from {__name__} import serve; serve()"


def cards() -> list[str]:
    """The names of the NVIDIA cards that this process may use; looking for them takes no library."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(sorted(CARDS.iterdir()))] if CARDS.is_dir() else []


class Processes:
    """Up to so many processes that apply a `work` to tasks; they start when they are needed, and once.

    Use it as `with Processes(2, solve_member) as processes`: the processes end with the block.
    """

    def __init__(self, count: int, work: Callable[[Task], Result]):
        self.count, self.work = count, work
        self._running: list[subprocess.Popen] = []
        self._started_so_far = 0
        self._own = threading.local()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *ended: object) -> None:
        """Without waiting for tasks that are being worked on."""
        with self._lock:
            running, self._running = self._running, []
        for process in running:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in running:
            process.wait()

    def results(self, tasks: Sequence[Task], lost: Callable[[Task, str], Result]) -> Iterator[Result]:
        """The results of all tasks; `lost` makes that of one whose processes died."""
        waiting = [(task, 1) for task in reversed(tasks)]  # each with the number of its next try
        running: dict[Future, tuple[Task, int]] = {}
        while waiting or running:
            while waiting and len(running) < self.count:
                task, tried = waiting.pop()
                running[self._threads.submit(self._answer, task)] = task, tried
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task, tried = running.pop(future)
                try:
                    result = future.result()
                except (EOFError, OSError):
                    if tried < MOST_TRIES:
                        waiting.append((task, tried + 1))
                        continue
                    result = lost(task, ENDED)
                yield result

    def _answer(self, task: Any) -> Any:
        """What the process of this thread makes of a task. Raises `EOFError` or `OSError` where it died."""
        process = getattr(self._own, "process", None)
        try:
            if process is None:
                process = self._own.process = self._started()
            send(process.stdin, task)
            found = receive(process.stdout)
        except (EOFError, OSError):
            self._own.process = None
            if process is not None:
                process.kill()
            raise
        if isinstance(found, BaseException):
            raise found
        return found

    def _started(self) -> subprocess.Popen:
        """A process that has been told what its work is."""
        share = str(max(1, processors() // self.count))
        environment = {**WAITING, **dict.fromkeys(THREADS, share), **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        with self._lock:
            number, self._started_so_far = self._started_so_far, self._started_so_far + 1
        if there := cards():  # one member a card, as long as there are enough of them
            environment["CUDA_VISIBLE_DEVICES"] = there[number % len(there)]
        process = subprocess.Popen(
            [sys.executable, "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        with self._lock:
            self._running.append(process)
        send(process.stdin, self.work)
        return process


def in_processes(
    tasks: Sequence[Task], workers: int, work: Callable[[Task], Result], lost: Callable[[Task, str], Result]
) -> Iterator[Result]:
    """Results of tasks from so many processes."""
    with Processes(workers, work) as processes:
        yield from processes.results(tasks, lost)


# -- what is said through the pipes -----------------------------------------------------------------------------------


def send(pipe: IO[bytes] | None, message: Any) -> None:
    """Write a message and its length."""
    assert pipe is not None
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> Any:
    """Read a message. Raises `EOFError` where there is none any more."""
    assert pipe is not None
    head = pipe.read(LENGTH.size)
    data = pipe.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
    if len(head) < LENGTH.size or len(data) < LENGTH.unpack(head)[0]:
        raise EOFError
    return pickle.loads(data)


def serve() -> None:
    """The life of a process: it gets a function, then tasks, until the pipe is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed goes to where errors go
    keep_freed_memory()
    try:
        work = receive(sys.stdin.buffer)
        while True:
            task = receive(sys.stdin.buffer)
            try:
                answer = work(task)
            except Exception as error:  # the parent raises it
                answer = PinnsolveError(f"{type(error).__name__}: {error}")
            send(answers, answer)
    except (EOFError, OSError):  # the parent has ended, or wants no more
        os._exit(0)


# -- a cluster ---------------------------------------------------------------------------------------------------------


def on_cluster(
    tasks: Sequence[Task], address: str, work: Callable[[Task], Result], lost: Callable[[Task, str], Result]
) -> Iterator[Result]:
    """Results from the workers of a Dask scheduler, which see the folders of the sweep under the same names."""
    try:
        from dask.distributed import Client, as_completed
    except ImportError:
        raise PinnsolveError("a cluster needs Dask: pip install 'pinnsolve[cluster]'") from None
    try:
        client = Client(address, timeout="10s")
    except OSError:
        raise PinnsolveError(f"there is no Dask scheduler at {address}") from None
    with client:
        given = {client.submit(work, task, pure=False): task for task in tasks}
        for future in as_completed(given):
            try:
                yield future.result()
            except Exception as error:  # the scheduler gave up on a member, after tries of its own
                yield lost(given[future], f"{type(error).__name__}: {error}".splitlines()[0])
