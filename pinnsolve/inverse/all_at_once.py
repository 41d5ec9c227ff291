"""Inverse problems on cells: coefficients and unknown parameters from equations, conditions and data together.

All of space and time is one least squares (data may say something of any time), refined from level to level as forward
problems are. On the first level the weight of the data falls from that of the equations to far below it: so the first
answer follows the data, and the last the equations (parameter cascading: Ramsay, Hooker, Campbell & Cao, J. R. Stat.
Soc. B 69 (2007) 741-796).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.adapt.hp_refinement import Level, carried_over, first_space, next_space, without_constants
from pinnsolve.assembly.face_rows import highest_orders, jump_groups, table_orders, term_groups
from pinnsolve.assembly.measurements import WEIGHT, DataGroup, Measurements
from pinnsolve.assembly.regularization import SmoothnessGroup
from pinnsolve.assembly.system import System, points_of, residual_norm, weights_of
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.enriched_space import Correction, enriched_space
from pinnsolve.inverse.fit import Answer, Fit, fit_of, residuals_of
from pinnsolve.inverse.regularization_choice import SMOOTHNESS, Smoothness, chosen, scaled
from pinnsolve.inverse.uncertainty import drawn
from pinnsolve.runtime import threads_for
from pinnsolve.solvers.schur_complement import Bounds, Found, Linearization, Point, gauss_newton, products, rows_at

CASCADE, FEW_STEPS = (
    (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3),
    4,
)  # weights of the data before functions are found that only data determine
LOOSE = 0.03  # of the error of the level before is how well the next is solved
MOST_LEVELS = 30
RIPE, ANEW = 0.05, 0.03  # estimated error at which cells are made anew, and by how much they are to be better
FLOOR = 5.0  # times what equations miss by is what the weight of the data is above the residual of the data
MOST_ANEW, FEW = 2.5, 2000  # times the coefficients of the level before, or so many, are spent on new cells
MOVED = 0.2  # relative change of a parameter since cells were made anew after which they are so again
FIRST_DEGREE = 10  # in space of the first cell, where weights are chosen on it and there are three axes or more
RESOLVED = 0.3  # weight of the data below which cells are fine enough for the data to choose weights
# coefficients up to which weights are chosen anew, and how well these are solved: criteria of neighbouring weights are
# often a thousandth apart
MOST_CHOSEN, ROUGH = 2000, 1e-4
FIT_SMOOTHNESS = 1e-3  # weight of the second derivatives in the first fit to the data


@dataclass
class Statement:
    """An inverse problem with all that its levels share."""

    problem: CompiledProblem
    weights: Mapping[str, float]
    measurements: Measurements
    bounds: Bounds
    floating: Sequence[str] = ()
    smoothness: list[Smoothness] = field(default_factory=list)
    held: bool = False  # parameters stay as they are
    start: Tensor | None = None  # of the parameters, where it is not their guess

    @property
    def exact(self) -> CompiledProblem:
        """What is not measured."""
        return replace(self.problem, terms=tuple(t for t in self.problem.terms if t.data_file is None))

    @property
    def guess(self) -> Tensor:
        if self.start is not None:
            return self.start
        return torch.tensor([p.guess for p in self.problem.unknown_parameters], dtype=torch.float64)

    def system(self, space: Space) -> System:
        unknowns = len(self.problem.unknowns)
        data = self.measurements.groups(self.problem, space)
        smooth = [one.group(space, unknowns) for one in self.smoothness]
        scaled(smooth, self.smoothness, self.measurements.unit(data), sum(group.count for group in data))
        groups = [
            *term_groups(self.exact, space, self.weights),
            *jump_groups(self.problem, space, self.orders),
            *data,
            *smooth,
        ]
        return System(space, groups, unknowns, self.guess)

    def first_space(self) -> Space:
        """One cell, with tables up to the highest derivative that anything asks for."""
        space = first_space(self.problem)
        highest = [max(k) for k in zip(table_orders(self.problem), *self.orders, strict=True)]
        degrees = space.degrees
        if self.smoothness and len(degrees) > 2:
            degrees = tuple(
                p if c == self.problem.time else max(p, FIRST_DEGREE)
                for p, c in zip(degrees, self.problem.coordinates, strict=True)
            )
        return Space(space.cells, degrees, tuple(highest))

    @property
    def orders(self) -> list[tuple[int, ...]]:
        """Per unknown and axis, the order of derivative below which it is continuous."""
        result = highest_orders(self.problem)
        for one in self.smoothness:
            result[one.unknown] = tuple(max(k, one.order) for k in result[one.unknown])
        return result


def data_groups(system: System) -> list[DataGroup]:
    return [group for group in system.groups if isinstance(group, DataGroup)]


def bounds_of(problem: CompiledProblem) -> Bounds:
    """The bounds of the file; parameters are compared with their guesses, or the width of their bounds at zero."""
    low, high = (torch.tensor([p.bounds[i] for p in problem.unknown_parameters], dtype=torch.float64) for i in (0, 1))
    guess = torch.tensor([p.guess for p in problem.unknown_parameters], dtype=torch.float64)
    width = torch.where((high - low).isfinite(), high - low, 1.0)
    return Bounds(low, high, torch.where(guess == 0, width, guess.abs()))


def held_at(parameters: Tensor) -> Bounds:
    return Bounds(parameters, parameters, torch.ones_like(parameters))


@dataclass(frozen=True)
class InverseLevel:
    """A level with its parameters, their errors of discretization (P,), and what statistics need of it."""

    level: Level
    found: Found
    parameter_error: Tensor
    data_moved: float  # rms change of the data's residuals by the correction, in standard deviations


# -- starts -------------------------------------------------------------------------------------------------------


def first_fit(statement: Statement, space: Space) -> Tensor:
    """(C, U, n): the data and all that is linear, made smooth; where Gauss-Newton starts."""
    problem, unknowns = statement.problem, len(statement.problem.unknowns)
    zero = torch.zeros(space.cells.count, unknowns, space.functions, dtype=torch.float64)
    exact = replace(problem, terms=tuple(t for t in statement.exact.terms if t.linear))
    data = [g for g in statement.measurements.groups(problem, space) if g.term.linear]
    smooth = [SmoothnessGroup("smoothness", space, u, unknowns, 2) for u in range(unknowns)]
    for group in smooth:
        group.weight = FIT_SMOOTHNESS**2
    system = System(
        space,
        [*term_groups(exact, space, statement.weights), *jump_groups(problem, space, statement.orders), *data, *smooth],
        unknowns,
        statement.guess,
    )
    point = Point(zero, statement.guess)
    with threads_for(system.width):
        rows = rows_at(system, point)
        linearization = Linearization(system, [replace(group, border=None) for group in rows], 0)
        return space.back(linearization.coefficients(rows).reshape(zero.shape))


def cascade(statement: Statement, space: Space, start: Point) -> Point:
    """The point on this space as the data's weight falls, as far as these cells let the equations hold."""
    point, last = start, statement.measurements.weight
    for weight in [w for w in CASCADE if w <= last]:
        statement.measurements.weight = weight
        system = statement.system(space)
        with threads_for(system.width):
            found = gauss_newton(system, point, statement.bounds, LOOSE, most=FEW_STEPS)
        floor = floor_of(statement, found, data_groups(system))
        if FLOOR * floor > weight < CASCADE[0]:  # the equations can be met no better
            break
        point, last = found.point, weight
    statement.measurements.weight = last
    return point


def floor_of(statement: Statement, found: Found, groups: Sequence[DataGroup]) -> float:
    """The rms residual of equations over that of the data, both in the unit of the unknowns."""
    names = {group.name for group in groups}
    squares = [(float((g.r**2).sum()), g.name) for g in found.rows]
    noise = sum(s for s, name in squares if name in names)
    floor = sum(s for s, name in squares if name not in names and not name.startswith(SMOOTHNESS))
    return math.sqrt(floor / max(noise, 1e-300)) * statement.measurements.weight


# -- levels -------------------------------------------------------------------------------------------------------


def solve_inverse_level(statement: Statement, space: Space, start: Point, accuracy: float) -> InverseLevel:
    """Gauss-Newton on one space, and the correction of what it gives."""
    system = statement.system(space)

    def reweigh(point: Point) -> None:
        if statement.measurements.robust:
            statement.measurements.weigh(data_groups(system), point.c, point.parameters)

    with threads_for(system.width):
        bounds = held_at(start.parameters) if statement.held else statement.bounds
        found = gauss_newton(system, start, bounds, accuracy, reweigh)
    found = _linearized(system, found)
    correction, moved, data_moved = _correct(statement, space, found)
    constants = [u in statement.floating for u in statement.problem.unknowns]
    size = space.rms(without_constants(found.point.c, space, constants))
    terms: dict[str, float] = {}
    for group in found.rows:
        terms[group.name] = terms.get(group.name, 0.0) + float((group.r**2).sum())
    error = correction.enlargement * correction.space.rms(without_constants(moved.c, correction.space, constants))
    level = Level(
        space, found.point.c, correction, error, size, found.converged, found.steps, found.loss, terms, system,
        found.linearization.factor.rank_info(), False,
    )  # fmt: skip
    return InverseLevel(level, found, moved.parameters, data_moved)


def _correct(statement: Statement, space: Space, found: Found) -> tuple[Correction, Point, float]:
    """The correction in higher degrees, by how much it moves coefficients and parameters, and what it does to the data.

    Cells are blamed for what they lack with the parameters held: moving those changes the solution everywhere.
    What is left of the residual is that of equations and conditions; as far as noise causes it, nothing is left over.
    """
    fine = enriched_space(space)
    system = statement.system(fine)
    groups = data_groups(system)
    measurements = statement.measurements
    start = Point(space.widened(found.point.c, fine), found.point.parameters)
    bounds = held_at(start.parameters) if statement.held else statement.bounds
    if measurements.robust:
        measurements.weigh(groups, start.c, start.parameters)
    with threads_for(system.width):
        rows = rows_at(system, start)
        linearization = Linearization(system, rows, len(start.parameters))
        point = start
        lacking = fine.back(linearization.coefficients(rows).reshape(point.c.shape))
        for number in range(3):
            delta, moved = linearization.step(rows, lambda S, g, at=point.parameters: bounds.step(at, S, g))
            trial = Point(point.c + fine.back(delta.reshape(point.c.shape)), point.parameters + moved)
            now = rows_at(system, trial, with_matrix=False)
            if number and not residual_norm(now) < residual_norm(rows):
                break
            point, rows = trial, now
            if number == 0:
                first = linearization.matrices
    names = {group.name for group in groups}
    before, after = (
        math.sqrt(sum(float((g.r**2).sum()) for g in part if g.name not in names)) for part in (first, rows)
    )
    noise = math.sqrt(sum(float((g.r**2).sum()) for g in rows if g.name in names))
    left = 0.0 if after <= measurements.weight * noise else after / max(before, 1e-300)
    moves = [float(((a.r - b.r) ** 2).sum()) for a, b in zip(rows, first, strict=True) if a.name in names]
    count = sum(group.count for group in groups)
    data_moved = math.sqrt(sum(moves) / count) / measurements.unit(groups)
    correction = Correction(fine, point.c, lacking, left, linearization.factor, linearization.matrices)
    return correction, Point(point.c - start.c, (point.parameters - start.parameters).abs()), data_moved


def answer_of(statement: Statement, level: InverseLevel, number: int) -> Answer:
    """What a level says."""
    now, point, linearization = level.level, level.found.point, level.found.linearization
    space, measurements = now.space, statement.measurements
    groups = data_groups(now.system)
    unit = measurements.unit(groups)  # of this level: the weight of the data changes
    X = linearization.X.reshape(*now.c.shape, -1).permute(3, 0, 1, 2)
    r = [rows.r for rows in level.found.rows if rows.name in measurements.sigma]
    return Answer(
        space=space,
        c=now.c,
        error=now.error,
        size=now.size,
        parameters=point.parameters,
        parameter_error=level.parameter_error,
        fit=_fit(statement, level),
        data=groups,
        data_moved=level.data_moved,
        residuals=residuals_of(statement.problem, groups, r),
        left=now.correction.left,
        sensitivity=-torch.stack([space.back(x) for x in X]) if len(X) else X,
        drawn=lambda seed: drawn(now.system, linearization, unit, seed),
        converged=now.converged,
        loss=now.loss,
        terms=now.terms,
        rank=now.rank,
        points={**points_of(now.system), **{g.name: g.points for g in groups}},
        weights=weights_of(now.system),
        method="least_squares over coefficients and parameters" if len(X) else "least_squares",
        phase=f"level {number}: {space.cells.count} cells",
    )


def _fit(statement: Statement, level: InverseLevel) -> Fit:
    groups = data_groups(level.level.system)
    unit = statement.measurements.unit(groups)
    names = {group.name for group in groups}
    measured = [group.name in names for group in level.found.rows]
    noise = sum(float((group.r**2).sum()) for group in level.found.rows if group.name in names)
    Q, S = level.found.linearization.Q, level.found.linearization.S
    information = products(Q, Q, measured) / unit**2
    whole = torch.diagonal(S) / unit**2
    share = float((torch.diagonal(information) / whole.clamp_min(1e-300)).min()) if len(S) else 1.0
    floor, count = floor_of(statement, level.found, groups), sum(group.count for group in groups)
    return fit_of(statement.measurements, statement.bounds, noise / unit**2, count, information, share, floor)


def levels(
    statement: Statement, tolerance: float, check: Callable[[Space], None] = lambda space: None
) -> Iterator[Answer]:
    """Levels of refinement until errors of discretization are below the tolerance, or far below what noise causes.

    Until parameters are nearly right, the data count as much as the equations; then cells are made anew.
    """
    measurements = statement.measurements
    space = statement.first_space()
    point, before, rebuilt_at = Point(first_fit(statement, space), statement.guess), 1.0, None
    measurements.weight = 1.0
    for number in range(MOST_LEVELS):
        check(space)
        if statement.smoothness and measurements.weight > WEIGHT:
            point = cascade(statement, space, point)
        if point.c.numel() <= MOST_CHOSEN and measurements.weight <= RESOLVED:
            choose(statement, space, point)
        level = solve_inverse_level(statement, space, point, max(0.03 * tolerance, LOOSE * before))
        answer = answer_of(statement, level, number)
        fit = answer.fit
        yield answer
        now, before = level.level, level.level.worst
        parameters = level.found.point.parameters
        if answer.finished(tolerance, bool(statement.smoothness)):
            return
        if rebuilt_at is not None:  # so far the cells have been made for these parameters
            measurements.weight = min(max(FLOOR * fit.floor, WEIGHT), 1.0)
        if not statement.smoothness and now.worst < RIPE and (rebuilt_at is None or _changed(parameters, rebuilt_at)):
            rebuilt_at = parameters
            target = max(0.1 * tolerance, ANEW * now.worst, fit.visible)
            space, point, before, floor = rebuilt(statement, now, parameters, target)
            measurements.weight = min(max(FLOOR * floor, WEIGHT), 1.0)
            continue
        space = next_space(now, min(tolerance, 0.5 * now.worst))
        point = Point(carried_over(now, space), parameters)


def _linearized(system: System, found: Found) -> Found:
    """With the linearization at its point, where the last step left none."""
    if found.linearization is not None:
        return found
    rows = rows_at(system, found.point)
    return replace(found, linearization=Linearization(system, rows, len(found.point.parameters)))


def choose(statement: Statement, space: Space, point: Point) -> None:
    """Sets the weights of the smoothness that the data choose, on this space."""

    def solved(smoothness, before: Found | None) -> tuple[System, Found, float]:
        statement.smoothness = list(smoothness)
        system = statement.system(space)
        with threads_for(system.width):
            found = gauss_newton(system, point if before is None else before.point, statement.bounds, ROUGH)
        return system, _linearized(system, found), statement.measurements.unit(data_groups(system))

    statement.smoothness = chosen(statement.smoothness, solved)


def _changed(parameters: Tensor, before: Tensor) -> bool:
    return bool(((parameters - before).abs() > MOVED * parameters.abs()).any())


def rebuilt(statement: Statement, level: Level, parameters: Tensor, target: float) -> tuple[Space, Point, float, float]:
    """Cells for the solution at parameters that are nearly right, from one cell on, with the parameters held; the
    error and the `floor` there.

    While parameters were wrong, equations and data disagreed, which split cells that the solution does not need.
    """
    statement.measurements.weight = WEIGHT
    space, zero, old = statement.first_space(), (0,) * len(level.space.degrees), level
    held = replace(statement, held=True)
    most = max(MOST_ANEW * level.c.numel(), FEW)
    point = Point(space.project(lambda x: old.space.values(old.c, x, zero), level.c.shape[1]), parameters)
    errors: list[float] = []
    while True:
        found = solve_inverse_level(held, space, point, max(0.03 * target, LOOSE * level.worst))
        level = found.level
        errors.append(level.worst)
        stuck = len(errors) > 3 and min(errors) < RIPE and errors[-1] > 0.5 * errors[-3]
        if level.worst <= target or stuck or level.c.numel() > most:
            return (
                space,
                Point(level.c, parameters),
                level.worst,
                floor_of(statement, found.found, data_groups(level.system)),
            )
        space = next_space(level, target)
        point = Point(carried_over(level, space), parameters)
