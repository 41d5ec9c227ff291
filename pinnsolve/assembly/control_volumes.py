"""The faces and the insides of cells as points and weights, so that what flows out of a cell can be summed.

Every face between two cells has one set of points, which serve both; so the sums over all cells are those over the
boundary of the domain. Weights are lengths, areas, volumes themselves. Cells that are boxes are treated here, those
that a boundary cuts in `plane_volumes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.bases.legendre import gauss_rule, tensor_points
from pinnsolve.bases.piecewise.mesh import Cells
from pinnsolve.compiler.terms import CompiledProblem

MORE = 6  # Gauss points beyond the degree: products of two polynomials, and what coefficients bring, are integrated


@dataclass(frozen=True)
class Rule:
    """Points (G, m, d) of cells (G,), with `weights` (G, m), which may be negative, and `normals` (G, m, d) of faces,
    None inside."""

    cells: Tensor
    x: Tensor
    weights: Tensor
    normals: Tensor | None = None

    @property
    def members(self) -> int:
        """G."""
        return len(self.cells)

    def select(self, chosen: Tensor) -> Rule:
        """Some of the members."""
        normals = None if self.normals is None else self.normals[chosen]
        return Rule(self.cells[chosen], self.x[chosen], self.weights[chosen], normals)


@dataclass(frozen=True)
class Volumes:
    """Of all cells of a space: `inner` faces, each by its two sides, whose normals point out of the first; `outer`
    faces by the names of places; what is `inside`."""

    inner: Sequence[tuple[Rule, Rule]]
    outer: Sequence[tuple[str, Rule]]
    inside: Sequence[Rule]


def box_volumes(problem: CompiledProblem, cells: Cells, degrees: Sequence[int]) -> Volumes:
    """The faces and insides of cells none of which is cut."""
    every = torch.arange(cells.count)
    inner = [_between(cells, axis, degrees, *_contacts(cells, axis, every, every)) for axis in range(cells.dimension)]
    periodic = {p.partner[0] for t in problem.terms for p in t.region.pieces if p.partner is not None}
    outer: list[tuple[str, Rule]] = []
    for axis, ends in enumerate(zip(*(end.tolist() for end in cells.box), strict=True)):
        if axis in periodic:
            above, below = (cells.touching(axis, end) for end in reversed(ends))
            pairs = cells.contacts(axis, above, below, shift=ends[0] - ends[1], across=True)
            inner.append(_between(cells, axis, degrees, *pairs))
            continue
        for sign, end in zip((-1.0, 1.0), ends, strict=True):
            place = f"{problem.coordinates[axis]} = {end:.6g}"
            outer.append((place, _face(cells, axis, degrees, cells.touching(axis, end), sign)))
    return Volumes([pair for pair in inner if pair[0].members], outer, [_inside(cells, degrees)])


def box_contacts(below: Cells, above: Cells, axis: int, degrees: Sequence[int]) -> Rule:
    """The lower faces of the cells `above`, in parts each of which touches one of other cells `below`, with normals out
    of the cells above."""
    both = Cells(*(torch.cat([getattr(cells, end) for cells in (below, above)]) for end in ("lower", "upper")))
    first = torch.arange(below.count)
    i, j = _contacts(both, axis, first, below.count + torch.arange(above.count))
    _, face = _between(both, axis, degrees, i, j)
    return Rule(face.cells - below.count, face.x, face.weights, -face.normals)


def _contacts(cells: Cells, axis: int, below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    return cells.contacts(axis, below, above, across=True)


def _between(cells: Cells, axis: int, degrees: Sequence[int], i: Tensor, j: Tensor) -> tuple[Rule, Rule]:
    """The common part of the upper faces of cells i and the lower faces of cells j, as each of them has it."""
    lower, upper = torch.maximum(cells.lower[i], cells.lower[j]), torch.minimum(cells.upper[i], cells.upper[j])
    x, weights = gauss(lower, upper, degrees, (axis,))
    normals = _along(x, axis, 1.0)
    sides = []
    for number, end in ((i, cells.upper), (j, cells.lower)):
        here = x.clone()
        here[..., axis] = end[number, axis][:, None]
        sides.append(Rule(number, here, weights, normals))
    return sides[0], sides[1]


def _face(cells: Cells, axis: int, degrees: Sequence[int], chosen: Tensor, sign: float) -> Rule:
    x, weights = gauss(cells.lower[chosen], cells.upper[chosen], degrees, (axis,))
    x[..., axis] = (cells.upper if sign > 0 else cells.lower)[chosen, axis][:, None]
    return Rule(chosen, x, weights, _along(x, axis, sign))


def _inside(cells: Cells, degrees: Sequence[int]) -> Rule:
    return Rule(torch.arange(cells.count), *gauss(cells.lower, cells.upper, degrees, ()))


def _along(x: Tensor, axis: int, sign: float) -> Tensor:
    normals = torch.zeros_like(x)
    normals[..., axis] = sign
    return normals


def gauss(lower: Tensor, upper: Tensor, degrees: Sequence[int], held: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Gauss points (G, m, d) in boxes (G, d), at the lower end of the axes that are `held`, and weights (G, m)."""
    free = [a for a in range(len(degrees)) if a not in held]
    rules = [
        gauss_rule(degrees[a] + MORE) if a in free else (torch.zeros(1), torch.ones(1)) for a in range(len(degrees))
    ]
    unit = tensor_points([r[0].to(lower) for r in rules])
    share = tensor_points([r[1].to(lower) for r in rules]).prod(dim=1)
    size = upper - lower
    return lower[:, None] + unit * size[:, None], size[:, free].prod(dim=1)[:, None] * share


def lines_of(cells: Cells, near: float) -> list[Tensor]:
    """Per axis, where boxes begin and end, in order; of places nearer to each other than `near`, one."""
    ends = zip(cells.lower.unbind(dim=1), cells.upper.unbind(dim=1), strict=True)
    return [distinct(torch.cat(both), near) for both in ends]


def distinct(values: Tensor, near: float) -> Tensor:
    """Sorted values, those nearer to the one before than `near` left out."""
    values = values.sort().values
    return values[torch.cat([torch.ones(1, dtype=torch.bool), torch.diff(values) > near])]


def rules_of(volumes: Volumes) -> Iterator[tuple[float, Rule]]:
    """Every face of every cell, with the sign of its normals: out of the cell where that is 1."""
    for one, two in volumes.inner:
        yield 1.0, one
        yield -1.0, two
    for _, rule in volumes.outer:
        yield 1.0, rule
