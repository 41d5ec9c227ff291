"""Settings of the whole process: memory, garbage collection, a library loaded ahead, and signals that end a solve.

The command line alone calls these functions, because a program that imports pinnsolve has settings of its own.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}  # of the OpenMP libraries
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # how many such libraries take
# M_ARENA_MAX, M_MMAP_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
ARENAS, MAPPED_BLOCKS, MAPPED_SIZE, TRIM = -8, -4, -3, -1
LARGE_BLOCK = 2**20  # bytes
MOST = 2**31 - 1
TORCH = Path("lib", "libtorch_cpu.so")  # the library that takes longest to load
# modules written in C that reading a problem imports, in the standard library and beyond
READING = ("array", "bisect", "cmath", "csv", "decimal", "hashlib", "random", "unicodedata", "yaml", "pydantic_core")


def processors() -> int:
    """How many processors this process may use, which a scheduler or a container may hold below those there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Tell the allocator of the C library to keep freed memory, and say whether it took the settings.

    glibc hands every large block back to the system and asks for it again, zeroed page by page: a third of the time of
    large factorizations. All threads take from one store, since what others have of their own is given back, too. Other
    allocators have no such settings.
    """
    return _allocator_takes((ARENAS, 1), (MAPPED_BLOCKS, 0), (TRIM, MOST))


def return_freed_memory() -> bool:
    """Tell the allocator of the C library to hand every large block back once it is freed, and say whether it does.

    By itself glibc keeps blocks of up to 32 MB in one piece of memory with gaps, which grows beyond a limit that the
    blocks in use respect.
    """
    return _allocator_takes((MAPPED_SIZE, LARGE_BLOCK))


def _allocator_takes(*settings: tuple[int, int]) -> bool:
    """Whether the allocator of the C library takes these numbers for its parameters."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return all(bool(mallopt(parameter, value)) for parameter, value in settings)


def wait_passively() -> None:
    """Let threads sleep where they wait for each other, unless the person has said how they should.

    They spin by default, which takes the time of other processes: two runs at once on two cores took eight times as
    long. It counts for libraries that are loaded afterwards.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ.update(WAITING)


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

    `dlopen` is called as a C function, so that the thread does not hold Python's lock. It loads one library at a time:
    importing any other waits for it, so those that reading takes come first. Where there is no such library, nothing
    happens.
    """
    for name in READING:
        importlib.import_module(name)
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


ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
STOPPING = "stopping; the answer so far will be written\n"
STILL_STOPPING = "still stopping: the answer so far is being written\n"


# seconds after which a process ends itself where the others do not agree to end; less than launchers wait
UNHEARD = 20.0
ALONE_NOW = (
    "asked to end, and the other processes did not answer; what was computed is kept, and the same command with "
    "--resume goes on from there\n"
)


class Interrupts:
    """Ctrl-C, SIGTERM and SIGHUP end a solve by KeyboardInterrupt, once; later ones change nothing.

    Use it as `with Interrupts() as interrupts`. A thread answers every signal at once on standard error: the main one
    may be in the middle of a factorization. Outside of the main thread, signals stay as they are. Of `several`
    processes, none may end a step that the others take: signals are `asked` about by whoever lets all of them end at
    the same place, and says that they were `hear`d. Those that are not heard end this process after a while: the
    others may be gone.
    """

    def __init__(self, several: bool = False, speaks: bool = True):
        self._raises, self._several, self._speaks = True, several, speaks
        self._asked, self._heard = False, threading.Event()
        self._before: dict[int, Any] = {}

    def asked(self) -> bool:
        """Whether there was a signal that did not raise."""
        return self._asked

    def hear(self) -> None:
        """All processes end now."""
        self._heard.set()

    def alone(self) -> None:
        """From here on, this process is on its own: later signals raise at once."""
        self._several = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            # what a parent ignores, as nohup does for SIGHUP, stays ignored
            chosen = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._received) for number in chosen}
            self._out, self._in = os.pipe()
            os.set_blocking(self._in, False)
            self._woken = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
            threading.Thread(target=self._answer, args=(self._out, frozenset(chosen)), daemon=True).start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._before:
            signal.set_wakeup_fd(self._woken)
            os.close(self._in)  # which ends the thread
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self._several:
            self._asked = True
        elif self._raises:
            self._raises = False
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that signals do not end; after it, one ends what may be left out."""
        self._raises = False
        yield
        self._raises = True

    def _answer(self, signals: int, ending: frozenset[int]) -> None:
        """Say for each number that comes through a pipe that it has been heard."""
        sentence = STOPPING
        with open(signals, "rb", buffering=0) as numbers:
            while number := numbers.read(1):
                if number[0] not in ending:
                    continue
                if self._speaks:
                    _write_error(sentence)
                if self._several and sentence == STOPPING:
                    threading.Thread(target=self._end_unheard, daemon=True).start()
                sentence = STILL_STOPPING

    def _end_unheard(self) -> None:
        """End this process where no other agrees to end: its main thread may wait for one that is gone."""
        if not self._heard.wait(UNHEARD) and self._several:
            _write_error(ALONE_NOW)
            os._exit(128 + signal.SIGINT)


def _write_error(sentence: str) -> None:
    with suppress(OSError):  # a terminal that is gone
        os.write(2, sentence.encode())
