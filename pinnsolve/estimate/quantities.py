"""Quantities of a solution: integrals, means, largest and smallest values, values at points, each with its error.

Input: what the problem asks for, the solution, and the corrected solution of the estimate. Output: a number, or a
series in time. The error is what the correction changes, and what a finer quadrature does; without a correction, what
changes when every unknown is enlarged by its own estimated error. Of nonlinear problems the correction is right up to
the square of the relative error of the unknowns, so as much of the quantity stays in doubt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.collocation import space_of
from pinnsolve.assembly.quadrature import Measure, Rule
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem, Quantity
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol
from pinnsolve.language.to_torch import Evaluator

TIMES = 201  # of a series
FINER = 1.5  # of points per axis, to see what the quadrature leaves out
SEARCH = 40  # steps towards a largest value, each with half the reach
POINTS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Measured:
    """`times`: (T,) of a series, or None; `values`: (T,) or one number; `errors`: the same, estimated."""

    times: np.ndarray | None
    values: np.ndarray
    errors: np.ndarray

    @property
    def last(self) -> dict[str, float]:
        """What the report says: the value at the end, and the largest error of all times."""
        return {"value": float(self.values[-1]), "estimated_error": float(np.max(self.errors))}


def measured_quantities(
    problem: CompiledProblem,
    solution: Approximation,
    corrected: Approximation | None,
    relative: Mapping[str, float] | None,
    times: Sequence[float] | None = None,
) -> dict[str, Measured]:
    """All quantities that a problem asks for; `relative`: estimated errors by unknown, where there is no correction.

    `times`: further ones at which a series is wanted.
    """
    meters = (_Meter(q, problem, times or ()) for q in problem.quantities)
    return {meter.quantity.name: meter.measured(solution, corrected, relative or {}) for meter in meters}


class _Meter:
    def __init__(self, quantity: Quantity, problem: CompiledProblem, times: Sequence[float] = ()):
        self.quantity, self.problem, self.times = quantity, problem, times
        self.evaluator = Evaluator([quantity.expression])

    def measured(
        self, solution: Approximation, corrected: Approximation | None, relative: Mapping[str, float]
    ) -> Measured:
        times = self._times()
        measures = self._measure(solution), None if corrected is None else self._measure(corrected)
        rows = [self._at(t, solution, corrected, relative, measures) for t in (times if times is not None else (None,))]
        values, errors = np.array(rows).T
        last = None if times is None else times[-1]
        finer = self._value(solution, self._measure(solution, FINER), last)
        errors = errors + abs(finer - values[-1]) + self._second_order(relative) * np.abs(values).max(initial=0.0)
        return Measured(times, values, errors)

    def _second_order(self, relative: Mapping[str, float]) -> float:
        """The square of the largest relative error of an unknown, where the problem is not linear."""
        known = [error for error in relative.values() if error is not None and math.isfinite(error)]
        return 0.0 if self.problem.linear else max(known, default=0.0) ** 2

    def _times(self) -> np.ndarray | None:
        axis = self.problem.axes.time_axis
        held = axis is None or any(axis in dict(piece.fixed) for piece in self.quantity.region.pieces)
        return None if held else np.union1d(np.linspace(*self.problem.intervals[axis], TIMES), self.times)

    def _at(self, time, solution, corrected, relative, measures) -> tuple[float, float]:
        measure, finer = measures
        value = self._value(solution, measure, time)
        if corrected is not None:
            return value, abs(self._value(corrected, finer, time) - value)
        changes = [self._value(_enlarged(solution, i, relative.get(name, math.nan)), measure, time)
                   for i, name in enumerate(self.problem.unknowns)]  # fmt: skip
        return value, sum(abs(change - value) for change in changes)

    def _measure(self, solution: Approximation, density: float = 1.0) -> Measure:
        basis = solution.basis
        if isinstance(basis, PouCells):
            return Measure(self.problem, basis.space.cells, max(basis.space.degrees), density)
        return Measure(self.problem, None, 8, density)

    # -- values -------------------------------------------------------------------------------------------------------

    def _value(self, solution: Approximation, measure: Measure, time: float | None) -> float:
        kind = self.quantity.kind
        rule = measure.rule(self.quantity.region, time)
        if not len(rule.x):
            return math.nan
        values = self._values(solution, rule)
        if kind == "integral":
            return float(values @ rule.weights)
        if kind == "mean":
            return float(values @ rule.weights / rule.weights.sum())
        if kind == "value":
            return float(values.mean())
        sign = 1.0 if kind == "maximum" else -1.0
        return sign * self._largest(solution, rule, sign * values, sign)

    def _values(self, solution: Approximation, rule: Rule) -> Tensor:
        """(N,) the expression at the points of a rule."""
        pieces = []
        for start in range(0, len(rule.x), POINTS_AT_ONCE):
            some = slice(start, start + POINTS_AT_ONCE)
            normals = None if rule.normals is None else rule.normals[some]
            pieces.append(self._values_at(solution, rule.x[some], normals))
        return torch.cat(pieces)

    def _values_at(self, solution: Approximation, x: Tensor, normals: Tensor | None) -> Tensor:
        names = self.problem.coordinates
        known = {coordinate_symbol(name): x[:, i] for i, name in enumerate(names)}
        if normals is not None:
            known |= {coordinate_symbol(f"n_{name}"): normals[:, i] for i, name in enumerate(names)}
        parameters = solution.state.parameters
        known |= {coordinate_symbol(p.name): parameters[i] for i, p in enumerate(self.problem.unknown_parameters)}
        features = [s for s in self.evaluator.symbols if isinstance(s, FeatureSymbol)]
        alphas = sorted({s.feature.alpha for s in features})
        if alphas:
            found = solution.basis.combined(x, alphas, solution.state.coefficients)
            index = self.problem.unknowns.index
            known |= {s: found[s.feature.alpha][index(s.feature.unknown)] for s in features}
        value = torch.as_tensor(self.evaluator(known)[0], dtype=torch.float64)
        return value.expand(len(x))

    def _largest(self, solution: Approximation, rule: Rule, values: Tensor, sign: float) -> float:
        """The largest value near that of the best points: by steps that are halved."""
        best = int(values.argmax())
        x, value = rule.x[best].clone(), float(values[best])
        if rule.normals is not None:  # a boundary is not left
            return value
        lower, upper = (torch.tensor([ends[i] for ends in self.problem.intervals]).double() for i in (0, 1))
        free = [a for a in self.problem.axes.space_axes if not self._is_held(a)]
        reach = (upper - lower) / 32
        steps = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0]).double()] * len(free)).reshape(-1, len(free))
        for _ in range(SEARCH):
            trial = x.repeat(len(steps), 1)
            trial[:, free] = trial[:, free] + steps * reach[free]
            trial = torch.minimum(torch.maximum(trial, lower), upper)
            found = torch.where(self._inside(trial), sign * self._values_at(solution, trial, None), -math.inf)
            index = int(found.argmax())
            if float(found[index]) > value:
                x, value = trial[index], float(found[index])
            else:
                reach = reach / 2
        return value

    def _inside(self, x: Tensor) -> Tensor:
        space = space_of(self.problem)
        inside = torch.ones(len(x), dtype=torch.bool) if space is None else space.shape.inside(x[:, list(space.axes)])
        where = where_function(self.quantity.region.where, self.problem.coordinates)
        return inside if where is None else inside & where(x)

    def _is_held(self, axis: int) -> bool:
        return any(axis in dict(piece.fixed) for piece in self.quantity.region.pieces)


def _enlarged(solution: Approximation, unknown: int, share: float) -> Approximation:
    """The solution with one unknown larger by a share of itself."""
    coefficients = solution.state.coefficients.clone()
    coefficients[unknown] *= 1.0 + share
    return Approximation(solution.basis, replace(solution.state, coefficients=coefficients))


def series_table(
    found: Mapping[str, Measured], time: str, chosen: Sequence[float] | None = None
) -> tuple[Sequence[str], np.ndarray] | None:
    """The header and rows of the series, each with its errors, at the times `chosen` of those it was measured at.

    None where there are none.
    """
    series = {name: m for name, m in found.items() if m.times is not None}
    if not series:
        return None
    times = next(iter(series.values())).times
    header = [time, *(column for name in series for column in (name, f"{name}_error"))]
    columns = [times, *(column for m in series.values() for column in (m.values, m.errors))]
    rows = np.stack(columns, axis=1)
    return header, rows if chosen is None else rows[np.isin(times, chosen)]
