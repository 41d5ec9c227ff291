"""The balances of cells as rows that hold exactly: of an equation div F + s = 0, on faces and in cells.

Rows are of two kinds. What flows out of one cell at a face flows into the other: the integral of F n over the face is
the same on both sides. And the integrals over all faces of a cell and that of s over the cell add up to nothing. So
there is one flux for every face, each cell balances, and what flows through the boundary is what sources give.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellPoints, CellTerm, Side
from pinnsolve.assembly.control_volumes import Rule, Volumes, box_contacts, rules_of
from pinnsolve.assembly.exact_rows import WEIGHT, name_of
from pinnsolve.assembly.row_source import RowBlock, RowSource, State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.assembly.term_rows import highest_orders
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import Balance, CompiledProblem, Term
from pinnsolve.geometry.sampling import Points
from pinnsolve.language.symbols import MultiIndex

NUMBERS_AT_ONCE = 1e7  # of tables
NOTHING = 1e-6  # of the largest row of all cells: what flows through a smaller one is not scaled up


@dataclass(frozen=True)
class Functionals:
    """Integrals of the terms of a material over the members of a rule; `terms`: by material, None for zero."""

    problem: CompiledProblem
    space: Space
    terms: Sequence[Term | None]

    def integrals(self, rule: Rule, state: State, matrix: bool) -> tuple[Tensor, Tensor | None]:
        """(G,) the integrals at a state, and their derivatives (G, U n) by the coefficients of the member's cell."""
        columns = len(self.problem.unknowns) * self.space.functions
        r = rule.weights.new_zeros(rule.members)
        A = rule.weights.new_zeros(rule.members, columns) if matrix else None
        size = max(1, int(NUMBERS_AT_ONCE // (rule.x.shape[1] * self.space.functions)))
        for mine, term in self.by_material(rule):
            for some in mine.split(size):
                block = self._rows(term, rule.select(some)).rows(state, matrix)
                w = rule.weights[some]
                r[some] = (w * block.r).sum(dim=1)
                if matrix:
                    ((_, rows),) = block.sides
                    A[some] = torch.einsum("gm,gmu->gu", w, rows.expand(len(some), *rows.shape[1:]))
        return r, A

    def by_material(self, rule: Rule) -> Iterator[tuple[Tensor, Term]]:
        """The members of a rule in cells of one material, and its term, where that is not zero."""
        material = self.space.cells.material[rule.cells] if len(self.terms) > 1 else torch.zeros_like(rule.cells)
        for number, term in enumerate(self.terms):
            mine = (material == number).nonzero()[:, 0]
            if term is not None and len(mine):
                yield mine, term

    def _rows(self, term: Term, rule: Rule) -> CellTerm:
        """The values of the term at the points, as rows of weight one."""
        space, one = self.space, torch.ones(rule.members, 1, dtype=rule.x.dtype)
        side = Side(rule.cells, space.tables(space.cells.reference(rule.x, rule.cells)))
        normals = None if rule.normals is None else rule.normals.flatten(0, 1)
        points = Points(rule.x.flatten(0, 1)[None], normals, {})
        at = CellPoints((side,), torch.ones(1, rule.x.shape[1], dtype=rule.x.dtype), one[:, 0], points)
        return CellTerm(term, self.problem, space, at, 1.0, [one])


class BalanceRows(RowSource):
    """Rows of a balance, one a member, to hold exactly.

    They get the norm of the share of their cells, see `softness`, by the linearization at zero, or at the state that
    gives the unit. Of linear rows matrices are made once.
    """

    kind = "exact"

    def __init__(self, balance: Balance, problem: CompiledProblem, space: Space, cells: Sequence[Tensor]):
        self.balance, self.space, self.cells = balance, space, cells
        self.name, self.row_count = name_of(balance.name), len(cells[0])
        self._flux = Functionals(problem, space, balance.through)
        self._source = Functionals(problem, space, balance.sources)
        self._soft = softness(problem, space)
        self._scales: Tensor | None = None
        self._unit: State | None = None
        self._factor: Tensor | float = 1.0
        self._known: tuple[Tensor, list[Tensor]] | None = None

    @abstractmethod
    def _found(self, state: State, matrix: bool) -> tuple[Tensor, list[Tensor]]:
        """(G,) what does not balance, and its derivatives (G, U n) by the cells of every side."""

    def scaled_at(self, state: State) -> BalanceRows:
        other = copy(self)
        other._scales, other._unit = None, state
        return other

    def multiplied(self, factor: Tensor) -> BalanceRows:
        """With rows multiplied by what the factors (C,) are in their cells, by the larger one of two."""
        other = copy(self)
        other._factor = torch.stack([factor[cells] for cells in self.cells]).amax(dim=0)[:, None]
        return other

    def forget_tables(self) -> None:
        self._known = None

    def rows(self, state: State, matrix: bool = True) -> RowBlock:
        scale = WEIGHT * self._factor * self._scaled(state)
        if self.balance.linear:
            constant, matrices = self._linear(state)
            r = constant
            if state.coefficients is not None:
                c = state.coefficients.flatten(1)
                pairs = zip(self.cells, matrices, strict=True)
                r = constant + torch.stack([(A * c[cells]).sum(dim=1) for cells, A in pairs]).sum(dim=0)
        else:
            r, matrices = self._found(state, matrix)
        pairs = zip(self.cells, matrices, strict=True)
        sides = [(cells, (scale * A)[:, None]) for cells, A in pairs] if matrix else ()
        return RowBlock(self.name, scale * r[:, None], sides, exact=True)

    def _linear(self, state: State) -> tuple[Tensor, list[Tensor]]:
        """(G,) the constants, and the matrices."""
        if self._known is None:
            self._known = self._found(State(None, state.parameters), True)
        return self._known

    def _scaled(self, state: State) -> Tensor:
        """(G, 1)"""
        if self._scales is None:
            linear = self.balance.linear or self._unit is None
            _, matrices = self._linear(state) if linear else self._found(self._unit, True)
            norm = torch.stack([A.square() @ self._soft for A in matrices]).sum(dim=0).sqrt()
            norm = norm.clamp_min(NOTHING * float(norm.max()))
            share = torch.stack([self.space.cells.volume[cells] for cells in self.cells]).amin(dim=0)
            share = share / self.space.cells.volume.sum()
            self._scales = (share.sqrt() / torch.where(norm > 0, norm, 1.0))[:, None]
        return self._scales


def softness(problem: CompiledProblem, space: Space) -> Tensor:
    """(U n,): about the inverse of the squares that the rows of the equations and of continuity have for each function.

    Of a Legendre polynomial of degree k, scaled to mean square one, the m-th derivative at the ends is about
    (k (k + 1) / 2)^m sqrt(2 k + 1). A row that is of norm one with these weights is about as heavy as the others.
    """
    k = space.exponents.to(space.cells.lower)
    parts = []
    for orders in highest_orders(problem):
        sizes = (0.5 * k * (k + 1)) ** (2 * torch.tensor(orders)) * (2 * k + 1)
        parts.append(1.0 / (1.0 + sizes.sum(dim=1)))  # values themselves are seen at faces
    return torch.cat(parts)


class SharedFluxes(BalanceRows):
    """What flows out of a cell at a face flows into the other."""

    def __init__(self, balance: Balance, problem: CompiledProblem, space: Space, faces: tuple[Rule, Rule]):
        super().__init__(balance, problem, space, [side.cells for side in faces])
        self.faces = faces

    def _found(self, state: State, matrix: bool) -> tuple[Tensor, list[Tensor]]:
        (r, A), (s, B) = (self._flux.integrals(side, state, matrix) for side in self.faces)
        return r - s, [A, -B] if matrix else []


class StartFluxes(BalanceRows):
    """What flows into a cell at the start of a slab has flowed out of the slab before."""

    def __init__(self, balance: Balance, problem: CompiledProblem, space: Space, face: Rule):
        super().__init__(balance, problem, space, [face.cells])
        self.face = face
        self._given = torch.zeros_like(face.weights[:, 0])  # (G,)

    def starting_from(self, before: Callable[[Tensor, MultiIndex], Tensor]) -> StartFluxes:
        """After a function `before(x (N, d), alpha) -> (unknowns, N)`."""
        other, problem = copy(self), self._flux.problem
        other._known, other._given = None, torch.zeros_like(self._given)
        for some, term in self._flux.by_material(self.face):
            face = self.face.select(some)
            x, normals = face.x.flatten(0, 1), face.normals.flatten(0, 1)
            rows = TermRows(term, Points(x[None], normals, {}), problem, 1.0)
            values = {f: before(x, f.alpha)[problem.unknowns.index(f.unknown)] for f in term.features}
            nothing = State(None, torch.zeros(0, dtype=x.dtype))
            through = rows.residuals(values, nothing)[0].reshape(face.weights.shape)
            other._given[some] = (face.weights * through).sum(dim=1)
        return other

    def _found(self, state: State, matrix: bool) -> tuple[Tensor, list[Tensor]]:
        r, A = self._flux.integrals(self.face, state, matrix)
        return r - self._given, [A] if matrix else []


class CellBalances(BalanceRows):
    """What flows out of a cell through all its faces, and its sources."""

    def __init__(self, balance: Balance, problem: CompiledProblem, space: Space, volumes: Volumes):
        super().__init__(balance, problem, space, [torch.arange(space.cells.count)])
        self.volumes = volumes

    def _found(self, state: State, matrix: bool) -> tuple[Tensor, list[Tensor]]:
        cells = self.space.cells
        total = cells.lower.new_zeros(cells.count)
        A = cells.lower.new_zeros(cells.count, len(self._flux.problem.unknowns) * self.space.functions)
        parts = [(sign, rule, self._flux) for sign, rule in rules_of(self.volumes)]
        if any(term is not None for term in self.balance.sources):
            parts += [(1.0, rule, self._source) for rule in self.volumes.inside]
        for sign, rule, functionals in parts:
            r, rows = functionals.integrals(rule, state, matrix)
            total.index_add_(0, rule.cells, sign * r)
            if matrix:
                A.index_add_(0, rule.cells, sign * rows)
        return total, [A] if matrix else []


def start_fluxes(
    problem: CompiledProblem, space: Space, axis: int, before: Cells, values: Callable[[Tensor, MultiIndex], Tensor]
) -> list[StartFluxes]:
    """The rows at the start of a slab along an axis, that follows another on cells `before`, whose solution has these
    `values`."""
    faces = box_contacts(before, space.cells, axis, space.degrees) if problem.balances else None
    return [StartFluxes(one, problem, space, faces).starting_from(values) for one in problem.balances]


def balance_rows(problem: CompiledProblem, space: Space, volumes: Volumes) -> list[RowSource]:
    """The rows of all balances that a problem asks for."""
    found: list[RowSource] = []
    for balance in problem.balances:
        found += [SharedFluxes(balance, problem, space, faces) for faces in volumes.inner]
        found.append(CellBalances(balance, problem, space, volumes))
    return found
