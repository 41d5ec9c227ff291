"""Where Newton's method starts when zero leads nowhere: functions that meet the linear conditions, and others near.

Zero may lie outside of the domain of a root, a logarithm or a quotient, or be a stationary point (u**2 = 1 + x, where
the derivative by u vanishes). The smoothest function that meets the conditions is tried, the same one bent to either
side, and the same one moved up and down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.assembly.integrals import Integrals
from pinnsolve.assembly.regularization import RegularizationRows
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import highest_orders, term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.runtime import go_on
from pinnsolve.solvers.gauss_newton import Iterate, Iteration, gauss_newton
from pinnsolve.solvers.stationary import unsolved_terms

SMOOTH = 1e-4  # weight of second derivatives beside the conditions
CLOSE = 1e-6  # relative, to which a first guess is solved for
MOST_TRIED = 6000  # coefficients up to which further starts are affordable
CONSTANTS = (1.3, -1.3, 4.0, -4.0)  # no whole numbers near zero, where polynomials are often stationary
APART = 0.4  # factor between the constants of one unknown and the next
DIFFERENT = 1e-2  # rms distance, relative to their size, of solutions that are not the same
HOLDS = 1e-4  # residual relative to its parts, of an equation that holds as well as a first space lets it
FAR_BETTER = 1e-3  # ratio of losses
NOTHING = 1e-10  # rms of a solution that is zero
SURELY_ONE = 2  # other starts that lead to where the first one did: all others would, too


@dataclass(frozen=True)
class FirstGuesses:
    """The starts of a problem on one space; `weights`: the file's epsilon_k by term."""

    problem: CompiledProblem
    space: Space
    weights: Mapping[str, float]
    check: Callable[[], None] = go_on

    def interpolated(self, bend: float = 0.0) -> Tensor:
        """(C, U, n): the function with the smallest second derivatives that meets the linear conditions.

        With `bend`, its second derivatives are near those of a paraboloid of that height instead.
        """
        problem, space, U = self.problem, self.space, len(self.problem.unknowns)
        held = tuple(term for term in problem.terms if term.kind == "condition" and term.linear)
        sources = [
            *term_rows(replace(problem, terms=held), space, self.weights),
            *continuity_rows(space, problem.coordinates, highest_orders(problem)),
            *[RegularizationRows("smoothness", space, u, U, 2, SMOOTH) for u in range(U)],
        ]
        integrals = Integrals(problem, space) if any(term.integrals for term in held) else None
        system = CellSystem(space, sources, U, True, self.check, integrals)
        zero = State(system.zero(), torch.zeros(0, dtype=torch.float64))
        if bend:
            bent = replace(zero, coefficients=self._bent(bend))
            kinds = [source.kind for source in sources]
            rows = system.rows(bent, matrix=False)
            aims = [b.r * (k == "regularization") for b, k in zip(rows, kinds, strict=True)]
            system = system.less(aims)
        return gauss_newton(system, zero, Iteration(CLOSE, strict=False)).state.coefficients

    def _bent(self, height: float) -> Tensor:
        low, high = self.space.cells.box

        def paraboloid(x: Tensor) -> Tensor:
            values = -4.0 * height * (((x - low) / (high - low)) ** 2).sum(dim=1)
            return values.expand(len(self.problem.unknowns), -1)

        return self.space.project(paraboloid, len(self.problem.unknowns))

    def moved(self, c: Tensor, by: float) -> Tensor:
        """(C, U, n): a function plus a constant, a smaller one for every further unknown: where unknowns are alike,
        equations that are symmetric in them are often stationary."""
        shares = torch.tensor([APART**u for u in range(c.shape[1])], dtype=c.dtype)
        one = self.space.project(lambda x: shares[:, None].expand(-1, len(x)), c.shape[1])
        return c + by * one

    def starts(self) -> Iterator[Tensor]:
        """(C, U, n) each, the likeliest first."""
        plain = self.interpolated()
        size = float(self.space.rms(plain).max())
        unit = size if size > NOTHING else 1.0
        conditions = any(term.kind == "condition" for term in self.problem.terms)
        if size > NOTHING:
            yield plain
        if conditions:
            yield self.interpolated(unit)
        for by in CONSTANTS:
            yield self.moved(plain, by * unit)
        if conditions:
            yield self.interpolated(-unit)


def solves(found: Iterate) -> bool:
    """Whether Newton's method converged, and to a solution."""
    return found.converged and not unsolved_terms(found.system, found.state, found.rows)


def from_other_starts(guesses: FirstGuesses, system: CellSystem, how: Iteration, first: Iterate) -> Iterate | None:
    """The first solution that one of the other starts leads to; None where none does, or where they lead to where the
    `first` one did, which is as near to a solution then as this space allows.

    A start that was found this way is mirrored, which shows a second solution where signs are free.
    """
    same = 0
    for start in guesses.starts():
        found = _newton(system, start, how)
        same += first.converged and found.converged and not differ(system, first, found)
        if same == SURELY_ONE:
            return None
        if solves(found):
            mirrored = 2.0 * guesses.interpolated() - found.state.coefficients
            other = _newton(system, mirrored, how)
            return replace(found, doubts=(several(),)) if solves(other) and differ(system, found, other) else found
    return None


def nearer_to_conditions(guesses: FirstGuesses, system: CellSystem, found: Iterate, how: Iteration) -> Iterate:
    """A solution from zero, or the one from the smoothest function that meets the conditions, if that is far better.

    Where an equation has several branches, zero may lead to one that the conditions do not allow, or to functions that
    change between them. On a line, where this costs little.
    """
    terms = [source for source in found.system.sources if isinstance(source, CellTerm)]
    if max((term.imbalance(found.state) for term in terms), default=0.0) <= HOLDS:
        return found
    other = _newton(system, guesses.interpolated(), how)
    return other if other.loss < FAR_BETTER * found.loss else found


def doubts_of_zero(problem: CompiledProblem, system: CellSystem, found: Iterate) -> tuple[str, ...]:
    """What is to be said of a solution that is zero everywhere, or is not though zero solves the problem, too."""
    names = ", ".join(problem.unknowns)
    if float(system.space.rms(found.state.coefficients).max()) < NOTHING:
        return (
            f"{names} = 0 solves this problem, which is nonlinear and may have other solutions; to find one of these, "
            "state a `guess` near it",
        )
    nothing = system.loss(State(system.zero(), found.state.parameters))
    if nothing < NOTHING**2:
        return (f"{names} = 0 solves this problem, too; state a `guess` near the solution that is meant",)
    return ()


def several() -> str:
    """What is to be said where two starts lead to two solutions."""
    return (
        "there is more than one solution: another start led to another one; state a `guess` near the one that is "
        "meant, unless it is this one"
    )


def _newton(system: CellSystem, start: Tensor, how: Iteration) -> Iterate:
    state = State(start, torch.zeros(0, dtype=start.dtype))
    return gauss_newton(system.scaled_at(state), state, replace(how, strict=False))


def differ(system: CellSystem, one: Iterate, other: Iterate) -> bool:
    """Whether two solutions are not the same."""
    a, b = one.state.coefficients, other.state.coefficients
    return bool((system.space.rms(a - b) > DIFFERENT * system.space.rms(a)).any())
