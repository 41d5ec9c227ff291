"""A solution on cells, with the values of the integrals that its problem holds."""

from __future__ import annotations

from dataclasses import replace

from pinnsolve.assembly.integrals import Integrals
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation


def with_integrals(problem: CompiledProblem, solution: Approximation) -> Approximation:
    """The solution whose state says what the integrals are, so that residuals can be taken anywhere; itself without
    integrals."""
    if not problem.integrals or not isinstance(solution.basis, PouCells):
        return solution
    basis, state = solution.basis, solution.state
    orders = tuple(
        max((f.alpha[a] for one in problem.integrals for f, _ in one.by_features), default=0)
        for a in range(len(problem.coordinates))
    )
    space = Space(basis.space.cells, basis.space.degrees, orders)
    c = state.coefficients.reshape(len(problem.unknowns), space.cells.count, -1).transpose(0, 1)
    values = Integrals(problem, space).at(State(c, state.parameters)).integrals
    return Approximation(basis, replace(state, integrals=values))
