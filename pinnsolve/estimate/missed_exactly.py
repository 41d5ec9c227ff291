"""Does what is asked for exactly hold to rounding at points that no solve has used?

On the faces of cells, polynomials meet what is a polynomial of their degree there; of anything else, all that they hold
is nearest to it, and between the points of the solve something is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.independent_look import Missed

EXACT = 1e-12  # share of what a residual is made of, beside its rounding, that is nothing


def missed_exactly(problem: CompiledProblem, looked: Sequence[Missed]) -> list[Missed]:
    """What is asked for exactly and missed, the worst first; `looked`: what is missed of anything."""
    exactly = {term.name for term in problem.terms if term.exactly}
    found = [one for one in looked if one.name in exactly and not one.share <= EXACT + one.rounding]
    return sorted(found, key=lambda one: one.share, reverse=True)


def inexact(problem: CompiledProblem, looked: Sequence[Missed]) -> Iterator[str]:
    """A sentence on every condition that does not hold exactly, though it should."""
    worst: dict[str, Missed] = {}
    for one in missed_exactly(problem, looked):
        worst.setdefault(one.name, one)
    for name, one in worst.items():
        place = ", ".join(f"{c} = {x:.3g}" for c, x in zip(problem.coordinates, one.place, strict=True))
        yield (
            f"`{name}` is to hold exactly, and is missed by {one.share:.1e} of what it is made of (most at {place}): "
            "its values are not those of a polynomial on a cell; a smaller solve.tolerance takes finer cells"
        )
