"""Whether a solution on cells is the only one: functions that nothing fixes, confirmed at fresh points and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pinnsolve.adapt.context import Freedom, SolveContext
from pinnsolve.adapt.hp_refinement import Level
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.independent_look import Look, looked_at
from pinnsolve.estimate.integrals import with_integrals
from pinnsolve.estimate.jumps import all_missed
from pinnsolve.estimate.null_functions import free_functions
from pinnsolve.estimate.quantities import measured_quantities

POINTS = 1000  # fresh ones, at which free functions are looked at
MISSED = 0.03  # of its parts, is the most that a free function may miss of an equation or condition
PRESENT = 1e-3  # of a function is what an unknown holds of it at least
CHANGED = 0.5  # of its tolerance, is the most by which a free function may change what is asked for
REMEDY = "state what fixes that, or, by solve.tolerance, what is asked for that does not depend on it"
UNSOLVED = 0.1  # of what is given, from which on it is not solved for
NO_SOLUTION = "there is no solution: the equations and conditions leave {what} free, and what is given contradicts that"
CONSTANT = 1e-4  # of its size may a constant vary


def freedom(context: SolveContext, level: Level, tolerance: float) -> Freedom:
    """What the equations and conditions, linearized at a corrected level, leave free beyond known constants."""
    problem, correction = context.problem, level.correction
    constants = torch.tensor([u in problem.undetermined_constants for u in problem.unknowns])
    functions = free_functions(correction.reduced, level.space, constants, tolerance)
    if not functions:
        return Freedom()
    here = correction.state.parameters
    around = with_integrals(problem, _approximation(context, correction.space, correction.state))
    found = [
        (c, one)
        for c in functions
        if _is_free(context, one := _approximation(context, correction.space, State(c, torch.zeros_like(here))), around)
    ]
    pure = (State(_without_held(level, c), torch.zeros_like(here)) for c, _ in found)
    blind = all(asked_is_blind(context, around, _approximation(context, correction.space, one)) for one in pure)
    freed = [one for _, one in found]
    if freed and not blind and _contradicts_what_is_given(context, around):
        return replace(_named(context, freed, False), sentence=NO_SOLUTION.format(what=_listed(context, freed)))
    return _named(context, freed, bool(found) and blind)


def _contradicts_what_is_given(context: SolveContext, solution: Approximation) -> bool:
    """Whether a solution of a linear problem leaves much of what is given, however large the free function in it is."""
    if not context.problem.linear or context.problem.integrals:
        return False
    context = replace(context, term_weights={term.name: 1.0 for term in context.problem.terms})
    nothing = replace(solution, state=replace(solution.state, coefficients=0.0 * solution.state.coefficients))
    check, x = context.check_assembly(POINTS, 3), context.check_points()
    left, given = ([one.share * one.size for one in looked_at(Look(context.problem, u, x), check)]
                   for u in (solution, nothing))  # fmt: skip
    return any(a > UNSOLVED * b > 0.0 for a, b in zip(left, given, strict=True))


def _approximation(context: SolveContext, space: Space, state: State) -> Approximation:
    basis = PouCells(space.cells, space.degrees, context.lower, context.upper)
    c = state.coefficients
    return Approximation(basis, State(c.transpose(0, 1).reshape(c.shape[1], -1), state.parameters))


def _is_free(context: SolveContext, function: Approximation, around: Approximation) -> bool:
    """Whether a function solves the linearized equations without anything given, at fresh points."""
    context = replace(context, term_weights={term.name: 1.0 for term in context.problem.terms})
    look = Look(context.problem, function, context.check_points(), around)
    return all(one.share <= MISSED for one in all_missed(look, context.check_assembly(POINTS, 3)))


def _without_held(level: Level, c: torch.Tensor) -> torch.Tensor:
    """A function (C, U, n) of the corrected level that is nearly free, without what the rows hold of it."""
    reduced = level.correction.reduced
    z = level.correction.space.orthonormal(c).flatten(1)
    return c + reduced.coefficients([replace(block, r=block.times(z)) for block in reduced.matrices])


def asked_is_blind(context: SolveContext, solution: Approximation, function: Approximation) -> bool:
    """Whether nothing that the file gives a tolerance of its own changes with a multiple of a function, as large as the
    solution is; False without such tolerances.

    The functions come from random ones by inverse iteration, so they are mixtures of all that are free: what none of
    them changes, no other does.
    """
    problem, x = context.problem, context.check_points()
    asked = {name: count for name, count in problem.counts.items() if count}
    if not asked:
        return False
    sizes, parts = (one.values(x).square().mean(dim=1).sqrt() for one in (solution, function))
    others = [number for number, name in enumerate(problem.unknowns) if name not in asked]
    larger = [float(sizes[i] / parts[i]) for i in others if float(parts[i]) > PRESENT * float(parts.max())]
    multiple = max(larger, default=1.0) or 1.0
    allowed = {name: CHANGED * float(problem.settings.tolerance) / count for name, count in asked.items()}
    for number, name in enumerate(problem.unknowns):
        if name in asked and not multiple * float(parts[number]) <= allowed[name] * float(sizes[number]):
            return False
    c = solution.state.coefficients + multiple * function.state.coefficients
    moved = Approximation(solution.basis, replace(solution.state, coefficients=c))
    before, after = (measured_quantities(problem, one, None, {}, asked=list(asked)) for one in (solution, moved))
    return all(
        np.abs(after[name].values - one.values).max() <= allowed[name] * np.abs(one.values).max()
        for name, one in before.items()
    )


def _named(context: SolveContext, functions: Sequence[Approximation], harmless: bool) -> Freedom:
    if not functions:
        return Freedom()
    names, several = _present(context, functions)[0], len(functions) > 1
    unfixed = (
        f"the equations and conditions leave {_listed(context, functions)} free, so that any "
        f"{'multiples of them' if several else 'multiple of it'} may be added"
    )
    if harmless:
        asked = " and ".join(f"`{name}`" for name, count in context.problem.counts.items() if count)
        sentence = f"the solution is not unique: {unfixed}; what is asked for, {asked}, does not depend on that"
        return Freedom(names, sentence, harmless=True)
    sentence = f"the solution is not unique, if there is one: {unfixed}; {REMEDY}"
    return Freedom(names, sentence)


def _present(context: SolveContext, functions: Sequence[Approximation]) -> tuple[tuple[str, ...], torch.Tensor]:
    """The unknowns that functions hold, and values of the first (U, N) at the check points."""
    values = torch.stack([function.values(context.check_points()) for function in functions])  # (K, U, N)
    sizes = values.square().mean(dim=2).sqrt()
    present = (sizes > PRESENT * sizes.amax(dim=1, keepdim=True)).any(dim=0)
    names = tuple(name for name, here in zip(context.problem.unknowns, present.tolist(), strict=True) if here)
    return names, values[0]


def _listed(context: SolveContext, functions: Sequence[Approximation]) -> str:
    """Functions in words."""
    names, values = _present(context, functions)
    listed = " and ".join(f"`{name}`" for name in names)
    return (
        f"at least {len(functions)} functions of {listed}"
        if len(functions) > 1
        else _described(context, values, listed)
    )


def _described(context: SolveContext, values: torch.Tensor, listed: str) -> str:
    """One function (U, N) at the check points, in words."""
    varies = (values - values.mean(dim=1, keepdim=True)).square().mean().sqrt()
    if float(varies) <= CONSTANT * float(values.square().mean().sqrt()):
        return f"a constant in {listed}"
    place = context.check_points()[int(values.square().sum(dim=0).argmax())].tolist()
    where = ", ".join(f"{c} = {x:.2g}" for c, x in zip(context.problem.coordinates, place, strict=True))
    return f"a function of {listed} (largest near {where})"
