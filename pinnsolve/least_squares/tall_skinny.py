"""Dense least squares: rows to triangles, and the one place where rows that are divided among processes are reduced.

Every process factorizes its own rows; the triangles [R, Q'b] are merged two by two along a binary tree, each pair by a
QR factorization of the two stacked (tall-skinny QR; Demmel, Grigori, Hoemmen & Langou, SIAM J. Sci. Comput. 34 (2012)
A206-A239). It is as stable as a factorization of all rows at once, and its messages are log2(processes) triangles. The
first process solves the last triangle and tells the others.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pinnsolve.least_squares.dense import Solved, reachable, solve_triangle
from pinnsolve.processes.communicator import ALONE, Communicator
from pinnsolve.runtime import go_on

LONG, PANEL = 2e10, 1e10  # operations of a factorization that is made in panels, and of a panel
NARROWEST = 64  # columns of a panel
SURELY = 1e300  # inverse factor of a reflection that is none


def solve_dense(
    A: Tensor, b: Tensor, tolerance: float | None = None, among: Communicator = ALONE,
    check: Callable[[], None] = go_on,
) -> Solved:  # fmt: skip
    """min ||A x - b|| for A: (m, n), b: (m,), by `solve_triangle`.

    Of rows that are divided `among` processes, each gives its own. `check()` is called now and then, and ends the solve
    by raising.
    """
    return solve_reduced(torch.cat([A, b[:, None]], dim=1), tolerance, among, check)


def range_basis(A: Tensor, among: Communicator = ALONE) -> Tensor:
    """Return orthonormal columns Q (m, rank) that span what `solve_dense` can reach with A (m, n).

    Of rows that are divided `among` processes, each gives its own and gets its own rows of Q.
    """
    norms = among.summed(A.square().sum(dim=0)).sqrt() if among.size > 1 else torch.linalg.vector_norm(A, dim=0)
    Q, R = shared_range(A / torch.where(norms > 0, norms, 1.0), among)
    return Q @ among.at_first(lambda: reachable(R)).to(Q)


def triangle_of(rows: Tensor, check: Callable[[], None] = go_on) -> Tensor:
    """The triangle of rows [A, b] (m, n + 1); themselves, where they are no more than columns."""
    m, n = rows.shape
    if m <= n:
        return rows
    if check is not go_on and 2.0 * m * n**2 > LONG:
        return _by_panels(rows, check)
    return torch.linalg.qr(rows, mode="r")[1]


def _by_panels(rows: Tensor, check: Callable[[], None]) -> Tensor:
    """The same, some columns at a time, with a check between: a factorization may take long.

    The reflections of a panel are I - V T V^T (Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989) 53-57), and
    T^-1 holds the upper triangle of V^T V, and the inverse factors on its diagonal.
    """
    m, n = rows.shape
    wide = max(NARROWEST, int(PANEL / (4.0 * m * n)))
    left, triangle = rows.clone(), rows.new_zeros(n, n)  # what is not factorized yet
    for start in range(0, n, wide):
        check()
        panel, factors = torch.geqrf(left[:, :wide])
        count = panel.shape[1]
        V = torch.tril(panel, -1)
        V.diagonal().fill_(1.0)
        inverse = torch.triu(V.mT @ V, 1) + torch.diag(1.0 / torch.where(factors == 0, 1.0 / SURELY, factors))
        rest = left[:, wide:]
        rest.addmm_(V, torch.linalg.solve_triangular(inverse.mT, V.mT @ rest, upper=False), alpha=-1.0)
        triangle[start : start + count, start : start + count] = torch.triu(panel[:count])
        triangle[start : start + count, start + count :] = rest[:count]
        left = rest[count:]
    return triangle


def merged(one: Tensor, other: Tensor) -> Tensor:
    """The triangle of two blocks of rows."""
    return triangle_of(torch.cat([one, other]))


def reduced_triangle(rows: Tensor, among: Communicator, check: Callable[[], None] = go_on) -> Tensor:
    """The triangle of the rows (m, n) of all processes; of use in the first one alone."""
    own = triangle_of(rows, check if among.size == 1 else go_on)  # others may have less to do, and not ask as often
    return among.handed_up(own, merged)


def solve_reduced(
    rows: Tensor, tolerance: float | None, among: Communicator, check: Callable[[], None] = go_on
) -> Solved:
    """The solution for the rows [A, b] (m, n + 1) of all processes, or for triangles of them, the same everywhere."""
    triangle = reduced_triangle(rows, among, check)
    check()
    if among.size == 1:
        return solve_triangle(triangle, tolerance)

    def solved() -> tuple[Tensor, int, float, float]:
        found = solve_triangle(triangle, tolerance)
        return found.x.cpu(), found.rank, found.condition, found.residual_norm

    x, rank, condition, residual = among.at_first(solved)
    return Solved(x.to(rows), rank, condition, residual)


def shared_range(A: Tensor, among: Communicator) -> tuple[Tensor, Tensor]:
    """Q and R of the rows A (m, n) of all processes, of which each has its own rows of Q.

    The triangles of all processes are factorized once more by each of them, which is of use for few columns.
    """
    Q, R = torch.linalg.qr(A)
    if among.size == 1:
        return Q, R
    parts = among.gathered(R)
    above = sum(len(part) for part in parts[: among.rank])
    whole, R = torch.linalg.qr(torch.cat(parts))
    return Q @ whole[above : above + Q.shape[1]], R
