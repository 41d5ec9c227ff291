"""Do residuals at fresh points contradict a level that meets its tolerance? Asked while it may still be refined.

Where a solution has infinite derivatives, the first cells may hold it to the tolerance in the mean and still miss what
passes through them by far. Finer cells mend that; what no function solves they do not mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.adapt.verdict import contradicting
from pinnsolve.estimate.independent_look import Look
from pinnsolve.estimate.integrals import with_integrals
from pinnsolve.estimate.jumps import all_missed
from pinnsolve.estimate.missed_exactly import missed_exactly

POINTS = 1000  # fresh ones, of every term
FALLS = 0.5  # of what was missed is the most that a finer level may miss, if still finer ones are to help
MOST = 4  # levels that are looked at


def share_missed(context: SolveContext, result: Result, tolerance: float) -> float:
    """The largest share that the result misses of an equation, a condition or its continuity, where that contradicts
    its estimate, or what is to hold exactly; else 0."""
    context = replace(context, term_weights={term.name: 1.0 for term in context.problem.terms})
    result = replace(result, approximation=with_integrals(context.problem, result.approximation))
    look = Look(context.problem, result.approximation, context.check_points())
    looked = all_missed(look, context.check_assembly(POINTS, 2))
    missed = contradicting(context.problem, result, looked, tolerance) or missed_exactly(context.problem, looked)
    return missed[0].share if missed else 0.0


def is_in_vain(missed: Sequence[float]) -> bool:
    """Whether finer levels will miss as much; `missed`: by those that met the tolerance, one after another."""
    if len(missed) < 2:
        return False
    return len(missed) >= MOST or not missed[-1] <= FALLS * missed[-2]
