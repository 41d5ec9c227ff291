"""How far a level of a nonlinear problem may be believed: stationary points, solutions that are not smooth, kinks.

The correction of a level rests on the linearization. Where that is singular it sees no error; where the solution is
not smooth it sees little; and equations of first order may be met on every cell by functions with kinks between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from pinnsolve.adapt.energy_levels import as_levels_tell
from pinnsolve.adapt.hp_refinement import Level, blind, doubted, moved_since, without_parameters
from pinnsolve.assembly.faces import continuity_rows
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import FeatureSymbol

ROUGH = 0.5  # residual left by the correction of a solution that is not smooth
SLOW = 4.0  # times what a level changed is its error, where the correction explains little: orders are low there
DOUBLED = 2.0  # times what is left of a geometric series is the error, where two levels tell how fast changes fall
UNKNOWN = 2.0  # of the tolerance is the least error of a first level then
FARTHEST = 10.0  # times the correction is the error of a linear problem then, at most
MOST_FAILED = 8  # levels in a row on which Newton's method does not converge
NOWHERE = (
    "Newton's method did not converge on any of the last levels, from no start; there may be no solution, or none near "
    "the starts: state a `guess` near it"
)
KINK, FREE = 10.0, 1e-3  # times the tolerance, and at least so much of the solution, are jumps that make a kink


def is_rough(problem: CompiledProblem, level: Level) -> bool:
    """Whether a solution is not smooth, so that its correction says little of the error: of a nonlinear problem, or on
    a line, where rows of small cells weigh no more than others (see `cell_weights`), and what two degrees more take of
    the error of a root may be a tenth."""
    return level.correction.left > ROUGH and (not problem.linear or len(problem.coordinates) == 1)


def believed(problem: CompiledProblem, level: Level, before: Sequence[Level], tolerance: float) -> Level:
    """The level with an error that does not rest on its correction alone."""
    if blind(level, tolerance):
        return doubted(level)
    if before and is_kinked(problem, level, tolerance):
        return doubted(before[-1])  # finer cells only let more kinks in
    if level.system.tested:
        return as_levels_tell(level, before)
    if not is_rough(problem, level):
        return level
    known = _still_to_move(level, before) if before else UNKNOWN * tolerance * level.size
    if problem.linear:
        known = torch.minimum(known, FARTHEST * level.error)
    return replace(level, error=torch.maximum(level.error, known))


def _still_to_move(level: Level, before: Sequence[Level]) -> torch.Tensor:
    """(U,) what finer levels will change yet, from what this one and the one before changed."""
    moved = moved_since(level, before[-1])
    if len(before) < 2:
        return SLOW * moved
    rate = moved / moved_since(before[-1], before[-2]).clamp_min(1e-300)
    left = torch.where(rate < 1.0, DOUBLED * rate / (1.0 - rate), SLOW)
    return left.clamp(1.0, SLOW) * moved


def why_no_solution(problem: CompiledProblem, level: Level, before: Sequence[Level], tolerance: float) -> str:
    """Why no refinement leads to a solution; empty where one may."""
    if blind(level, tolerance):
        return no_solution(problem, level.unsolved)
    if before and is_kinked(problem, level, tolerance):
        return f"the solution is not smooth. {viscosity(problem)}"
    lately = [*before, level][-MOST_FAILED:]
    if len(lately) == MOST_FAILED and not problem.linear and not any(one.converged for one in lately):
        return NOWHERE
    return ""


def is_kinked(problem: CompiledProblem, level: Level, tolerance: float) -> bool:
    """Whether a solution that should be smooth has kinks, of a problem that `lacks_viscosity`."""
    if not lacks_viscosity(problem):
        return False
    return is_rough(problem, level) or (
        level.worst <= tolerance and _jump(problem, level) > max(KINK * tolerance, FREE)
    )


def _jump(problem: CompiledProblem, level: Level) -> float:
    """The rms jump of first derivatives between cells, times half their length, relative to the solution."""
    orders = [tuple(min(2, k + 1) for k in level.space.orders)] * len(problem.unknowns)
    rows = continuity_rows(level.space, problem.coordinates, orders)
    state = without_parameters(level.c)
    loss = sum(source.rows(state, matrix=False).loss for source in rows)
    return math.sqrt(loss) / max(float(level.size.max()), 1e-300)


def no_solution(problem: CompiledProblem, unsolved: Sequence[str]) -> str:
    """What is to be said where the terms `unsolved` do not hold, and Newton's method does not lower that."""
    names = ", ".join(f"`{name}`" for name in unsolved)
    holds = "does not hold" if len(unsolved) == 1 else "do not hold"
    said = (
        f"Newton's method ended where {names} {holds}: the residual is as large as the parts of the equation, and no "
        "small change lowers it"
    )
    if lacks_viscosity(problem):
        return f"{said}. {viscosity(problem)}"
    return f"{said}; state a `guess` near the solution"


def lacks_viscosity(problem: CompiledProblem) -> bool:
    """Whether a problem that does not evolve is of first order and nonlinear in the derivatives, as the eikonal
    equation is: then solutions have kinks, and many functions with kinks meet the equation almost everywhere."""
    equations = [term for term in problem.terms if term.kind == "equation"]
    steep = (
        feature.order == 1 and any(isinstance(s, FeatureSymbol) and s.feature.order for s in c.free_symbols)
        for term in equations
        for linearization in term.linearizations
        for feature, c in linearization.features
    )
    return max((term.order for term in equations), default=0) == 1 and problem.time is None and any(steep)


def viscosity(problem: CompiledProblem) -> str:
    """The advice for a problem that `lacks_viscosity`."""
    term = (
        f"0.01*laplacian({problem.unknowns[0]})"
        if len(problem.coordinates) > 1
        else (f"0.01*D({problem.unknowns[0]}, {problem.coordinates[0]}, 2)")
    )
    return (
        "A nonlinear equation of first order has no smooth solution as a rule, and many with kinks; which one is meant "
        f"is told by a small viscosity: subtract `{term}` from a side, and lower the factor as far as needed"
    )
