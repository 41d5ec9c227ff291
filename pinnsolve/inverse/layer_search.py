"""Where the layers of a function of small total variation meet, and how many there are.

From about where it jumps, the places follow by Gauss-Newton on what is left of the data when all constants are best
(variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413-432), the derivatives by the places taken as
differences. Jumps that the data support least are taken away one by one, and the number is that of the least criterion
of Schwarz, which is right for jumps in the long run (Yao, Statist. Probab. Lett. 6 (1988) 181-189).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.inverse.all_at_once import levels
from pinnsolve.inverse.fit import Answer
from pinnsolve.inverse.layer_grid import grid_values, jumps_of, with_parameters_held
from pinnsolve.inverse.layered_problem import layered, names_of_layers
from pinnsolve.inverse.statement import InverseProblem
from pinnsolve.problem.problem import Problem
from pinnsolve.problem.rough_functions import RoughFunction

GRID = 32  # equal layers in which the function is sought at first
FEW_LEVELS = 3  # of refinement, of fits on the way
STEP = 2e-3  # by which places are moved for a difference, beside the length
MOST_STEPS, MOST_HALVED = 8, 4
GAP = 0.3  # share of the distance to the next that a place moves at once
CLOSEST = 5e-3  # places beside the length that are one
SETTLED = 1e-4  # share of the squares that a step must take away
PER_JUMP = 2.0  # numbers that the data determine: a place and a value
HEAVIER = 3.0  # times the weight of the data of a fit that is near
CERTAIN = 30.0  # rise of the criterion from which on fewer jumps will not do


@dataclass(frozen=True)
class LayerFit:
    """All constants with the places at `edges`: the statement, what was found, and what is left of the data (N,), in
    their standard deviations and in an order that does not depend on the cells."""

    edges: tuple[float, ...]
    statement: InverseProblem
    answer: Answer
    left: Tensor

    @property
    def squares(self) -> float:
        return float(self.left @ self.left)

    @property
    def values(self) -> dict[str, float]:
        """The constants by name."""
        names = (p.name for p in self.statement.problem.unknown_parameters)
        return dict(zip(names, self.answer.parameters.tolist(), strict=True))

    @property
    def criterion(self) -> float:
        """That of Schwarz."""
        count = len(self.left)
        return count * math.log(max(self.squares, 1e-300) / count) + PER_JUMP * len(self.edges) * math.log(count)


@dataclass(frozen=True)
class Layers:
    """The best number of jumps; `slopes`: fits with one place moved each; `richer`: a fit with one jump more, None
    where there is none; `grid`: (M,) values in many equal layers."""

    fit: LayerFit
    slopes: tuple[LayerFit, ...]
    richer: LayerFit | None = None
    grid: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    def by_places(self, length: float) -> Tensor:
        """(N, J): the derivatives of what is left of the data by the places."""
        none = self.fit.left.new_zeros(len(self.fit.left), 0)
        columns = [(one.left - self.fit.left) / (STEP * length) for one in self.slopes]
        return torch.stack(columns, dim=1) if columns else none


class LayerSearch:
    """One search: what makes statements of places, and solves them."""

    def __init__(
        self, problem: Problem, rough: RoughFunction, weights: Mapping[str, float], tolerance: float,
        check: Callable[[], None], work_check: Callable[[InverseProblem], Callable[[Space], None]],
    ):  # fmt: skip
        self.problem, self.rough, self.weights, self.tolerance = problem, rough, weights, tolerance
        self.check, self.work_check = check, work_check

    # -- all of it ----------------------------------------------------------------------------------------------------

    def found(self) -> Layers:
        """Raises `ProblemError` where layers make no sense of the problem, and ArithmeticError without any fit."""
        constant = self.fitted((), {})
        if constant is None:
            raise ArithmeticError("no constant in the place of the function gives a solution; state a `guess` of it")
        start = constant.values[names_of_layers(self.rough, 1)[0]]
        grid = self._on_grid(start, constant.values)
        jumps = jumps_of(grid, self.rough.low, self.rough.high)
        values = dict(zip(names_of_layers(self.rough, len(jumps.values)), jumps.values, strict=True))
        others = {n: v for n, v in constant.values.items() if n not in names_of_layers(self.rough, 1)}
        fit = self.fitted(jumps.edges, {**others, **values})
        by_number: dict[int, Layers] = {0: Layers(constant, ())}
        tried = {}
        while fit is not None and fit.edges:
            tried[len(fit.edges)] = fit
            fewer = self._without_least(fit)
            if fewer is None or fewer.criterion > fit.criterion:
                placed = self.placed(fit)
                by_number[len(fit.edges)] = placed
                fewer = self._without_least(placed.fit)
                if fewer is not None and fewer.criterion > placed.fit.criterion + CERTAIN:
                    break
            fit = fewer
        best = min(by_number.values(), key=lambda one: one.fit.criterion)
        richer = self._with_one_more(best.fit, tried.get(len(best.fit.edges) + 1))
        return replace(best, richer=richer, grid=grid)

    def _with_one_more(self, fit: LayerFit, richer: LayerFit | None) -> LayerFit | None:
        """With a jump more: the one of a richer fit that is farthest from those there are, or in the longest layer."""
        r = self.rough
        ends = [r.low, *fit.edges, r.high]
        places = [0.5 * (a + b) for a, b in itertools.pairwise(ends)] if richer is None else list(richer.edges)
        place = max(places, key=lambda p: min(abs(p - e) for e in ends))
        edges = sorted([*fit.edges, place])
        before, names = names_of_layers(r, len(ends) - 1), names_of_layers(r, len(ends))
        values = [fit.values[name] for name in before]
        values.insert(edges.index(place), values[edges.index(place)])
        others = {n: v for n, v in fit.values.items() if n not in before}
        return self.fitted(edges, {**others, **dict(zip(names, values, strict=True))}, fit)

    def _on_grid(self, start: float, known: Mapping[str, float]) -> Tensor:
        """(M,) values in equal layers."""
        r, names = self.rough, names_of_layers(self.rough, GRID)
        edges = [r.low + r.length * j / GRID for j in range(1, GRID)]
        statement = self.statement(edges, {**known, **dict.fromkeys(names, start)})
        order = {p.name: i for i, p in enumerate(statement.problem.unknown_parameters)}
        return grid_values(statement, [order[name] for name in names])

    # -- places -------------------------------------------------------------------------------------------------------

    def placed(self, fit: LayerFit) -> Layers:
        """With the places where least is left of the data."""
        slopes = self._slopes(fit)
        for _ in range(MOST_STEPS):
            J = Layers(fit, slopes).by_places(self.rough.length)
            step = torch.linalg.lstsq(J, -fit.left[:, None]).solution[:, 0]
            better = self._along(fit, self._within(fit, step))
            if better is None:
                break
            before, fit = fit, better
            slopes = self._slopes(fit)
            if fit.squares > (1 - SETTLED) * before.squares:
                break
        return Layers(fit, slopes)

    def _slopes(self, fit: LayerFit) -> tuple[LayerFit, ...]:
        found = []
        for j in range(len(fit.edges)):
            moved = list(fit.edges)
            moved[j] += STEP * self.rough.length
            found.append(self.fitted(moved, fit.values, fit) or fit)
        return tuple(found)

    def _within(self, fit: LayerFit, step: Tensor) -> Tensor:
        """The step, no longer than a share of the distances to neighbours and ends."""
        places = torch.tensor([self.rough.low, *fit.edges, self.rough.high], dtype=torch.float64)
        gaps = GAP * torch.diff(places)
        return torch.minimum(torch.maximum(step, -gaps[:-1]), gaps[1:])

    def _along(self, fit: LayerFit, step: Tensor) -> LayerFit | None:
        for k in range(MOST_HALVED):
            moved = [e + d for e, d in zip(fit.edges, (step / 2.0**k).tolist(), strict=True)]
            trial = self.fitted(moved, fit.values, fit)
            if trial is not None and trial.squares < fit.squares:
                return trial
        return None

    def _without_least(self, fit: LayerFit) -> LayerFit | None:
        """Without the jump that costs least, all places as they are."""
        trials = []
        for j in range(len(fit.edges)):
            edges = [e for i, e in enumerate(fit.edges) if i != j]
            names, fewer = names_of_layers(self.rough, len(fit.edges) + 1), names_of_layers(self.rough, len(edges) + 1)
            ends = [self.rough.low, *fit.edges, self.rough.high]
            values = [fit.values[name] for name in names]
            lengths = [b - a for a, b in itertools.pairwise(ends)]
            both = (values[j] * lengths[j] + values[j + 1] * lengths[j + 1]) / (lengths[j] + lengths[j + 1])
            values[j : j + 2] = [both]
            others = {n: v for n, v in fit.values.items() if n not in names}
            trials.append(self.fitted(edges, {**others, **dict(zip(fewer, values, strict=True))}, fit))
        return min((t for t in trials if t is not None), key=lambda t: t.squares, default=None)

    # -- one fit ------------------------------------------------------------------------------------------------------

    def statement(self, edges: Sequence[float], values: Mapping[str, float]) -> InverseProblem:
        """The inverse problem with the places there; `values` of constants to start from."""
        compiled = layered(self.problem, self.rough, edges, values, self.tolerance)
        return InverseProblem(
            compiled, self.weights, Measurements.of(compiled), Bounds.of(compiled), check=self.check,
        )  # fmt: skip

    def fitted(
        self, edges: Sequence[float], values: Mapping[str, float], near: LayerFit | None = None
    ) -> LayerFit | None:
        """All constants with the places there, from a fit that is `near`; None where places are too close, or there is
        no solution."""
        ends = [self.rough.low, *edges, self.rough.high]
        if min(b - a for a, b in itertools.pairwise(ends)) < CLOSEST * self.rough.length:
            return None
        statement = self.statement(edges, values)
        begun = None
        if near is not None:
            statement = statement.with_weight(min(HEAVIER * near.answer.fit.weight, 1.0))
            begun = _begun(statement, near.answer)
        answer = None
        try:
            found = levels(statement, self.tolerance, self.work_check(statement), begun)
            for answer in itertools.islice(found, FEW_LEVELS):
                if answer.finished(self.tolerance):
                    break
        except ArithmeticError:
            return None
        return LayerFit(tuple(edges), statement, answer, _left(statement.problem, statement.measurements, answer))


def _begun(statement: InverseProblem, near: Answer) -> tuple[Space, State]:
    """The solution of an answer in cells of other layers."""
    first, zero = statement.first_space(), (0,) * near.space.cells.dimension
    space = Space(first.cells, near.space.degrees, first.orders)
    c = space.project(lambda x: near.space.values(near.c, x, zero), near.c.shape[1])
    return space, with_parameters_held(statement, space, State(c, statement.guess))


def _left(problem: CompiledProblem, measurements: Measurements, answer: Answer) -> Tensor:
    """(N,) what is left of the data, sorted by where they were measured."""
    found = []
    parts = iter(answer.residuals())
    for group in answer.data:
        for _ in group.term.residuals:
            x, left = next(parts)
            order = torch.arange(len(x))
            for axis in reversed(range(x.shape[1])):
                order = order[torch.argsort(x[order, axis], stable=True)]
            found.append(left[order] / measurements.sigma[group.name])
    return torch.cat(found)
