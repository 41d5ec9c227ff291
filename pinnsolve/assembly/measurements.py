"""Measurements on cells: rows weighed by their noise, far below the rows of equations and conditions.

What holds exactly goes before what was measured: with s the standard deviations, the loss of the data is
w^2 sum_i (r_i / s_i)^2 over the sum of 1 / s_i^2, and w is so small that the solution is the least-squares estimate
among the solutions of the equations (the weighting method for constraints: Van Loan, SIAM J. Numer. Anal. 22 (1985)
851-864).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pinnsolve.assembly.collocation import measured_points
from pinnsolve.assembly.reduced_data import FoldedData, ReducedData, is_reducible
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.assembly.term_rows import measured_rows
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term

WEIGHT = 1e-3  # w of the rows of data against those of equations, both in the unit of the unknowns
NORMAL = 1.4826  # standard deviations of normal noise per median of its size
HUBER = 1.345  # standard deviations from which on a robust loss grows linearly: 95 % efficiency for normal noise


class DataRows(RowSource):
    """The rows of one data term on the cells; every residual is multiplied by `factor`, for its standard deviation.

    Rows that only fill up cells with fewer measurements are zero.
    """

    kind = "data"

    def __init__(self, term: Term, problem: CompiledProblem, space: Space, factor: float):
        on_cells = self._rows = measured_rows(term, problem, space, measured_points(term, problem))
        self.name, self.term, self.cells, self.row_count = term.name, term, on_cells.cells, on_cells.row_count
        residuals = len(term.residuals)
        one = torch.ones(on_cells.members, 1, dtype=torch.float64)
        self.points = on_cells.points
        self.keep = on_cells.at.keep.repeat(1, residuals)  # (G, M)
        self.x = on_cells.x.repeat(1, residuals, 1)  # (G, M, d)
        self.count = int(self.keep.sum())
        self._root = math.sqrt(on_cells.points)  # the rows of a term are those of a mean
        self._units = one * (factor * self._root)  # (G, 1), or (G, M) under a robust loss
        self._factor = factor

    def reweighed(self, state: State) -> DataRows:
        """Huber's weights (Ann. Math. Stat. 35 (1964) 73-101), by the residuals at the state."""
        if not self.term.robust:
            return self
        size = self.residuals(state).abs()
        # noise that is not stated is that of the better half of the residuals
        size = size / (self.term.noise or NORMAL * float(size[self.keep].median()) or 1.0)
        robust = torch.clamp(HUBER / size.clamp_min(1e-300), max=1.0)
        other = copy(self)
        other._units = self._factor * self._root * robust.sqrt()
        return other

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        block = self._rows.rows(state, matrix)
        sides = [(cells, A * self._units[:, :, None]) for cells, A in block.sides]
        parameters = None if block.parameters is None else block.parameters * self._units[:, :, None]
        return RowBlock(self.name, block.r * self._units, sides, parameters)

    def residuals(self, state: State) -> Tensor:
        """(G, M) residuals as they are, zero where there is no measurement."""
        return self._rows.rows(state, False).r * self._root

    def readings(self, state: State) -> list[tuple[Tensor, Tensor]]:
        """Per residual, the points (N, d) of all measurements and what is left (N,), as robust losses weigh it."""
        left = self.residuals(state) * (self._units / (self._factor * self._root))
        parts = (t.chunk(len(self.term.residuals), 1) for t in (self.x, left, self.keep))
        return [(x[keep], values[keep]) for x, values, keep in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Measurements:
    """The noise of all data terms, given or estimated, and what follows for their rows.

    `sigma`: standard deviations by term; `relative`: the same over the root mean square of what was measured; `counts`:
    of measured values; `weight`: of the rows of data against those of equations, both in the unit of the unknowns.
    """

    terms: tuple[Term, ...]
    sigma: Mapping[str, float]
    relative: Mapping[str, float]
    counts: Mapping[str, int]
    weight: float = WEIGHT
    folded: Mapping[str, FoldedData] = field(default_factory=dict)  # of the terms with very many values

    @classmethod
    def of(cls, problem: CompiledProblem) -> Measurements:
        """The size of measurements stands for noise that is not known yet."""
        terms = tuple(t for t in problem.terms if t.data_file is not None)
        guesses = torch.tensor([p.guess for p in problem.unknown_parameters], dtype=torch.float64)
        sigma, relative, counts, folded = {}, {}, {}, {}
        for term in terms:
            points = measured_points(term, problem)
            rows = TermRows(term, points, problem, 1.0)
            zero = dict.fromkeys(term.features, torch.zeros(points.count, dtype=torch.float64))
            size = float((rows.residuals(zero, State(None, guesses)) ** 2).mean()) ** 0.5
            counts[term.name] = points.count * len(term.residuals)
            sigma[term.name] = term.noise or (size if size > 0 else 1.0)
            relative[term.name] = sigma[term.name] / size if size > 0 else 1.0
            if is_reducible(term, counts[term.name]):
                folded[term.name] = FoldedData(term, problem, points)
        return cls(terms, sigma, relative, counts, folded=folded)

    @property
    def count(self) -> int:
        """Of all measured values."""
        return sum(self.counts.values())

    @property
    def unit(self) -> float:
        """What residuals divided by their standard deviation are multiplied by."""
        return self.weight / math.sqrt(sum(self.counts[name] / self.sigma[name] ** 2 for name in self.sigma))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.sigma)

    @property
    def robust(self) -> bool:
        return any(term.robust for term in self.terms)

    @property
    def stated(self) -> bool:
        """Whether the noise of all of them is stated."""
        return all(term.noise is not None for term in self.terms)

    def rows(
        self, problem: CompiledProblem, space: Space, check: Callable[[], None] = lambda: None
    ) -> list[DataRows | ReducedData]:
        """The rows of every term on the cells of a space; `check` as of `ReducedData`."""
        rows: list[DataRows | ReducedData] = []
        for term in self.terms:
            factor, folded = self.unit / self.sigma[term.name], self.folded.get(term.name)
            if folded is None:
                rows.append(DataRows(term, problem, space, factor))
            else:
                rows.append(ReducedData(folded, space, factor, check))
        return rows
