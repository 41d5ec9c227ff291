"""Quantities of a solution: integrals, means, largest and smallest values, values at points, each with its error.

Input: what the problem asks for, the solution, and the corrected solution of the estimate. Output: a number, or a
series in time. The error is what the correction changes, and what a finer quadrature does; without a correction, what
changes when every unknown is enlarged by its own estimated error. Of nonlinear problems the correction is right up to
the square of the relative error of the unknowns, so as much of the quantity stays in doubt. What is made of other
quantities is in doubt by what each of their errors can change in it, added up.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from pinnsolve.assembly.collocation import space_of
from pinnsolve.assembly.quadrature import Measure
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.sampled_rule import MOST_AXES, SAMPLES, Rule
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem, Quantity
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.spec.parsed import COMBINATION

TIMES = 201  # of a series
FINER = 1.5  # of points per axis, to see what the quadrature leaves out
SEARCH = 40  # steps towards a largest value, each with half the reach
POINTS_AT_ONCE = 20_000
EXTREMA = {"maximum": 1.0, "minimum": -1.0}  # and the sign with which they are the largest


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
    asked: Collection[str] | None = None,
) -> dict[str, Measured]:
    """The quantities of a problem; `relative`: estimated errors by unknown, where there is no correction.

    `times`: further ones at which a series is wanted; `asked`: the names of those that are, if not all.
    """
    names = [q.name for q in problem.quantities] if asked is None else list(asked)
    made = [q for q in problem.quantities if q.kind == COMBINATION and q.name in names]
    needed = {*names, *(str(symbol) for q in made for symbol in q.expression.free_symbols)}
    meters = (_Meter(q, problem, times or ()) for q in problem.quantities if q.name in needed and q.kind != COMBINATION)
    found = {meter.quantity.name: meter.measured(solution, corrected, relative or {}) for meter in meters}
    found |= {q.name: _combined(q, problem, found, solution.state) for q in made}
    return {q.name: found[q.name] for q in problem.quantities if q.name in names}


def _combined(quantity: Quantity, problem: CompiledProblem, parts: Mapping[str, Measured], state: State) -> Measured:
    """What is made of other quantities; where one of them is a series, so is this."""
    evaluator = Evaluator([quantity.expression])
    used = {str(symbol): symbol for symbol in evaluator.symbols}
    series = next((m.times for name, m in parts.items() if name in used and m.times is not None), None)
    constants = {p.name: state.parameters[i] for i, p in enumerate(problem.unknown_parameters)}
    known = {used[name]: value for name, value in constants.items() if name in used}
    if series is not None and problem.time in used:
        known[used[problem.time]] = torch.as_tensor(series)
    known |= {used[name]: torch.as_tensor(m.values) for name, m in parts.items() if name in used}

    def value(changes: Mapping) -> np.ndarray:
        found = torch.as_tensor(evaluator({**known, **changes})[0], dtype=torch.float64)
        return found.expand(1 if series is None else len(series)).cpu().numpy()

    values = value({})
    errors = np.zeros_like(values)
    for name, part in parts.items():
        if name in used:
            moved = [value({used[name]: torch.as_tensor(part.values + s * part.errors)}) for s in (-1.0, 1.0)]
            errors = errors + np.maximum(*(abs(one - values) for one in moved))
    return Measured(series, values, errors)


class _Meter:
    def __init__(self, quantity: Quantity, problem: CompiledProblem, times: Sequence[float] = ()):
        self.quantity, self.problem, self.times = quantity, problem, times
        self.evaluator = Evaluator([quantity.expression])
        self.inner = [_Meter(one, problem) for one in quantity.inner]
        self.integrals: Mapping[sp.Symbol, Tensor] = {}  # that the expression holds, at the time looked at

    def measured(
        self, solution: Approximation, corrected: Approximation | None, relative: Mapping[str, float]
    ) -> Measured:
        times = self._times()
        at: list[float | None] = [None] if times is None else [*times.tolist()]
        measure = self._measure(solution)
        values = self._series(solution, measure, at)
        if corrected is not None:
            errors = np.abs(self._series(corrected, self._measure(corrected), at) - values)
        else:
            changed = [_enlarged(solution, i, relative.get(name, math.nan))
                       for i, name in enumerate(self.problem.unknowns)]  # fmt: skip
            errors = sum(np.abs(self._series(one, measure, at) - values) for one in changed)
        last = at[-1]
        (finer,) = self._series(solution, self._measure(solution, FINER), (last,))
        errors = errors + abs(finer - values[-1]) + self._scatter(solution, measure, last)
        errors = errors + self._second_order(relative) * np.abs(values).max(initial=0.0)
        return Measured(times, values, errors)

    def _scatter(self, solution: Approximation, measure: Measure, time: float | None) -> float:
        """How wrong a mean over samples may be: two standard deviations."""
        rule = measure.rule(self.quantity.region, time)
        if rule.samples is None or self.quantity.kind not in ("integral", "mean") or not len(rule.x):
            return 0.0
        values, count = self._values(solution, rule), int(rule.samples.max()) + 1
        sums, sizes = (torch.zeros(count, dtype=torch.float64).index_add(0, rule.samples, part)
                       for part in (values * rule.weights, rule.weights))  # fmt: skip
        means = sums / sizes if self.quantity.kind == "mean" else sums
        return 2.0 * float(means.std()) / math.sqrt(count)

    def _second_order(self, relative: Mapping[str, float]) -> float:
        """The square of the largest relative error of an unknown, where the problem is not linear."""
        known = [error for error in relative.values() if error is not None and math.isfinite(error)]
        return 0.0 if self.problem.linear else max(known, default=0.0) ** 2

    def _times(self) -> np.ndarray | None:
        axis = self.problem.axes.time_axis
        held = axis is None or any(axis in dict(piece.fixed) for piece in self.quantity.region.pieces)
        return None if held else np.union1d(np.linspace(*self.problem.intervals[axis], TIMES), self.times)

    def _measure(self, solution: Approximation, density: float = 1.0) -> Measure:
        basis = solution.basis
        if isinstance(basis, PouCells):
            return Measure(self.problem, basis.space.cells, max(basis.space.degrees), density)
        return Measure(self.problem, None, 8, density)

    # -- values -------------------------------------------------------------------------------------------------------

    def _series(self, solution: Approximation, measure: Measure, times: Sequence[float | None]) -> np.ndarray:
        """(T,) the quantity at the times; None for where that is no coordinate."""
        sign, starts, found, known = EXTREMA.get(self.quantity.kind), [], [], []
        for time in times:
            rule = measure.rule(self.quantity.region, time)
            self.integrals = self._inner(solution, measure, time)
            if sign is None or not len(rule.x):
                found.append(self._value(solution, rule))
                continue
            values = sign * self._values(solution, rule)
            best = int(values.argmax())
            found.append(float(values[best]))
            starts.append(rule.x[best])
            known.append(self.integrals)
        if sign is None or len(starts) < len(found):
            return np.array(found)
        largest = np.array(found)
        if rule.normals is None:  # a boundary is not left
            several = {symbol: torch.stack([one[symbol] for one in known]) for symbol in self.integrals}
            largest = self._climbed(solution, torch.stack(starts), torch.as_tensor(largest), sign, several)
        return sign * largest

    def _inner(self, solution: Approximation, measure: Measure, time: float | None) -> dict[sp.Symbol, Tensor]:
        """The integrals that the expression holds, at a time."""
        known: dict[sp.Symbol, Tensor] = {}
        for meter in self.inner:
            meter.integrals, quantity = known, meter.quantity
            value = meter._value(solution, measure.rule(quantity.region, time))
            known = {**known, coordinate_symbol(quantity.name): torch.tensor(value, dtype=torch.float64)}
        return known

    def _value(self, solution: Approximation, rule: Rule) -> float:
        """An integral, a mean or a value by a rule; NaN where it has no points."""
        kind = self.quantity.kind
        if not len(rule.x):
            return math.nan
        values = self._values(solution, rule)
        if kind == "integral":
            many = 1 if rule.samples is None else SAMPLES
            return float(values @ rule.weights) / many
        if kind == "mean":
            return float(values @ rule.weights / rule.weights.sum())
        return float(values.mean())

    def _values(self, solution: Approximation, rule: Rule) -> Tensor:
        """(N,) the expression at the points of a rule."""
        pieces = []
        for start in range(0, len(rule.x), POINTS_AT_ONCE):
            some = slice(start, start + POINTS_AT_ONCE)
            normals = None if rule.normals is None else rule.normals[some]
            integrals = {s: v[some] if v.ndim else v for s, v in self.integrals.items()}
            pieces.append(self._values_at(solution, rule.x[some], normals, integrals))
        return torch.cat(pieces)

    def _values_at(
        self, solution: Approximation, x: Tensor, normals: Tensor | None, integrals: Mapping[sp.Symbol, Tensor]
    ) -> Tensor:
        names = self.problem.coordinates
        known = {coordinate_symbol(name): x[:, i] for i, name in enumerate(names)}
        if normals is not None:
            known |= {coordinate_symbol(f"n_{name}"): normals[:, i] for i, name in enumerate(names)}
        parameters = solution.state.parameters
        known |= {coordinate_symbol(p.name): parameters[i] for i, p in enumerate(self.problem.unknown_parameters)}
        known |= integrals
        features = [s for s in self.evaluator.symbols if isinstance(s, FeatureSymbol)]
        alphas = sorted({s.feature.alpha for s in features})
        if alphas:
            found = solution.basis.combined(x, alphas, solution.state.coefficients)
            index = self.problem.unknowns.index
            known |= {s: found[s.feature.alpha][index(s.feature.unknown)] for s in features}
        value = torch.as_tensor(self.evaluator(known)[0], dtype=torch.float64)
        return value.expand(len(x))

    def _climbed(
        self, solution: Approximation, x: Tensor, values: Tensor, sign: float, integrals: Mapping[sp.Symbol, Tensor]
    ) -> np.ndarray:
        """(T,) the largest values near places x (T, d) with `values` (T,): by steps that are halved, of all at once.

        `integrals`: (T,) each, those that the expression holds at the times of the places.
        """
        lower, upper = (torch.tensor([ends[i] for ends in self.problem.intervals]).double() for i in (0, 1))
        free = [a for a in self.problem.axes.space_axes if not self._is_held(a)]
        x, values = x.clone(), values.clone()
        steps = _directions(len(free))
        reach = ((upper - lower)[free] / 32).repeat(len(x), 1)
        for _ in range(SEARCH if len(free) <= MOST_AXES else SEARCH * len(free)):
            going = (reach > 2.0**-SEARCH * (upper - lower)[free]).any(dim=1).nonzero()[:, 0]
            if not len(going):
                break
            trial = x[going, None].repeat(1, len(steps), 1)
            trial[:, :, free] += steps * reach[going, None]
            flat = torch.minimum(torch.maximum(trial, lower), upper).flatten(0, 1)
            self.integrals = {s: v[going].repeat_interleave(len(steps)) for s, v in integrals.items()}
            heights = sign * self._values(solution, Rule(flat, torch.ones(len(flat))))
            found = torch.where(self._inside(flat), heights, -math.inf).reshape(len(going), -1)
            most, index = found.max(dim=1)
            better = most > values[going]
            moved = going[better]
            x[moved] = flat.reshape(trial.shape)[better, index[better]]
            values[moved] = most[better]
            reach[going[~better]] /= 2
        return values.numpy()

    def _inside(self, x: Tensor) -> Tensor:
        space = space_of(self.problem)
        inside = torch.ones(len(x), dtype=torch.bool) if space is None else space.shape.inside(x[:, list(space.axes)])
        where = where_function(self.quantity.region.where, self.problem.coordinates)
        return inside if where is None else inside & where(x)

    def _is_held(self, axis: int) -> bool:
        return any(axis in dict(piece.fixed) for piece in self.quantity.region.pieces)


def _directions(count: int) -> Tensor:
    """(S, count): steps to all neighbours; along many axes, one of them at a time."""
    if count > MOST_AXES:
        return torch.cat([torch.eye(count), -torch.eye(count)]).double()
    return torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0]).double()] * count).reshape(-1, count)


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
