"""Memory and devices of a solve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def go_on() -> None:
    """Lets a computation go on; the default of what may end it by an exception."""


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Within it, tensors that say nothing of a device are made on this one.

    Functions on cells are made from numbers, orders and counts in many places; none of these names a device.
    """
    if device.type == "cpu":
        yield
        return
    with device:
        yield


def cached_by_device(most: int | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keeps what a function of values returns, at most so many results, for each device on which tensors are made."""

    def kept(function: Callable[P, T]) -> Callable[P, T]:
        @lru_cache(most)
        def made(device: torch.device, *arguments: Any, **named: Any) -> T:
            return function(*arguments, **named)

        @wraps(function)
        def found(*arguments: P.args, **named: P.kwargs) -> T:
            return made(torch.get_default_device(), *arguments, **named)  # type: ignore[arg-type]

        found.cache_clear = made.cache_clear  # type: ignore[attr-defined]
        return found

    return kept


def random_tensor(make: Callable[..., torch.Tensor], *shape: Any, **named: Any) -> torch.Tensor:
    """Random numbers of torch's `make`, by a generator of the processor: the same on every device."""
    return make(*shape, **named, device="cpu").to(torch.get_default_device())


def bytes_available(memory_gb: float | None, device: torch.device | None = None) -> float:
    """What may be taken: what the file says, or most of what is free where tensors are made, or on a device."""
    return memory_available(device) if memory_gb is None else memory_gb * 1e9


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, of which torch has no type of its own on the processor."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def memory_available(device: torch.device | None = None) -> float:
    """Bytes that may be taken: three quarters of what the card or the machine has free, or 4 GB where it does not
    say."""
    if (device := device or torch.get_default_device()).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return 0.75 * free
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 0.75 * 1024 * float(line.split()[1])
    except OSError:
        pass
    return 4e9
