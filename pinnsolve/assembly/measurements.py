"""Measurements on cells: rows weighed by their noise, far below the rows of equations and conditions.

What holds exactly goes before what was measured: with s the standard deviations, the loss of the data is
w^2 sum_i (r_i / s_i)^2 over the sum of 1 / s_i^2, and w is so small that the solution is the least-squares estimate
among the solutions of the equations (the weighting method for constraints: Van Loan, SIAM J. Numer. Anal. 22 (1985)
851-864).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import Rows
from pinnsolve.assembly.face_rows import term_groups
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem, Term

WEIGHT = 1e-3  # w of the rows of data against those of equations, both in the unit of the unknowns
NORMAL = 1.4826  # standard deviations of normal noise per median of its size
HUBER = 1.345  # standard deviations from which on a robust loss grows linearly: 95 % efficiency for normal noise


class DataGroup:
    """The rows of one data term on the cells; `unit` (G, M) is what the residuals are multiplied by.

    `weigh` sets it. Rows that only fill up cells with fewer measurements are zero.
    """

    def __init__(self, term: Term, problem: CompiledProblem, space: Space):
        (self._group,) = term_groups(replace(problem, terms=(term,)), space, {})
        group, residuals = self._group, len(term.residuals)
        group.scales = [torch.ones(group.members, 1, dtype=torch.float64)] * residuals
        self.name, self.members, self.term = term.name, group.members, term
        self.cells_of_sides, self.row_count = group.cells_of_sides, group.row_count
        self.points = group.points
        self.keep = group.keep.repeat(1, residuals)  # (G, M)
        self.x = group.x.repeat(1, residuals, 1)  # (G, M, d)
        self.count = int(self.keep.sum())
        self.root = math.sqrt(group.points)
        self.unit = torch.ones(group.members, 1, dtype=torch.float64)

    def weigh(self, factor: float, robust: Tensor | None = None) -> None:
        """Residuals count `factor` times themselves, and the root of `robust` (G, M) weights of their own."""
        unit = torch.full((self.members, 1), factor * self.root, dtype=torch.float64)
        self.unit = unit if robust is None else unit * robust.sqrt()

    def rows(self, c: Tensor, parameters: Tensor, with_matrix: bool = True) -> Rows:
        rows = self._group.rows(c, parameters, with_matrix)
        sides = [(cells, A * self.unit[:, :, None]) for cells, A in rows.sides]
        border = None if rows.border is None else rows.border * self.unit[:, :, None]
        return Rows(self.name, rows.r * self.unit, sides, border)

    def residuals(self, c: Tensor, parameters: Tensor) -> Tensor:
        """(G, M) residuals as they are, zero where there is no measurement."""
        return self._group.rows(c, parameters, False).r * self.root


class Measurements:
    """The noise of all data terms, given or estimated, and what follows for their rows."""

    def __init__(self, problem: CompiledProblem):
        self.terms = [t for t in problem.terms if t.data_file is not None]
        self.sigma = {t.name: t.noise for t in self.terms}
        self.robust = any(t.robust for t in self.terms)
        self.weight = WEIGHT
        self.relative: dict[str, float] = {}  # sigma over the root mean square of what was measured

    def groups(self, problem: CompiledProblem, space: Space) -> list[DataGroup]:
        """A group per term; the size of measurements stands for noise that is not known yet."""
        groups = [DataGroup(term, problem, space) for term in self.terms]
        for group in groups:
            if group.name not in self.relative:
                zero = torch.zeros(space.cells.count, len(problem.unknowns), space.functions, dtype=torch.float64)
                guesses = torch.tensor([p.guess for p in problem.unknown_parameters], dtype=torch.float64)
                size = float((group.residuals(zero, guesses) ** 2).sum() / group.count) ** 0.5
                self.sigma[group.name] = self.sigma[group.name] or (size if size > 0 else 1.0)
                self.relative[group.name] = self.sigma[group.name] / size if size > 0 else 1.0
        self.weigh(groups)
        return groups

    def unit(self, groups: Sequence[DataGroup]) -> float:
        """What residuals divided by their standard deviation are multiplied by."""
        total = sum(group.count / self.sigma[group.name] ** 2 for group in groups)
        return self.weight / math.sqrt(total)

    def weigh(self, groups: Sequence[DataGroup], c: Tensor | None = None, parameters: Tensor | None = None) -> None:
        """Sets the weights of the rows; with a state, those of a robust loss (Huber 1964) by its residuals there."""
        unit = self.unit(groups)
        for group in groups:
            sigma, robust = self.sigma[group.name], None
            if group.term.robust and c is not None:
                size = group.residuals(c, parameters).abs()
                # noise that is not stated is that of the better half of the residuals
                size = size / (group.term.noise or NORMAL * float(size[group.keep].median()) or 1.0)
                robust = torch.clamp(HUBER / size.clamp_min(1e-300), max=1.0)
            group.weigh(unit / sigma, robust)
