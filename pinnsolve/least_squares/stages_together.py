"""Systems of several stages that differ by shifts, solved together with the factorization of one real shift.

With M_0, M_1 from W^T A = M_0 + z M_1 and P = M_0 + M_1 = W^T W, which is symmetric and positive, stages X (N, s) whose
derivatives in time are X T solve M_0 X + M_1 X T = g, or X + B X (T - 1) = P^-1 g with B = P^-1 M_1. Where eigenvalues
of B lie between 0 and 1, those of the whole lie on the lines from 1 to those of T, so that a small Krylov space does.

It is one of all stages: to read a factorization takes as long as to apply it to a few columns, and what one stage finds
serves the others (block Krylov spaces: O'Leary, Linear Algebra Appl. 29 (1980) 293-322). And it is one of all steps
with the factorization, since what a step starts from was found in it by the one before: later steps hardly add to it
(Krylov subspace recycling: Parks, de Sturler, Mackey, Johnson & Maiti, SIAM J. Sci. Comput. 28 (2006) 1651-1674). Its
least squares are those of the stages themselves, since modes would enlarge what is left of them by the condition of
their eigenvectors. The factorization is a tenth of the complex ones of all modes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pinnsolve.least_squares.products import times
from pinnsolve.least_squares.separate_modes import Factor
from pinnsolve.threads import FAST, in_parts

REDUCED, MOST_STEPS = 2e-3, 15  # what is left of a residual, if nothing else is said; steps of the space
DEPENDENT = 1e-12  # relative squares: of columns that say nothing that others do not
SAME = 1e-12  # relative difference of columns that are one
IGNORED = 0.2  # of what may be left of a residual, of which a direction is not worth a step
AT_ONCE = 8  # directions, to apply a factorization to which takes little longer than to one
MOST_KEPT, NUMBERS_KEPT = 320, 2**25  # columns of the space that the next right-hand sides begin with, and numbers
OTHER_UNITS = 30.0  # how far the sizes of unknowns move from each other before a space is given up


class SparseBlocks:
    """A matrix of blocks (C, n, n) on the diagonal and, for pairs (i, j), upper ones in row i, lower ones in row j."""

    def __init__(
        self, diagonal: Tensor, upper: Tensor | None = None, lower: Tensor | None = None,
        pairs: Sequence[tuple[int, int]] = (),
    ):  # fmt: skip
        self.diagonal, self.upper, self.lower = diagonal, upper, lower
        self.first, self.second = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)

    def times(self, x: Tensor) -> Tensor:
        """(C, n, k)"""
        y = times(self.diagonal, x)
        if len(self.first):
            y.index_add_(0, self.first, times(self.upper, x[self.second]))
            y.index_add_(0, self.second, times(self.lower, x[self.first]))
        return y


class _Space:
    """Orthonormal rows V (q, N), of which the first k have images: B V_k^T = V^T H with H (q, k).

    `unit`: (N,) of the columns.
    """

    def __init__(self, unit: Tensor):
        self.unit = unit
        self._rows = unit.new_empty(32, len(unit))
        self.q, self.H = 0, unit.new_zeros(0, 0)

    @property
    def k(self) -> int:
        return self.H.shape[1]

    @property
    def V(self) -> Tensor:
        return self._rows[: self.q]

    def held(self, Y: Tensor, least: Tensor) -> Tensor:
        """(q, m): Y (N, m) in the rows, with new ones for what they do not hold; directions whose squares are below
        the `least` are left out. Y is lost."""
        known = self._taken_off(Y)
        values, vectors = torch.linalg.eigh(Y.mT @ Y)
        kept = values > least.clamp_min(1e-300)
        root, vectors = values[kept].sqrt(), vectors[:, kept]
        new, part = Y @ (vectors / root), root[:, None] * vectors.mT
        again = self._taken_off(new)  # all once more, for them to be orthogonal to rounding
        L = torch.linalg.cholesky(new.mT @ new)
        self._append(torch.linalg.solve_triangular(L, new.mT, upper=False))
        return torch.cat([known + again @ part, L.mT @ part])

    def combined(self, c: Tensor) -> Tensor:
        """(N, m): V^T c, for c (k, m) of the first rows."""
        found = c.new_empty(len(self.unit), c.shape[1])
        V = self.V[: len(c)]

        def combine(some: slice) -> None:
            torch.mm(V[:, some].mT, c, out=found[some])

        in_parts(combine, len(found), V.numel() * c.shape[1] / FAST)
        return found

    def turn(self, Q: Tensor) -> None:
        """Puts the combinations Q (q - k, q - k) of the rows without images in their place."""
        k = self.k
        self._rows[k : self.q] = Q.mT @ self._rows[k : self.q]
        self.H[k:] = Q.mT @ self.H[k:]

    def add_images(self, images: Tensor) -> None:
        """Of the first rows without: (N, m), which are lost."""
        found = self.held(images, DEPENDENT * images.square().sum(dim=0).max())
        self.H = torch.cat([self.H, found], dim=1)

    def _taken_off(self, Y: Tensor) -> Tensor:
        """(q, m): V Y, which is taken off Y (N, m)."""
        V, numbers = self.V, self.V.numel() * Y.shape[1] / FAST
        known = torch.stack(in_parts(lambda some: V[:, some] @ Y[some], len(Y), numbers)).sum(dim=0)

        def take(some: slice) -> None:
            Y[some].addmm_(V[:, some].mT, known, alpha=-1)

        in_parts(take, len(Y), numbers)
        return known

    def _append(self, rows: Tensor) -> None:
        if self.q + len(rows) > len(self._rows):
            more = self._rows.new_empty(2 * len(self._rows) + len(rows), self._rows.shape[1])
            more[: self.q] = self.V
            self._rows = more
        self._rows[self.q : self.q + len(rows)] = rows
        self.q += len(rows)
        self.H = _padded(self.H, self.q)


class Shifted:
    """The `factor` of P, M_1, `moved`, and the Krylov space of B = P^-1 M_1, which is kept from one right-hand side to
    the next. They know nothing of the length of steps."""

    def __init__(self, factor: Factor, moved: SparseBlocks, unknowns: int, check: Callable[[], None]):
        self.factor, self.moved, self.unknowns, self.check = factor, moved, unknowns, check
        self._space: _Space | None = None

    def begin_afresh(self) -> None:
        """Gives up the space."""
        self._space = None

    def begun(self, Y: Tensor) -> _Space:
        """The space of the right-hand sides before, or a new one for these, P^-1 g (C, n, m)."""
        # residuals count beside the size of their unknown: else those of velocities are lost beside pressures
        unit = Y.unflatten(1, (self.unknowns, -1)).square().sum(dim=(0, 2, 3)).sqrt().clamp_min(1e-300)
        unit = (unit / unit.max()).repeat_interleave(Y.shape[1] // self.unknowns).repeat(len(Y))
        space = self._space
        if space is not None:
            most = max(min(MOST_KEPT, NUMBERS_KEPT // len(unit)), 1)
            ratio = unit / space.unit
            if space.q > most or float(ratio.max()) > OTHER_UNITS * float(ratio.min()):
                space = None
        self._space = space or _Space(unit)
        return self._space

    def expand(self, space: _Space, count: int, like: Tensor) -> None:
        """Gives their images to so many of the first rows without; `like`: (C, n, ...)."""
        self.check()
        new = space.V[space.k : space.k + count].mT * space.unit[:, None]
        moved = self.moved.times(new.unflatten(0, like.shape[:2]))
        space.add_images(self.factor.solve(moved).flatten(0, 1) / space.unit[:, None])


class StagesTogether:
    """The systems of stages with `rates` T^T (s, s) in units of the shift of P.

    `remains`: what the last solve has left of residuals, relative.
    """

    def __init__(self, rates: Tensor, shifted: Shifted):
        from scipy.linalg import schur  # where it is used: it takes a while to load

        self.shifted = shifted
        self._excess = rates.T - torch.eye(len(rates), dtype=rates.dtype)
        triangle, turned = schur(self._excess.cpu().numpy(), output="complex")
        self._triangle, self._turned = (torch.as_tensor(x).to(rates.device) for x in (triangle, turned))
        self.remains = 0.0

    def solve(self, g: Tensor, left: float = REDUCED) -> Tensor:
        """X (C, n, R, s) for as many right-hand sides, each up to a residual of which so much is `left`, relative."""
        (R, s), few = g.shape[2:], _apart(g)
        Y = self.shifted.factor.solve(g.flatten(2)[:, :, few])
        if not bool(torch.isfinite(Y).all()):  # for whoever corrects to see
            return Y.new_full(g.shape, torch.nan)
        space = self.shifted.begun(Y)
        Y = Y.flatten(0, 1) / space.unit[:, None]  # (N, R s), or fewer columns
        share = torch.where(torch.bincount(few // s, minlength=R)[few // s] == 1, s, 1)
        sizes = Y.new_zeros(R).index_add_(0, few // s, share * Y.square().sum(dim=0)).sqrt().clamp_min(1e-300)
        known = space.held(Y / sizes[few // s], torch.tensor((IGNORED * left) ** 2, dtype=Y.dtype))
        known = known[:, torch.searchsorted(few, torch.arange(R * s), right=True) - 1]
        for number in range(MOST_STEPS + 1):
            known = _padded(known, space.q)
            c, residual = self._least(space.H, known.unflatten(1, (R, s)))
            self.remains = float(residual.square().sum(dim=(0, 2)).sqrt().max())
            if self.remains < left or number == MOST_STEPS or space.k == space.q:
                break
            U, values, _ = torch.linalg.svd(residual.flatten(1)[space.k :])
            known[space.k :] = U.mT @ known[space.k :]
            space.turn(U)
            count = max(int((values > IGNORED * left).sum()), AT_ONCE)
            self.shifted.expand(space, min(count, space.q - space.k), g)
        X = space.combined((c * sizes[:, None]).flatten(1))
        return (X * space.unit[:, None]).reshape(g.shape)

    def _least(self, H: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """c (k, R, s) for which c + H c (T - 1) is near to what is `known` (q, R, s), and what is left of it.

        The Schur form of T - 1 makes the stages follow from each other: each is a least squares.
        """
        k, (_, R, s) = H.shape[1], known.shape
        z = torch.diagonal(self._triangle)[:, None, None]
        near, square = H[:k], H.mT @ H
        normal = torch.eye(k, dtype=H.dtype) + z * near + z.conj() * near.mT + z.abs().square() * square
        L = torch.linalg.cholesky(normal)
        side = torch.einsum("qrs,sj->jqr", known.to(z.dtype), self._turned)
        images = torch.zeros_like(side)
        c = side.new_zeros(s, k, R)
        for j in range(s):
            own = side[j] - torch.einsum("i,iqr->qr", self._triangle[:j, j], images[:j])
            c[j] = torch.cholesky_solve(own[:k] + z[j].conj() * (H.mT.to(own.dtype) @ own), L[j])
            images[j] = H.to(own.dtype) @ c[j]
        c = torch.einsum("jkr,sj->krs", c, self._turned.conj()).real
        residual = known - torch.einsum("qk,krs,st->qrt", H, c, self._excess)
        residual[:k] -= c
        return c, residual


def _padded(A: Tensor, rows: int) -> Tensor:
    """With so many rows, zeros below."""
    return torch.cat([A, A.new_zeros(rows - len(A), A.shape[1])]) if len(A) < rows else A


def _apart(g: Tensor) -> Tensor:
    """The numbers of the columns of g (C, n, R, s) that differ: of a difference of steady solutions all stages are the
    same."""
    R, s = g.shape[2:]
    same = ((g - g[..., :1]).abs().amax(dim=(0, 1, 3)) <= SAME * g.abs().amax(dim=(0, 1, 3))).tolist()
    return torch.tensor([r * s + j for r in range(R) for j in range(1 if same[r] else s)])
