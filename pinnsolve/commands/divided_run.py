"""`pinnsolve run` in several processes: all of them solve, each with its share of the rows, and the first one speaks.

Input: what `torchrun` started. Output: the processes that take part, which agree on the problem and on where to go on
from. A problem that is not solved by dense rows is solved by the first process alone, and the others leave at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pinnsolve.compiler.applicability import comes_on_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import OthersLost, PinnsolveError, SaidElsewhere
from pinnsolve.process import Interrupts
from pinnsolve.processes import launch

if TYPE_CHECKING:
    from pinnsolve.problem.problem import Problem
    from pinnsolve.processes.communicator import Communicator

T = TypeVar("T")
NOT_DIVIDED = "polynomials on cells are not divided among processes; a `solve.basis` asks for a network, whose rows are"
OTHERS = "an error in another process, which says what it is"


def begin(interrupts: Interrupts) -> Communicator | None:
    """All processes of this command; None where there is this one alone, which need not load torch yet."""
    return launch.join(interrupts.asked, interrupts.hear) if launch.size() > 1 else None


def agreed(among: Communicator | None, work: Callable[[], T]) -> T:
    """What `work` gives, once it has gone well in all processes.

    Raises what it raised; of several processes with an error, the first alone, and SaidElsewhere in all others.
    """
    if among is None or among.size == 1:
        return work()
    found, error = None, None
    try:
        found = work()
    except (PinnsolveError, OSError) as raised:
        error = raised
    failed = [rank for rank, bad in enumerate(among.told_all(error is not None)) if bad]
    if not failed:
        return found  # type: ignore[return-value]
    if among.rank == failed[0] and error is not None:
        raise error
    raise SaidElsewhere(OTHERS)


def dividing(problem: Problem, code: str, among: Communicator, interrupts: Interrupts) -> tuple[Communicator, str]:
    """The processes that solve a problem, and a sentence where it is the first alone.

    `code`: of operators. Raises PinnsolveError where processes have read different problems.
    """
    from pinnsolve.processes.communicator import ALONE
    from pinnsolve.results.run_folders import key_of

    if len(set(among.told_all(key_of(problem, code)))) > 1:
        message = "the processes have read different problems: the files or versions of their machines are not the same"
        raise PinnsolveError(message) if among.first else SaidElsewhere(message)
    reason = why_not_divided(problem)
    if reason is None:
        return among, ""
    launch.part()
    interrupts.alone()
    if interrupts.asked():
        raise KeyboardInterrupt
    left = among.size - 1
    sentence = f"{reason}; one process solves, and the other{'s' if left > 1 else ''} of {among.size} left"
    return (ALONE if among.first else among), sentence


def why_not_divided(problem: Problem) -> str | None:
    """The reason, in words, why a problem is not solved by rows that processes divide, or None: only those of functions
    of the whole domain are."""
    if problem.ranges:
        return "members of parameters with ranges are not divided"
    return NOT_DIVIDED if comes_on_cells(problem.settings, compile_problem(problem)) else None


def take_part(problem: Problem, among: Communicator) -> None:
    """Solve with the first process, which writes and speaks. Raises OthersLost where that is gone."""
    from pinnsolve import pipeline
    from pinnsolve.solvers.journal import Journal

    agreed(among, lambda: None)  # the first has a folder to write to
    start = among.told(None)
    journal = Journal(among.told(()))
    try:
        pipeline.solve(problem, start=start, journal=journal, among=among)
        launch.part()
    except OthersLost:
        raise
    except PinnsolveError as error:  # as in the first process
        raise SaidElsewhere(OTHERS) from error
