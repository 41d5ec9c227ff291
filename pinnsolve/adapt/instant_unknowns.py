"""Unknowns without a derivative in time, such as pressures and drives, where they are not smooth at the start.

They follow at every time from the rates of the others. Where conditions at the start and later ones contradict each
other, if only in such a rate, they jump there or begin with an infinite slope, and slabs as short as their error asks
for never end. The others are far smoother: a march that asks for their errors alone comes through.
"""

from __future__ import annotations

from dataclasses import replace

from pinnsolve.adapt.context import Result, SolveContext
from pinnsolve.assembly.evolving import orders_along
from pinnsolve.solvers.follow import Outcome
from pinnsolve.spec.schema.solve import Tolerance

LEVELS = 5  # of a refinement of all of space and time at once, where a march knows the unknowns that evolve


def instant(context: SolveContext, axis: int) -> list[str]:
    """The unknowns without a derivative in time, of a problem with others."""
    names = [
        u for u, order in zip(context.problem.unknowns, orders_along(context.problem, axis), strict=True) if not order
    ]
    return names if len(names) < len(context.problem.unknowns) else []


def without_instant(context: SolveContext, axis: int) -> SolveContext | None:
    """The same solve in which only errors of unknowns that evolve count; None where there is no such choice."""
    problem = context.problem
    left = set(instant(context, axis))
    if not left or problem.counts or problem.complex_unknowns:
        return None
    tolerance = Tolerance({u: problem.settings.tolerance for u in problem.unknowns if u not in left})
    settings = problem.settings.model_copy(update={"tolerance": tolerance})
    return replace(context, problem=replace(problem, settings=settings))


def said(found: Outcome[Result], names: list[str], tolerance: float) -> Outcome[Result] | None:
    """The outcome of a march without the errors of these unknowns, with them; None where the others are not known."""
    best = found.best
    if best is None or best.estimate is None or not best.meets(tolerance):
        return None
    best = replace(best, estimate=replace(best.estimate, counts={}))
    listed, are = " and ".join(f"`{name}`" for name in names), "is" if len(names) == 1 else "are"
    others = ", ".join(f"{u}: {tolerance:g}" for u in best.estimate.relative if u not in names)
    message = (
        f"{listed}, without a derivative in time, {are} not smooth where the march begins, as where conditions at the "
        "start and later ones contradict each other in a rate; all else meets the tolerance. Change the start, or name "
        f"what is to meet it, as in `tolerance: {{{others}}}`"
    )
    return replace(found, best=best, status="stalled", message=message)
