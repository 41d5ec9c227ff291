"""Weights of the rows of cells: residuals count by the energy they stand for, whatever conducts there, however small.

Rows are brought to the unit of the unknown, whatever the coefficient before its second derivatives. In a material that
conducts a thousand times better, what is then a small residual is a large flux, which its neighbours feel: an inclusion
that conducts well would float at any value. So all rows of a cell are multiplied by its coefficient relative to the
smallest, as in a balance of fluxes.

Rows in the unit of the unknown bound an error in the mean square, and small cells have next to no part in that. In the
plane and in space this leaves functions nearly free that solve the equations beside a point and are infinite there, but
square integrable: log(r) round a small hole or heater, r^(-2/3) at a corner of three quarters of a turn (Grisvard,
Elliptic Problems in Nonsmooth Domains, chapter 4). Their energy is infinite. So rows are multiplied by (H/h)^m in
cells of size h, for equations of order 2m, the largest being H, as in the energy norm (weights that grow where
singularities are: Cox & Fix, Comput. Math. Appl. 10 (1984) 463-475; mesh-dependent ones: Aziz, Kellogg & Stephens,
Math. Comp. 44 (1985) 53-70).

Elastic bodies turn and bend without any, or for next to no energy, so that what polynomials leave of infinite stresses
at corners, weighed like that, outweighs the rows of large cells. There it is (H/h)^(m/2), halfway to the energy norm:
what r^(-s) leaves in the last cells at a corner goes like h^(1 - s) before the weight and h^(1/2 - s) with it, what
polynomials leave of a solution like r^s goes like h^(1 + s) and h^(1/2 + s).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.assembly.cell_rows import CellTerm
from pinnsolve.assembly.row_source import RowSource
from pinnsolve.assembly.term_rows import highest_orders
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import MultiIndex

ALIKE = 1.5  # factor between coefficients that need no balance
MOST = 1e6  # by which rows are multiplied
ELASTIC = 0.5  # of m, where displacements hold each other: see above


def balanced(problem: CompiledProblem, space: Space, sources: Sequence[RowSource]) -> list[RowSource]:
    """The sources, their rows multiplied by what their cells conduct and how small they are, relative to the least."""
    return _multiplied(sources, _of_materials(problem, space, sources) * _of_sizes(problem, space))


def balanced_by_materials(problem: CompiledProblem, space: Space, sources: Sequence[RowSource]) -> list[RowSource]:
    """The sources, `balanced` already or not, with rows multiplied by what their cells conduct alone."""
    return _multiplied(sources, _of_materials(problem, space, sources), True)


def _multiplied(sources: Sequence[RowSource], factor: Tensor, always: bool = False) -> list[RowSource]:
    if not always and not float(factor.max()) > 1.0:
        return list(sources)
    return [source.multiplied(factor) for source in sources]


def _of_materials(problem: CompiledProblem, space: Space, sources: Sequence[RowSource]) -> Tensor:
    """(C,), at least 1: what the material of a cell conducts, relative to the one that conducts least."""
    nothing = torch.ones(space.cells.count, dtype=space.cells.lower.dtype)
    if not problem.materials or space.cells.parts is None:
        return nothing
    conducts = _conductivity(space, sources)
    least = float(conducts.min())
    if not least > 0.0 or not float(conducts.max()) > ALIKE * least:
        return nothing
    return (conducts / least).clamp(max=MOST)


def _of_sizes(problem: CompiledProblem, space: Space) -> Tensor:
    """(C,), at least 1: (H/h)^m in two or more coordinates of space; on a line no function is infinite that solves an
    equation beside a point. Cells that a boundary cuts count by their frames, as in the scales of their rows."""
    axes = [axis for axis, name in enumerate(problem.coordinates) if name != problem.time]
    m = max((k // 2 for orders in highest_orders(problem) for k in (orders[axis] for axis in axes)), default=0)
    if len(axes) < 2 or m == 0:
        return torch.ones(space.cells.count, dtype=space.cells.lower.dtype)
    h = space.cells.size[:, axes].prod(dim=1) ** (1.0 / len(axes))
    return (h.max() / h) ** (ELASTIC * m if _elastic(problem) else m)


def _elastic(problem: CompiledProblem) -> bool:
    """Whether an equation holds different second derivatives of different unknowns, as of displacements."""
    space = [axis for axis, name in enumerate(problem.coordinates) if name != problem.time]
    for one in (one for term in problem.terms if term.kind == "equation" for one in term.linearizations):
        second: dict[str, set[MultiIndex]] = {}
        for feature, _ in one.features:
            if sum(feature.alpha[axis] for axis in space) == 2:
                second.setdefault(feature.unknown, set()).add(feature.alpha)
        if len(set(map(frozenset, second.values()))) > 1:
            return True
    return False


def _conductivity(space: Space, sources: Sequence[RowSource]) -> Tensor:
    """(C,) the largest coefficient of a second derivative in the equations of a cell, at zero; 0 without any."""
    result = torch.zeros(space.cells.count, dtype=torch.float64)
    for source in sources:
        if isinstance(source, CellTerm) and source.is_equation:
            size = source.largest_coefficients(2)
            result.scatter_reduce_(0, source.cells[0], size, "amax")
    return result
