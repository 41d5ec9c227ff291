"""Whether a solution on cells is the only one: functions that nothing fixes, confirmed at fresh points and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from pinnsolve.adapt.context import Freedom, SolveContext
from pinnsolve.adapt.hp_refinement import Level
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.independent_look import Look
from pinnsolve.estimate.integrals import with_integrals
from pinnsolve.estimate.jumps import all_missed
from pinnsolve.estimate.null_functions import free_functions

POINTS = 1000  # fresh ones, at which free functions are looked at
MISSED = 0.03  # of its parts, is the most that a free function may miss of an equation or condition
PRESENT = 1e-3  # of a function is what an unknown holds of it at least
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
    found = [_approximation(context, correction.space, State(c, torch.zeros_like(here))) for c in functions]
    return _named(context, [one for one in found if _is_free(context, one, around)])


def _approximation(context: SolveContext, space: Space, state: State) -> Approximation:
    basis = PouCells(space.cells, space.degrees, context.lower, context.upper)
    c = state.coefficients
    return Approximation(basis, State(c.transpose(0, 1).reshape(c.shape[1], -1), state.parameters))


def _is_free(context: SolveContext, function: Approximation, around: Approximation) -> bool:
    """Whether a function solves the linearized equations without anything given, at fresh points."""
    context = replace(context, term_weights={term.name: 1.0 for term in context.problem.terms})
    look = Look(context.problem, function, context.check_points(), around)
    return all(one.share <= MISSED for one in all_missed(look, context.check_assembly(POINTS, 3)))


def _named(context: SolveContext, functions: Sequence[Approximation]) -> Freedom:
    if not functions:
        return Freedom()
    unknowns, x = context.problem.unknowns, context.check_points()
    values = torch.stack([function.values(x) for function in functions])  # (K, U, N)
    sizes = values.square().mean(dim=2).sqrt()
    present = (sizes > PRESENT * sizes.amax(dim=1, keepdim=True)).any(dim=0)
    names = tuple(name for name, here in zip(unknowns, present.tolist(), strict=True) if here)
    listed = " and ".join(f"`{name}`" for name in names)
    if len(functions) > 1:
        what = f"at least {len(functions)} functions of {listed} free, so that any multiples of them"
    else:
        what = f"{_described(context, values[0], listed)} free, so that any multiple of it"
    unfixed = f"the equations and conditions leave {what} may be added"
    sentence = f"the solution is not unique, if there is one: {unfixed}; state what fixes that"
    return Freedom(names, sentence)


def _described(context: SolveContext, values: torch.Tensor, listed: str) -> str:
    """One function (U, N) at the check points, in words."""
    varies = (values - values.mean(dim=1, keepdim=True)).square().mean().sqrt()
    if float(varies) <= CONSTANT * float(values.square().mean().sqrt()):
        return f"a constant in {listed}"
    place = context.check_points()[int(values.square().sum(dim=0).argmax())].tolist()
    where = ", ".join(f"{c} = {x:.2g}" for c, x in zip(context.problem.coordinates, place, strict=True))
    return f"a function of {listed} (largest near {where})"
