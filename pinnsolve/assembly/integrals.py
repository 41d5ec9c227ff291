"""Integrals that equations and conditions hold: their values at a state, and their derivatives by all coefficients.

An integral is one number, or with time one at every time. It is kept at the nodes of a Gauss rule in every interval
between the ends of cells in time, and between them it is the polynomial through these. So a residual that holds
integrals J has the derivative A + Q g^T by the coefficients, with A that of the term itself, Q (rows, K) its
derivatives by the K numbers, and g (K, coefficients) the derivatives of these: a matrix of low rank, which couples all
cells and is never formed (see `least_squares.coupled`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.cut_rows import packed
from pinnsolve.assembly.quadrature import Measure
from pinnsolve.assembly.row_source import State
from pinnsolve.bases.legendre import ReferenceTables
from pinnsolve.bases.piecewise.mesh import NEAR, Cells
from pinnsolve.bases.piecewise.space import Space, chain_factors
from pinnsolve.compiler.terms import CompiledProblem, Integral
from pinnsolve.errors import PinnsolveError
from pinnsolve.language.symbols import Feature, coordinate_symbol, feature_symbol
from pinnsolve.language.to_torch import Evaluator

FINER = 1.5  # times more points per axis where the error is estimated, which shows what quadrature leaves out


@dataclass(frozen=True)
class TimeNodes:
    """Where integrals are kept: `edges` (E + 1,) of intervals of time and the Gauss points of each, `unit` (m,) in
    [-1, 1]. Without time, `axis` is None and there is one node."""

    axis: int | None
    edges: Tensor
    unit: Tensor

    @classmethod
    def of(cls, cells: Cells, axis: int | None, count: int) -> TimeNodes:
        """The nodes for functions on these cells, `count` of them in every interval."""
        if axis is None:
            return cls(None, torch.zeros(2).double(), torch.zeros(1).double())
        ends = torch.unique(torch.cat([cells.lower[:, axis], cells.upper[:, axis]]))
        apart = torch.diff(ends) > NEAR * (ends[-1] - ends[0])
        edges = ends[torch.cat([torch.ones(1, dtype=torch.bool), apart])]
        return cls(axis, edges, torch.as_tensor(np.polynomial.legendre.leggauss(count)[0]))

    @cached_property
    def times(self) -> list[float] | list[None]:
        """The K nodes, interval by interval."""
        if self.axis is None:
            return [None]
        middle, half = 0.5 * (self.edges[1:] + self.edges[:-1]), 0.5 * torch.diff(self.edges)
        return (middle[:, None] + half[:, None] * self.unit).reshape(-1).tolist()

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) the first node of the interval that holds each point (N, d), and (N, m) the weights by which values at
        the nodes of that interval make the one at the point (barycentric interpolation: Berrut & Trefethen, SIAM
        Review 46 (2004) 501-517)."""
        if self.axis is None:
            return torch.zeros(len(x), dtype=torch.long, device=x.device), torch.ones(len(x), 1).to(x)
        t, edges, unit = x[:, self.axis].contiguous(), self.edges.to(x), self.unit.to(x)
        number = (torch.searchsorted(edges, t, right=True) - 1).clamp(0, len(edges) - 2)
        low, high = edges[number], edges[number + 1]
        s = (2 * t - low - high) / (high - low)
        others = unit[:, None] - unit + torch.eye(len(unit)).to(x)
        away = s[:, None] - unit
        near = away.abs() < 1e-14
        parts = 1.0 / (others.prod(dim=1) * torch.where(near, 1.0, away))
        parts = torch.where(near.any(dim=1, keepdim=True), near.to(x), parts)
        return number * len(unit), parts / parts.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class IntegralValues:
    """The values (K,) of integrals by name at the `nodes`; `measures`: the sizes of their regions, 1 of means."""

    nodes: TimeNodes
    values: Mapping[str, Tensor]
    measures: Mapping[str, float]

    def at(self, x: Tensor) -> dict[str, Tensor]:
        """(N,) by name at the times of points (N, d)."""
        first, weights = self.nodes.weights(x)
        index = first[:, None] + torch.arange(weights.shape[1], device=x.device)
        return {name: (weights * values.to(x)[index]).sum(dim=1) for name, values in self.values.items()}


@dataclass(frozen=True)
class _Part:
    """The points of an integral at one time in cells (G,): `x` and `normals` (G m, d), `weights` (G, m), which are
    zero where a cell has fewer points."""

    cells: Tensor
    tables: ReferenceTables
    x: Tensor
    weights: Tensor
    normals: Tensor | None

    @property
    def measure(self) -> float:
        return float(self.weights.sum())


class _Functional:
    """One integral on a space: its parts, one for every node of time."""

    def __init__(self, integral: Integral, problem: CompiledProblem, space: Space, measure: Measure, nodes: TimeNodes):
        self.integral, self.problem, self.space = integral, problem, space
        self.parts = [_part(integral, space, measure, time) for time in nodes.times]
        self.inner = tuple(name for name, _ in integral.by_integrals)
        features, inner = zip(*integral.by_features, strict=True) if integral.by_features else ((), ())
        self.features: tuple[Feature, ...] = features
        self._evaluate = Evaluator([integral.expression, *inner, *(c for _, c in integral.by_integrals)])

    def linearized(self, number: int, state: State, inner: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """At one time: the value (), the derivative (C, U n) by the coefficients, and those by integrals inside."""
        part, c = self.parts[number], state.coefficients
        known = self._known(part, state)
        known |= {coordinate_symbol(name): inner[name][number] for name in self.inner}
        known |= {feature_symbol(f.unknown, f.alpha): self._values(part, f, c) for f in self.features}
        found = [torch.as_tensor(v, dtype=part.x.dtype).expand(len(part.x)) for v in self._evaluate(known)]
        share = part.weights / part.measure if self.integral.mean else part.weights
        whole = share.reshape(-1)
        kept = [torch.where(whole != 0, v, 0.0) for v in found]
        derivative = self._by_coefficients(part, share, kept[1 : 1 + len(self.features)])
        return whole @ kept[0], derivative, [whole @ v for v in kept[1 + len(self.features) :]]

    def _known(self, part: _Part, state: State) -> dict:
        names = self.problem.coordinates
        known = {coordinate_symbol(c): part.x[:, i] for i, c in enumerate(names)}
        if part.normals is not None:
            known |= {coordinate_symbol(f"n_{c}"): part.normals[:, i] for i, c in enumerate(names)}
        parameters = zip(self.problem.unknown_parameters, state.parameters, strict=False)
        return known | {coordinate_symbol(p.name): value for p, value in parameters}

    def _values(self, part: _Part, f: Feature, c: Tensor | None) -> Tensor:
        if c is None:
            return part.x.new_zeros(len(part.x))
        mine = c[part.cells, self.problem.unknowns.index(f.unknown)]
        values = torch.einsum("gmn,gn->gm", part.tables.table(f.alpha), mine)
        return (values * chain_factors(self.space.cells, part.cells, f.alpha)[:, None]).reshape(-1)

    def _by_coefficients(self, part: _Part, share: Tensor, slopes: Sequence[Tensor]) -> Tensor:
        """(C, U n)"""
        unknowns, n = self.problem.unknowns, self.space.functions
        result = part.x.new_zeros(self.space.cells.count, len(unknowns), n)
        for f, slope in zip(self.features, slopes, strict=True):
            factor = share * slope.reshape(share.shape) * chain_factors(self.space.cells, part.cells, f.alpha)[:, None]
            rows = torch.einsum("gm,gmn->gn", factor, part.tables.table(f.alpha))
            result[:, unknowns.index(f.unknown)].index_add_(0, part.cells, rows)
        return result.flatten(1)


def _part(integral: Integral, space: Space, measure: Measure, time: float | None) -> _Part:
    rule, cells = measure.rule(integral.region, time), space.cells
    if not len(rule.x):
        raise PinnsolveError(f"an integral is taken over {integral.region}, and there is no point of the domain there")
    chosen, index, keep = packed(cells.locate(rule.x)[:, None])
    chosen, flat = chosen[:, 0], index.reshape(-1)
    x = rule.x[flat]
    tables = space.tables(cells.reference(x.reshape(*index.shape, -1), chosen))
    weights = torch.where(keep, rule.weights[index], 0.0)
    return _Part(chosen, tables, x, weights, None if rule.normals is None else rule.normals[flat])


class Integrals:
    """All integrals of a problem on one space, `density` times as many points per axis as are thought to do."""

    def __init__(self, problem: CompiledProblem, space: Space, density: float = 1.0):
        axis = problem.axes.time_axis
        measure = Measure(problem, space.cells, max(space.degrees), density)
        self.problem, self.space = problem, space
        self.nodes = TimeNodes.of(space.cells, axis, 1 if axis is None else space.points_per_axis(axis))
        self.functionals = [_Functional(one, problem, space, measure, self.nodes) for one in problem.integrals]

    @property
    def count(self) -> int:
        """K: how many numbers there are, integral by integral."""
        return len(self.functionals) * len(self.nodes.times)

    def at(self, state: State) -> State:
        """The state with the values of the integrals there."""
        return State(state.coefficients, state.parameters, self._found(state)[0])

    def linearized(self, state: State) -> tuple[State, Tensor]:
        """The state with the values of the integrals there, and their derivatives (C, K, U n) by the coefficients."""
        values, derivatives = self._found(state)
        flat = [one for several in derivatives.values() for one in several]
        return State(state.coefficients, state.parameters, values), torch.stack(flat, dim=1)

    def _found(self, state: State) -> tuple[IntegralValues, dict[str, list[Tensor]]]:
        """Integrals inside others come first."""
        values: dict[str, Tensor] = {}
        derivatives: dict[str, list[Tensor]] = {}
        for one in self.functionals:
            name, here = one.integral.name, []
            derivatives[name] = []
            for number in range(len(self.nodes.times)):
                value, derivative, inner = one.linearized(number, state, values)
                for other, slope in zip(one.inner, inner, strict=True):
                    derivative = derivative + slope * derivatives[other][number]
                here.append(value)
                derivatives[name].append(derivative)
            values[name] = torch.stack(here)
        sizes = {f.integral.name: 1.0 if f.integral.mean else f.parts[0].measure for f in self.functionals}
        return IntegralValues(self.nodes, values, sizes), derivatives
