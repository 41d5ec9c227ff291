"""Eigenvalues on cells that are refined until these and their functions are known to the tolerance.

On every level the modes nearest to the number asked for are found twice, in the space of the level and in that of its
correction, which has two degrees more: the differences are the errors of the functions of the level, and bounds of
those of the eigenvalues, which are the ones of the richer space. All modes are refined together, as if each were an
unknown of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pinnsolve.adapt.context import Result, SolveContext, least_error
from pinnsolve.adapt.hp_refinement import Level, first_space, make_system
from pinnsolve.adapt.next_space import next_space
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.system import CellSystem, points_of, weights_of
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.eigen.block_arnoldi import ACCURACY, Aim
from pinnsolve.eigen.pencil import Modes, Pencil, eigenvalue_state
from pinnsolve.estimate.defect_correction import Approximation, Estimate
from pinnsolve.estimate.enriched_space import Correction, enriched_space
from pinnsolve.problem.stated import Eigenvalues
from pinnsolve.runtime import bytes_available
from pinnsolve.solvers import Outcome
from pinnsolve.solvers.follow import follow
from pinnsolve.solvers.memory import check_work

MOST_LEVELS = 20
MOST_OPERATIONS = 2e12  # of a factorization that is worth it without a time limit
ITERATED = 1e-5  # of the error of the level before: how well the modes of a level are found
ITERATED_FIRST = 1e-4  # of the tolerance: how well those of the first level are
NEAR = 1e-2  # error of a level from which on the next begins near its modes
CHANCE = 0.1  # of the fall of an error: what more is taken for chance
ROUGH = 1e-4  # how well modes are found by which a shift is chosen
BESIDE = 4  # modes beyond those asked for: of a multiple eigenvalue, all functions are needed
OFF = 0.02  # of the reach of the eigenvalues: how far the shift is from the number asked for
SEARCHED = 3  # degree beyond the order of the equations, of the functions by which a shift is chosen
SMALL = 1e-3  # of the largest eigenvalue: errors of smaller ones are relative to that
STEP = 1e-2  # relative: the least reach
AS_LARGE = 1e-6  # relative: values of a function that are as large as the largest
NOT_ZERO = 1e-12  # of the largest function: a part of it that is smaller is zero


@dataclass(frozen=True)
class _Level:
    """A level of refinement: its modes, their errors, and the level as that of a problem with more unknowns."""

    modes: Modes
    errors: np.ndarray
    level: Level
    shift: complex
    richer: Tensor  # (L, C, U, n) complex: the functions in the richer space, more than are asked for

    @property
    def relative(self) -> np.ndarray:
        """(K,) errors of the eigenvalues, relative to these."""
        size = np.abs(self.modes.values)
        return self.errors / np.maximum(size, max(SMALL * size.max(), 1e-300))

    @property
    def worst(self) -> float:
        """The largest relative error, of eigenvalues and of functions."""
        return max(float(self.relative.max()), self.level.worst)


def eigenvalues_on_cells(context: SolveContext, tolerance: float, refinements: int | None) -> Outcome[Result]:
    """The best result of the refinement, until it meets the tolerance."""
    weights = context.weights_at(1) or {}
    with torch.no_grad():
        levels = _levels(context, tolerance, weights, refinements)
        return follow(levels, context.clock, least_error, lambda result: result.meets(tolerance))


def _levels(
    context: SolveContext, tolerance: float, weights: Mapping[str, float], refinements: int | None
) -> Iterator[Result]:
    problem, clock = context.problem, context.clock
    space = first_space(problem, clock.check_late)
    shift: complex | None = None
    before: _Level | None = None
    for number in range(MOST_LEVELS if refinements is None else refinements + 1):
        check = clock.check if number else clock.check_late
        fine = make_system(problem, enriched_space(space), weights, check)
        check_work(fine, bytes_available(context.memory_gb), MOST_OPERATIONS)
        coarse = make_system(problem, space, weights, check)
        known = None if before is None else _carried(before, space)
        error = ITERATED_FIRST * tolerance if before is None else ITERATED * min(before.worst, NEAR)
        accuracy = max(error, ACCURACY)
        found = _not_by_chance(_solved(problem, coarse, fine, shift, known, accuracy, check), before)
        context.record(f"level {number}: {space.cells.count} cells", number, 0.0, {}, estimate=found.worst)
        yield _result(context, found)
        space = next_space(found.level, tolerance, None if before is None else before.level)
        shift, before = found.shift, found


def _solved(
    problem: CompiledProblem, coarse: CellSystem, fine: CellSystem, shift: complex | None, known: Tensor | None,
    accuracy: float, check,
) -> _Level:  # fmt: skip
    """The modes on two spaces; without a `shift`, one is chosen. `known`: (K, C, U, n) complex, near to them."""
    from scipy.optimize import linear_sum_assignment  # takes a tenth of a second to import

    asked = problem.eigenvalues
    step = max(abs(asked.near), 1.0)
    more = 0
    if shift is None:
        searched, more = _searched(problem, coarse), BESIDE // 2  # so that none is overlooked
        shift, rough = _shift(searched, asked, step, check)
        known = rough if rough is None else _in_space(rough, searched.space, coarse.space)
    pencil = Pencil(coarse, shift, asked, step)
    modes = pencil.modes(BESIDE, check, known, Aim(asked.count + more, accuracy)).nearest_to(asked.near)
    richer = Pencil(fine, shift, asked, step)
    wide = _in_space(modes.functions, coarse.space, fine.space)
    better = richer.modes(BESIDE, check, wide, Aim(asked.count + more, accuracy)).nearest_to(asked.near)
    kept = min(asked.count, len(modes.values), len(better.values))
    apart = np.abs(modes.values[:, None] - better.values[None, :])
    rows, columns = linear_sum_assignment(apart)
    partner = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    partners = [partner[k] for k in range(kept)]
    errors = np.array([apart[k, partner[k]] for k in range(kept)])
    own, found = Modes(modes.values[:kept], wide[:kept]), Modes(better.values[partners], better.functions[partners])
    left = richer.residual(found) / max(richer.residual(own), 1e-300)
    level = _as_level(pencil, richer, _real(modes.functions), _real(found.functions), left)
    errors = errors * level.correction.enlargement
    return _Level(Modes(found.values, modes.functions[:kept]), errors, level, shift, better.functions)


def _not_by_chance(found: _Level, before: _Level | None) -> _Level:
    """The level with errors of eigenvalues that did not fall much more than those of functions.

    Eigenvalues of least squares may be too large or too small, and those of two spaces agree while that changes.
    """
    if before is None or len(before.errors) != len(found.errors):
        return found
    fell = found.level.worst / max(before.level.worst, 1e-300)
    return replace(found, errors=np.maximum(found.errors, CHANCE * min(fell, 1.0) * before.errors))


def _searched(problem: CompiledProblem, system: CellSystem) -> CellSystem:
    """A system on the same cells in which eigenvalues are looked for roughly: of low degree where cells are many."""
    space = system.space
    degrees = tuple(min(p, problem.order + SEARCHED) for p in space.degrees)
    if space.cells.dimension == 1 or degrees == tuple(space.degrees):
        return system
    return make_system(problem, Space(space.cells, degrees, space.orders), {}, system.check)


def _shift(system: CellSystem, asked: Eigenvalues, step: float, check) -> tuple[complex, Tensor | None]:
    """Beside the number asked for, and off every eigenvalue: there the rows have no inverse. With it, functions
    (K, C, U, n) that were found there.

    Least squares square the condition, and the distance counts beside that to the other eigenvalues.
    """
    functions: Tensor | None = None
    try:
        found = Pencil(system, asked.near, asked, step).modes(BESIDE, check, None, Aim(asked.count + 1, ROUGH))
        values, functions = found.values, found.functions
    except ArithmeticError:
        values = np.array([asked.near + STEP * step])
    reach = max(float(np.abs(values - asked.near).max()), STEP * step)
    places = asked.near - reach * OFF * np.array([1.0, -1.0, 1.7, -1.7])
    apart = np.abs(values[None, :] - places[:, None]).min(axis=1)
    return places[int(np.argmax(apart >= 0.5 * OFF * reach))].item(), functions


def _carried(before: _Level, space: Space) -> Tensor:
    """(L, C, U, n): the functions of a level in the next space."""
    fine, zero = before.level.correction.space, (0,) * len(space.degrees)
    if space.cells is fine.cells:
        return _in_space(before.richer, fine, space)

    def carried(c: Tensor) -> Tensor:
        return space.project(lambda x: fine.values(c, x, zero), c.shape[1])

    flat = before.richer.transpose(0, 1).flatten(1, 2)  # as if of as many unknowns
    both = torch.complex(carried(flat.real.contiguous()), carried(flat.imag.contiguous()))
    return both.reshape(len(both), len(before.richer), -1, both.shape[2]).transpose(0, 1)


def _in_space(functions: Tensor, space: Space, other: Space) -> Tensor:
    """Complex functions (K, C, U, n) in a space of the same cells."""
    parts = [
        torch.stack([space.widened(c.contiguous(), other) for c in part]) for part in (functions.real, functions.imag)
    ]
    return torch.complex(*parts)


def _real(functions: Tensor) -> Tensor:
    """(L, C, U, n): the real and the imaginary parts of functions (K, C, U, n), those that are not zero."""
    parts = torch.cat([functions.real, functions.imag])
    sizes = parts.flatten(1).norm(dim=1)
    return parts[sizes > 1e-9 * sizes.max()]


def _as_level(coarse: Pencil, fine: Pencil, known: Tensor, found: Tensor, left: float) -> Level:
    """The functions that were found in the richer space, and what those known (L, C, U, n) lack of them; `left`: of
    the residual of these, what remains of it there."""
    space, richer = coarse.system.space, fine.system.space
    wide = torch.stack([space.widened(one, richer) for one in known])
    near = torch.stack([_nearest(one, wide, richer) for one in found])
    c = torch.cat(list(found), dim=1)  # (C, K U, n): as if of as many unknowns
    delta = torch.cat(list(found - near), dim=1)
    correction = Correction(richer, State(c, torch.zeros(0)), delta, torch.zeros(0), left, (), (), fine.reduced)
    before = torch.cat([richer.widened(one, space) for one in near], dim=1)
    size, error = richer.rms(c), correction.enlargement * richer.rms(delta)
    size = torch.where(size > NOT_ZERO * size.max(), size, size.max())
    system = coarse.system
    return Level(space, before, correction, error, size, True, 1, 0.0, {}, system, coarse.reduced.rank_info(), False)


def _nearest(function: Tensor, among: Tensor, space: Space) -> Tensor:
    """The function nearest to one (C, U, n) in the span of others (L, C, U, n), in the mean square."""
    root = torch.sqrt(space.cells.volume)[:, None, None]
    columns = torch.stack([(root * space.orthonormal(one)).reshape(-1) for one in among], dim=1)
    right = (root * space.orthonormal(function)).reshape(-1, 1)
    weights = torch.linalg.lstsq(columns, right, driver="gelsd").solution[:, 0]
    return torch.einsum("l,lcun->cun", weights, among)


def _result(context: SolveContext, found: _Level) -> Result:
    problem, level, modes = context.problem, found.level, found.modes
    basis = PouCells(level.space.cells, level.space.degrees, context.lower, context.upper)
    functions = torch.stack([_upright(f, basis) for f in modes.functions])
    coefficients = functions.transpose(1, 2).flatten(2)  # (K, U, W) complex
    if problem.complex_unknowns:  # (K, 2 U, W): the parts of an unknown are one after the other
        both = torch.stack([coefficients.real, coefficients.imag], dim=2).flatten(1, 2)
        coefficients = both.to(torch.complex128)
    values = [
        {"value": _number(value), "estimated_error": float(error)}
        for value, error in zip(modes.values, found.errors, strict=True)
    ]
    first = eigenvalue_state(modes.values[0], problem.eigenvalues)
    system = level.system.scaled_at(State(level.system.zero(), first))
    system.rows(State(level.system.zero(), first), matrix=False)
    return Result(
        Approximation(basis, State(coefficients[0].real.contiguous(), first)),
        Estimate(dict.fromkeys(problem.unknowns, found.worst), {}, 0.0),
        "least_squares at a shift, Arnoldi",
        points_of(system),
        weights_of(system),
        inverse={"eigenvalues": values},
        modes=coefficients,
    )


def _number(value: complex) -> float | dict[str, float]:
    """A real eigenvalue as a number, a complex one by its parts."""
    return float(value.real) if value.imag == 0 else {"re": float(value.real), "im": float(value.imag)}


def _upright(function: Tensor, basis: PouCells) -> Tensor:
    """With the largest value, at points of the cells, positive; of a complex one, that of the largest modulus."""
    space = basis.space
    *_, tables = space.shared([space.points_per_axis(a) for a in range(len(space.degrees))])
    table = tables.table((0,) * len(space.degrees))[0]
    values = torch.einsum("mn,cun->cum", table.to(function), function).reshape(-1)
    sizes = values.abs()
    largest = values[(sizes >= (1.0 - AS_LARGE) * sizes.max()).nonzero()[0, 0]]  # the first of those that are as large
    phase = largest / largest.abs()
    if float(function.imag.abs().max()) == 0.0:
        return function * torch.sign(phase.real)
    return function / phase
