"""Processes that `torchrun` has started with one command, and how they come together.

`torchrun --nproc-per-node N -m pinnsolve run FILE` starts N processes of the same command on every machine. What a
launcher says of them stands in the environment; reading it needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinnsolve.processes.communicator import Group

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torch needs to bring processes together


def size() -> int:
    """How many processes a launcher has started; 1 without one."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in NEEDED) else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ["RANK"]) if size() > 1 else 0


def join(asked: Callable[[], bool], hear: Callable[[], None]) -> Group:
    """Wait for the other processes; `asked` and `hear`: see `Group`.

    What they tell each other goes by gloo between processors, and by nccl between cards, one for each process of a
    machine. Raises OthersLost where they do not come together.
    """
    import torch

    from pinnsolve.errors import OthersLost
    from pinnsolve.processes.communicator import PATIENCE, Group

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        torch.distributed.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise OthersLost(f"process {rank() + 1} of {size()} does not find the others: {error}") from None
    return Group(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), asked, hear)


def part() -> None:
    """Let the processes go, each its own way, once all of them have come here."""
    import torch

    with suppress(RuntimeError):  # one that has ended is not waited for
        torch.distributed.barrier()
    with suppress(RuntimeError):
        torch.distributed.destroy_process_group()
