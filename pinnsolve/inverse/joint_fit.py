"""A fit to the data of all that is open in equations: candidates, and unknown functions of the state.

Together they are hardly determined at first. So the data count as much as the equations until the solution is nearly
right, and then as little as noise asks for; cells are refined until what they lack is hidden by the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pinnsolve.adapt.hp_refinement import carried_over
from pinnsolve.adapt.next_space import next_space
from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.term_rows import term_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Linearization, Regularization
from pinnsolve.inverse.all_at_once import LOOSE, RIPE, solve_inverse_level
from pinnsolve.inverse.fit import NEGLIGIBLE
from pinnsolve.inverse.function_bases import SplineBasis, is_sought, with_bases
from pinnsolve.inverse.function_smoothness import (
    FIRST_WEIGHT,
    SEMINORM,
    FunctionSmoothness,
    likeliest,
    loosened,
    prior_of,
)
from pinnsolve.inverse.held_out import linearized
from pinnsolve.inverse.statement import PRIOR, InverseProblem, first_fit
from pinnsolve.language.tabulated import Tabulated
from pinnsolve.solvers.gauss_newton import Iterate

MOST_LEVELS, FEW_STEPS = 20, 10  # and steps of Gauss-Newton on each
MOST_CHOICES = 4  # of weights of smoothness on the same cells
LIGHT = 0.01  # weight of the data at which the equations hold beside them
CONTRIBUTES = 10.0  # times all of an equation is what a candidate may come to, before the data are asked
CHANGED = 3.0  # factor of a weight of smoothness from which on a level is solved again
BEYOND, WASTED = 0.02, 0.1  # share of its range by which a state leaves it, or does not fill it, before it is made anew


@dataclass(frozen=True)
class JointFit:
    """A fit on the way: what is fitted (its prior is the smoothness of functions alone), on which cells, and how.

    `stated`: the problem before there were sums of splines in it; `smoothness`: of the functions, by name.
    """

    statement: InverseProblem
    stated: CompiledProblem
    space: Space
    state: State
    smoothness: Mapping[str, FunctionSmoothness] = field(default_factory=dict)


def joint_fit(statement: InverseProblem, tolerance: float, check: Callable[[Space], None]) -> JointFit:
    """All candidates and functions at once."""
    statement = replace(statement, measurements=replace(statement.measurements, folded={})).with_weight(1.0)
    space, stated = statement.first_space(), statement.problem
    fit = JointFit(statement, stated, space, State(first_fit(statement, space), statement.guess))
    before, choices = 1.0, 0
    for _ in range(MOST_LEVELS):
        fit = _on_visited_ranges(fit)
        check(fit.space)
        statement = replace(fit.statement, prior=_joined(fit.statement.prior, _candidate_sizes(fit)))
        now, found = solve_inverse_level(
            statement, fit.space, fit.state, max(0.03 * tolerance, LOOSE * before), FEW_STEPS
        )
        fit = replace(fit, state=found.state)
        before, noise = now.worst, noise_of(statement, found)
        if fit.statement.measurements.weight == 1.0:
            if before < RIPE:
                fit = replace(fit, statement=fit.statement.with_weight(LIGHT))
                continue
        elif before < RIPE:  # where cells lack much, it would be taken for noise
            fit, changed = _smoothed(fit, found)
            choices += 1
            if changed and choices <= MOST_CHOICES:
                continue
            if before <= NEGLIGIBLE * max(noise, tolerance):
                break
            choices = 0
        space = next_space(now, max(0.5 * NEGLIGIBLE * noise, 0.03 * before))
        fit = replace(fit, space=space, state=State(carried_over(now, space), fit.state.parameters))
    return fit


def noise_of(statement: InverseProblem, found: Iterate) -> float:
    """The rms residual of the data, relative to them."""
    measurements = statement.measurements
    squares = sum(block.loss for block in found.rows if block.name in measurements.names) / measurements.unit**2
    return math.sqrt(squares / measurements.count) * min(measurements.relative.values())


def _joined(*parts: Tensor | None) -> Tensor | None:
    given = [part for part in parts if part is not None and len(part)]
    return torch.cat(given) if given else None


def _sizes(fit: JointFit) -> tuple[float, list[Tensor]]:
    """What stands in the equations where no parameter does, as a sum of squares, and the columns of the parameters."""
    state = State(fit.state.coefficients, torch.zeros_like(fit.state.parameters))
    rows = fit.statement.system(fit.space).scaled_at(state).rows(state)
    rows = [block for block in rows if block.parameters is not None and block.name != PRIOR]
    return sum(block.loss for block in rows), [block.parameters.flatten(0, 1) for block in rows]


def _candidate_sizes(fit: JointFit) -> Tensor | None:
    """(K, P): one over what candidates may be, so that none comes to many times what stands without all of them.

    Together they are hardly determined, and would take any size.
    """
    parameters = fit.statement.problem.unknown_parameters
    candidates = [i for i, p in enumerate(parameters) if p.candidate]
    if not candidates:
        return None
    whole, columns = _sizes(fit)
    sizes = sum((column**2).sum(dim=0) for column in columns)
    prior = torch.zeros(len(candidates), len(parameters), dtype=torch.float64)
    for k, i in enumerate(candidates):
        prior[k, i] = math.sqrt(float(sizes[i]) / max(whole, 1e-300)) / CONTRIBUTES
    return prior


# -- functions of the state -------------------------------------------------------------------------------------------


def _smoothed(fit: JointFit, found: Iterate) -> tuple[JointFit, bool]:
    """With the weights of smoothness that the data choose, and whether these are others than before."""
    if all(one.given for one in fit.smoothness.values()):
        return fit, False
    around = linearized(fit.statement, found)
    known = found.system.sources[-1].matrix / fit.statement.measurements.unit  # all priors, candidates' sizes included
    around = replace(around, S=around.S - known.T @ known)
    chosen = likeliest(fit.smoothness, around)
    ratios = (chosen[name].weight / one.weight for name, one in fit.smoothness.items())
    changed = any(not 1.0 / CHANGED < ratio < CHANGED for ratio in ratios)
    count = len(fit.state.parameters)
    prior, loose = prior_of(chosen, count), prior_of(loosened(chosen, around), count)
    return replace(fit, statement=replace(fit.statement, prior=prior, loose=loose), smoothness=chosen), changed


def _on_visited_ranges(fit: JointFit) -> JointFit:
    """With splines on the ranges that the state visits, and the functions as they were."""
    if not fit.stated.state_functions:
        return fit
    ranges = visited(fit.stated, fit.space, fit.state)
    if fit.smoothness and all(_fits(one.basis, *ranges[name]) for name, one in fit.smoothness.items()):
        return fit
    bases = {f.name: SplineBasis(f, *ranges[f.name]) for f in fit.stated.state_functions}
    problem = with_bases(fit.stated, bases)
    named = len(fit.stated.unknown_parameters)
    constants, first = [fit.state.parameters[:named]], named
    smoothness = {}
    for name, basis in bases.items():
        before = fit.smoothness.get(name)
        constants.append(_carried(before, fit.state.parameters, basis))
        default = Regularization(name, SEMINORM, "auto")
        asked = next((r for r in fit.stated.regularization if r.unknown == name), default)
        given = not isinstance(asked.weight, str)
        weight = asked.weight if given else FIRST_WEIGHT if before is None else before.weight
        smoothness[name] = FunctionSmoothness(basis, first, asked.order, weight, 1.0, given)
        first += basis.size
    state = State(fit.state.coefficients, torch.cat(constants))
    bounds = Bounds.of(problem)
    statement = replace(fit.statement, problem=problem, bounds=bounds, prior=None, loose=None, functions=bases)
    fit = replace(fit, statement=statement, state=state)
    sizes = _sizes(fit)
    smoothness = {name: replace(one, size=_size(sizes, one)) for name, one in smoothness.items()}
    statement = replace(fit.statement, prior=prior_of(smoothness, len(state.parameters)))
    return replace(fit, statement=statement, smoothness=smoothness)


def _size(sizes: tuple[float, list[Tensor]], one: FunctionSmoothness) -> float:
    """About the size of a function: that of a constant that comes to as much as the rest of the equations; `sizes`: as
    of `_sizes`."""
    whole, columns = sizes
    constant = torch.as_tensor(one.basis.constant)
    mine = [column[:, one.first : one.first + len(constant)] @ constant for column in columns]
    mine = sum(float((column**2).sum()) for column in mine)
    return math.sqrt(max(whole, 1e-300) / max(mine, 1e-300))


def _carried(before: FunctionSmoothness | None, parameters: Tensor, basis: SplineBasis) -> Tensor:
    """(K,) the constants of a function as it was, within their bounds; of one that was not, zero."""
    if before is None:
        return torch.zeros(basis.size, dtype=torch.float64)
    old = parameters[before.first : before.first + before.basis.size].cpu().numpy()
    found = basis.constants_for(lambda *x: before.basis.design((0,) * len(x), *x) @ old)
    low, high = np.array([p.bounds for p in basis.parameters()]).T
    return torch.as_tensor(np.clip(found, low, high))


def _fits(basis: SplineBasis, low: Sequence[float], high: Sequence[float]) -> bool:
    """Whether a range is about that of the basis."""
    for a, b, lower, upper in zip(low, high, basis.low, basis.high, strict=True):
        span = upper - lower
        if a < lower - BEYOND * span or b > upper + BEYOND * span or b - a < (1 - WASTED) * span:
            return False
    return True


def visited(
    problem: CompiledProblem, space: Space, state: State
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """By unknown function, the smallest and largest of each of its arguments at the points of the equations."""
    found: dict[str, list[Tensor]] = {f.name: [] for f in problem.state_functions}
    state = State(state.coefficients, state.parameters[: len(problem.unknown_parameters)])
    for term in problem.terms:
        if term.kind != "equation":
            continue
        for atom in sorted({a for r in term.residuals for a in r.atoms(Tabulated) if is_sought(a)}, key=str):
            nothing = (Linearization((), ()),) * len(atom.args)
            asked = replace(term, residuals=atom.args, linearizations=nothing, linear=True)
            for rows in term_rows(replace(problem, terms=(asked,)), space, {}):
                values = rows.residuals(state)  # (R, G, m)
                keep = torch.ones_like(values[0], dtype=torch.bool) if rows.at.keep is None else rows.at.keep
                found[atom.table_name].append(values[:, keep])
    ends = {name: torch.cat(parts, dim=1) for name, parts in found.items()}
    result = {}
    for name, values in ends.items():
        low, high = values.amin(dim=1), values.amax(dim=1)
        flat = high - low <= 1e-9 * torch.maximum(low.abs(), high.abs())
        margin = torch.where(flat, torch.maximum(low.abs(), high.abs()).clamp_min(1e-3), 0.0)
        result[name] = tuple((low - margin).tolist()), tuple((high + margin).tolist())
    return result
