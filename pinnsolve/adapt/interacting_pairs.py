"""Which pairs of coordinates interact, found from the residual of a solution without them.

Input: a solution and the pairs that its basis holds. Output: pairs whose lowest products explain more of the residual
than chance lets any of them do. As in orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993) each is
judged by itself, by its part that the functions there are do not hold; products are put through the linearized
equations and conditions, so that a pair counts by what it changes there.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from pinnsolve.adapt.context import SolveContext
from pinnsolve.assembly.rows import Assembly
from pinnsolve.bases.base import Basis
from pinnsolve.bases.interactions import Interactions
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.least_squares import range_basis

Pair = tuple[int, int]
POINTS, SEED = 3000, 3  # unseen points, and what tells them from those of other looks
FEW_PAIRS = 1500  # up to which their products have degree 3 (x y, x^2 y, x y^2), of more degree 2 (x y alone)
TOGETHER = 1000  # pairs whose products are tabulated at a time
NOTHING = 1e-12  # of the largest row: one that is rounding
LEAST = 0.1  # of the largest share: less may be an echo of it
CHANCE = 20.0  # times the median, or 1/rows: the largest share that one of thousands of pairs explains by chance


def interacting_pairs(context: SolveContext, solution: Approximation, held: Sequence[Pair], most: int) -> list[Pair]:
    """At most `most` pairs that are not `held`, those that explain most first."""
    points = max(POINTS, 2 * solution.basis.width)
    assembly, known = context.check_assembly(points, SEED), set(held)
    count = len(context.problem.axes.space)
    pairs = [pair for pair in combinations(range(count), 2) if pair not in known]
    shares: dict[Pair, float] = {}
    degree = 3 if len(pairs) <= FEW_PAIRS else 2
    with torch.no_grad():
        A, r = _rows(assembly, solution, solution.basis)
        size = A.abs().amax(dim=1)
        seen = size > NOTHING * size.max()  # not what all functions meet exactly
        Q = range_basis(A[seen])
        r = r[seen] - Q @ (Q.T @ r[seen])
        for start in range(0, len(pairs), TOGETHER):
            shares |= dict(_shares(assembly, solution, pairs[start : start + TOGETHER], degree, (Q, r, seen)))
    if not shares:
        return []
    noise = max(statistics.median(shares.values()), 1 / assembly.row_count)
    least = max(CHANCE * noise, LEAST * max(shares.values()))
    return sorted((pair for pair in shares if shares[pair] > least), key=lambda pair: -shares[pair])[:most]


def _rows(assembly: Assembly, solution: Approximation, basis: Basis) -> tuple[Tensor, Tensor]:
    """The rows (m, n) of the equations linearized at a solution, on a basis, and the residuals (m,)."""
    blocks = [
        term.rows_on(basis, solution.state, values=term.combined(solution.basis, solution.state))
        for term in assembly.terms
    ]
    return torch.cat([block.A for block in blocks]), torch.cat([block.r.flatten() for block in blocks])


def _shares(
    assembly: Assembly,
    solution: Approximation,
    pairs: Sequence[Pair],
    degree: int,
    known: tuple[Tensor, Tensor, Tensor],
) -> Iterator[tuple[Pair, float]]:
    """Pairs with the share of the squared residual r (m,) that their products explain, one by one.

    `known`: Q, r and which rows are seen.

    Of both, what lies in the range of Q (m, n) is left out; of r it is already, and of the products only where they
    explain much: for others, and there are thousands, the whole product is long enough.
    """
    old = solution.basis.settings()
    settings = {**old, "degree": degree, "radial": 0, "pairs": [list(pair) for pair in pairs]}
    basis = Interactions.create(settings, solution.basis.lower, solution.basis.upper, 0)
    Q, r, seen = known
    A = _rows(assembly, solution, basis)[0][seen]
    along, size = (r @ A) ** 2, A.square().sum(dim=0)
    much = (along > LEAST * (along / size.clamp_min(1e-300)).max() * size).nonzero()[:, 0]
    size[much] -= (Q.T @ A[:, much]).square().sum(dim=0)
    explained = along / (size * r.square().sum()).clamp_min(1e-300)
    explained = explained.reshape(len(assembly.problem.unknowns), basis.width).amax(dim=0)
    numbers = _pair_numbers(basis)
    for number, pair in enumerate(pairs):
        yield pair, float(explained[numbers == number].sum())


def _pair_numbers(basis: Interactions) -> Tensor:
    """(W,): which of the pairs a function belongs to, -1 for none."""
    first, second = (basis.factors[:, slot] for slot in (0, 1))
    space = torch.tensor(basis.space)
    result = torch.full((basis.width,), -1)
    both = (first[:, 1] > 0) & (second[:, 1] > 0)
    for number, (i, j) in enumerate(basis.pairs):
        result[both & (first[:, 0] == space[i]) & (second[:, 0] == space[j])] = number
    return result
