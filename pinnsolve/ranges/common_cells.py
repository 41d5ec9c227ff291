"""Members on cells of their own -> the same functions on cells that all share, so that one look-up finds all of them.

Input: solutions of the members, each a function on cells. Output: one space of polynomials, the coefficients of each
member in it, and by how much they miss the members. Cells are halved where some member is not met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.initial_mesh import first_cells
from pinnsolve.bases.piecewise.mesh import Cells, joined
from pinnsolve.bases.piecewise.space import BLOCK_NUMBERS, Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.results.solution import Solution

MOST_NUMBERS = 6e7  # of coefficients of all members
MOST_ROUNDS = 14  # of halving
ALSO = 0.25  # of the largest tail of coefficients: axes with so much are halved, too
LITTLE = 0.1  # of what is allowed in all, that a cell may contribute in any case
TAIL = 2  # degrees at the end that tell what the degree does not hold


@dataclass(frozen=True)
class CommonCells:
    """Coefficients (U, K W) on a `basis` of width W, and the root mean square (K, U) by which they miss the members."""

    basis: PouCells
    coefficients: Tensor
    missed: Tensor


def common_cells(problem: CompiledProblem, members: Sequence[Solution], allowed: Tensor) -> CommonCells | None:
    """The members on common cells, each missed by no more than `allowed` (K, U); None where that takes too many."""
    bases = [member.basis for member in members if isinstance(member.basis, PouCells)]
    if len(bases) < len(members):
        return None
    if all(_same(basis, bases[0]) for basis in bases) and not bases[0].slabs:
        coefficients = torch.stack([m.coefficients for m in members], dim=1).flatten(1)
        return CommonCells(bases[0], coefficients, torch.zeros_like(allowed))
    degrees = tuple(max(basis.space.degrees[a] for basis in bases) for a in range(len(problem.intervals)))
    orders = (0,) * len(degrees)
    pending, done = Space(first_cells(problem), degrees, orders), []
    whole = float(pending.cells.volume.sum())
    for number in range(MOST_ROUNDS):
        c, missed = _projected(pending, members)
        bad = (missed > allowed.flatten() * _leniency(pending.cells, whole)).any(dim=1)
        bad &= torch.tensor(number < MOST_ROUNDS - 1)
        good = (~bad).nonzero()[:, 0]
        done.append((pending.cells.chosen(good), c[good], missed[good]))
        if not bool(bad.any()):
            break
        left = bad.nonzero()[:, 0]
        total = sum(cells.count for cells, _, _ in done) + 2 * len(left)
        if total * c.shape[1] * pending.functions > MOST_NUMBERS:
            return None
        marked = pending.cells.chosen(left)
        axes = _axes_to_halve(pending, c[left], missed[left])
        pending = Space(marked.split(torch.ones(len(left), dtype=torch.bool), axes), degrees, orders)
    return _gathered(problem, degrees, done, allowed.shape)


def _leniency(cells: Cells, whole: float) -> Tensor:
    """(C, 1): what a cell may miss, of what is allowed: more where it is so small that it does not count."""
    return (LITTLE / torch.sqrt(cells.volume / whole)).clamp_min(1.0)[:, None]


def _same(one: PouCells, other: PouCells) -> bool:
    a, b = one.space, other.space
    same_kind = a.degrees == b.degrees and a.apart == b.apart and a.cells.count == b.cells.count
    return same_kind and torch.equal(a.cells.lower, b.cells.lower) and torch.equal(a.cells.upper, b.cells.upper)


def _projected(space: Space, members: Sequence[Solution]) -> tuple[Tensor, Tensor]:
    """Coefficients (C, K U, n) of all members, and the root mean square (C, K U) by which they miss them."""
    zero = (0,) * len(space.degrees)
    seen: list[tuple[Tensor, Tensor]] = []

    def values(x: Tensor) -> Tensor:
        found = torch.cat([m.basis.combined(x, [zero], m.coefficients)[zero] for m in members])
        seen.append((x, found))
        return found

    count = len(members) * len(members[0].unknowns)
    c = space.project(values, count)
    missed = c.new_zeros(space.cells.count, count)
    for cut, (x, found) in zip((False, True), seen, strict=False):
        cells = (space.cells.cut == cut).nonzero()[:, 0]
        if len(cells):
            missed[cells] = _missed(space, c, cells, x.reshape(len(cells), -1, x.shape[1]), found, cut)
    return c, missed


def _missed(space: Space, c: Tensor, cells: Tensor, x: Tensor, found: Tensor, cut: bool) -> Tensor:
    """(k, F): how far functions c (C, F, n) are from the values `found` (F, k m) at points x (k, m, d) of k cells."""
    zero, values = (0,) * len(space.degrees), found.reshape(c.shape[1], *x.shape[:2])
    result = []
    for part in torch.arange(len(cells)).split(max(1, int(BLOCK_NUMBERS // (x.shape[1] * space.functions)))):
        chosen = cells[part]
        if cut:
            table = space.tables(space.cells.reference(x[part], chosen)).table(zero)
        else:
            table = space.shared([space.points_per_axis(a) for a in range(x.shape[2])])[2].table(zero)
        fitted = c[chosen] @ table.mT  # (k, F, m)
        result.append((fitted - values[:, part].transpose(0, 1)).square().mean(dim=2).sqrt())
    return torch.cat(result)


def _axes_to_halve(space: Space, c: Tensor, missed: Tensor) -> Tensor:
    """(C, d) bool: the axes along which the coefficients of the worst member end last."""
    worst = missed.argmax(dim=1)
    tensor = space.spread(c[torch.arange(len(c)), worst][:, None])[:, 0]  # (C, p_1 + 1, ...)
    tails = []
    for axis, p in enumerate(space.degrees):
        end = tensor.movedim(axis + 1, 1)[:, max(p + 1 - TAIL, 1) :]
        tails.append((end**2).flatten(1).sum(dim=1).sqrt())
    tail = torch.stack(tails, dim=1)
    return tail >= ALSO * tail.amax(dim=1, keepdim=True)


def _gathered(
    problem: CompiledProblem, degrees: tuple[int, ...], done: Sequence[tuple[Cells, Tensor, Tensor]], shape: torch.Size
) -> CommonCells:
    """The finished cells as one basis; `shape` is (K, U)."""
    cells = joined([one for one, _, _ in done])
    c, missed = torch.cat([c for _, c, _ in done]), torch.cat([m for _, _, m in done])
    lower, upper = (torch.tensor([ends[i] for ends in problem.intervals], dtype=torch.float64) for i in (0, 1))
    basis = PouCells(cells, degrees, lower, upper)
    members, unknowns = shape
    tensor = c.reshape(cells.count, members, unknowns, -1).permute(2, 1, 0, 3)
    rms = torch.sqrt((missed**2 * cells.volume[:, None]).sum(dim=0) / cells.volume.sum())
    return CommonCells(basis, tensor.reshape(unknowns, -1).contiguous(), rms.reshape(members, unknowns))
