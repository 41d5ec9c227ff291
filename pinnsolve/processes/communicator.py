"""Processes that divide the rows of a solve among themselves, and what they tell each other.

Every process takes the same steps with its share of the points of every term. What belongs to all rows is reduced: sums
of squares, gradients, triangles of factorizations. Whatever decides how a solve goes on is the same number everywhere,
bit by bit, since one process computes it and tells the others, or since all get the same sum. The processes meet in
every reduction, so all have to come to the same ones in the same order; an error of one alone ends all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as group

from pinnsolve.errors import OthersLost

T = TypeVar("T")
# how long a process may wait for another: longer than any of them computes alone. One that ends is noticed at once, by
# its connections, which the system closes; only a machine that loses its power is noticed as late as that.
PATIENCE = timedelta(minutes=20)
GO_ON = "what it had computed is kept; the same command with --resume goes on from there, with any number of processes"


class Communicator:
    """What the processes of a solve tell each other; this one is alone, and tells itself.

    `rank`: the number of this process among `size`, from 0; `here`: how many are on this machine, which share its
    memory.
    """

    rank, size, here = 0, 1, 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, speaks and decides for all."""
        return self.rank == 0

    def sharing(self, device: torch.device) -> int:
        """How many processes share the memory of a device: those of this machine, or of its cards."""
        return self.here if device.type != "cuda" else -(-self.here // torch.cuda.device_count())

    def own(self, count: int) -> slice | None:
        """Which of `count` points belong to this process; None for all."""
        return None

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits everywhere."""
        return values

    def total(self, value: float) -> float:
        """The sum of a number over all processes."""
        return value

    def any(self, flag: bool) -> bool:
        """Whether it holds in any process."""
        return flag

    def all(self, flag: bool) -> bool:
        """Whether it holds in every process."""
        return not self.any(not flag)

    def told(self, value: T) -> T:
        """What the first process has, whatever the others have."""
        return value

    def told_all(self, value: T) -> list[T]:
        """What every process has, in their order."""
        return [value]

    def at_first(self, work: Callable[[], Any]) -> Any:
        """What `work` gives in the first process, told to the others."""
        return work()

    def handed_up(self, value: Tensor, merged: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The values (rows, n) of all processes, merged two by two along a binary tree; of use in the first process
        alone. The numbers of rows may differ."""
        return value

    def gathered(self, value: Tensor) -> list[Tensor]:
        """The values (rows, n) of all processes, in their order; the numbers of rows may differ."""
        return [value]

    def check(self) -> None:
        """Ends a computation in all processes at the same place, by KeyboardInterrupt, once one of them is asked to."""

    def abandon(self, reason: str) -> None:
        """Called where this process alone has failed, in a way that a solve by itself survives.

        Raises OthersLost where there are others: these are elsewhere, and wait.
        """


ALONE = Communicator()


class Group(Communicator):
    """The processes of torch's default group, which has to be there.

    `asked`: whether this one is asked to end; `hear`: is called once all of them do.
    """

    def __init__(
        self, here: int = 1, asked: Callable[[], bool] = lambda: False, hear: Callable[[], None] = lambda: None
    ):
        self.rank, self.size, self.here = group.get_rank(), group.get_world_size(), here
        self._asked, self._hear, self._heard = asked, hear, False

    def own(self, count: int) -> slice:
        """Every `size`-th point, so that any part of the domain is shared by all."""
        return slice(self.rank, None, self.size)

    def summed(self, values: Tensor) -> Tensor:
        values = values.detach().clone(memory_format=torch.contiguous_format)
        self._tell(group.all_reduce, values)
        return values

    def total(self, value: float) -> float:
        return float(self.summed(torch.tensor([value], dtype=torch.float64)))

    def any(self, flag: bool) -> bool:
        found = torch.tensor([float(flag)])
        self._tell(group.all_reduce, found, group.ReduceOp.MAX)
        return bool(found)

    def told(self, value: T) -> T:
        """By pickle: the processes are those of one command. Tensors in it belong on the processor."""
        box = [value]
        self._tell(group.broadcast_object_list, box, 0)
        return box[0]

    def told_all(self, value: T) -> list[T]:
        boxes: list[Any] = [None] * self.size
        self._tell(group.all_gather_object, boxes, value)
        return boxes

    def at_first(self, work: Callable[[], Any]) -> Any:
        return self.told(work() if self.first else None)

    def handed_up(self, value: Tensor, merged: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        step = 1
        while step < self.size:
            if self.rank % (2 * step):
                self._send(value, self.rank - step)
                break
            if self.rank + step < self.size:
                value = merged(value, self._received(value, self.rank + step))
            step *= 2
        return value

    def _send(self, value: Tensor, to: int) -> None:
        self._tell(group.send, torch.tensor([len(value)], device=value.device), to)
        self._tell(group.send, value.detach().contiguous(), to)

    def _received(self, like: Tensor, source: int) -> Tensor:
        count = torch.zeros(1, dtype=torch.long, device=like.device)
        self._tell(group.recv, count, source)
        value = like.new_empty(int(count), *like.shape[1:])
        self._tell(group.recv, value, source)
        return value

    def gathered(self, value: Tensor) -> list[Tensor]:
        counts = self.told_all(len(value))
        found = []
        for rank, count in enumerate(counts):
            one = value.detach().contiguous() if rank == self.rank else value.new_empty(count, *value.shape[1:])
            self._tell(group.broadcast, one, rank)
            found.append(one)
        return found

    def check(self) -> None:
        if self.any(self._asked()) and not self._heard:
            self._heard = True
            self._hear()
            raise KeyboardInterrupt

    def abandon(self, reason: str) -> None:
        raise OthersLost(f"process {self.rank + 1} of {self.size} cannot go on: {reason}")

    def _tell(self, how: Callable, *what: Any) -> None:
        """A call of torch's group. Raises OthersLost where another process does not answer any more."""
        try:
            how(*what)
        except RuntimeError as error:  # of gloo and nccl alike, in words that are theirs
            raise OthersLost(
                f"process {self.rank + 1} of {self.size}: another process has ended, so this one does, too; {GO_ON}"
            ) from error
