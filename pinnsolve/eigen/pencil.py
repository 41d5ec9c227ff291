"""The rows of a problem as a polynomial in its eigenvalue, and the least squares at a shift.

At the eigenvalue s + m the rows are (Q0 + m Q1 + m^2 Q2) z. What ARPACK iterates is z -> -Q0^+ Q1 z, where Q0^+ is the
least squares on the rows at the shift s: its eigenvalues are 1/m. Where rows are quadratic, it is the companion form
(z, y) -> (-Q0^+ (Q1 z + Q2 y), z) with y = m z (Tisseur & Meerbergen, SIAM Review 43 (2001) 235-286).

Where unknowns are complex, rows are real and imaginary parts, with equal scales: the least squares on them is linear
over complex numbers, too. So Arnoldi's method iterates complex vectors of half the length, at a complex shift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.row_source import RowBlock, State
from pinnsolve.assembly.schur_complement import applied
from pinnsolve.assembly.system import CellSystem

REFINED = 2  # times a solution is refined by its residual, row by row
SEED = 7  # of the vector from which Arnoldi's method starts
REAL = 1e-10  # relative: an imaginary part below it is rounding
QR = 1000  # columns up to which rows are factorized as they are: the normal equations lose half of the digits
DENSE = 60  # columns up to which all eigenvalues are found at once, as for matrices


@dataclass(frozen=True)
class Modes:
    """`values`: (K,) complex eigenvalues, nearest to the shift first; `functions`: (K, C, U, n) complex."""

    values: np.ndarray
    functions: Tensor

    def nearest_to(self, number: complex) -> Modes:
        """The same in the order of their distance from a number; of pairs of conjugates, the lower one first."""
        values = self.values
        order = np.lexsort((values.imag, values.real, np.round(np.abs(values - number), 9)))
        return Modes(values[order], self.functions[torch.from_numpy(order)])


class Pencil:
    """The rows of a system at the shift, and what the eigenvalue adds to them; see the head of the file.

    `degree`: of the rows, in the eigenvalue; `step`: by which rows are told apart; `is_complex`: whether unknowns are.
    """

    def __init__(self, system: CellSystem, shift: complex, degree: int, step: float, is_complex: bool):
        self.shift, self.degree = shift, degree
        self.parts = 2 if is_complex else 1
        zero = system.zero()
        states = [State(zero, eigenvalue_state(shift + k * step, is_complex)) for k in (-1.0, 0.0, 1.0)]
        self.system = system.dense_up_to(QR).scaled_at(states[1])
        below, here, above = (self.system.rows(state) for state in states)
        self.first = _combined([below, above], [-0.5 / step, 0.5 / step])
        self.second = _combined([below, here, above], [0.5 / step**2, -1.0 / step**2, 0.5 / step**2])
        self.rows, self.reduced = self.system.factorized(states[1], here, False)
        self.shape = (zero.shape[0], zero.shape[1] // self.parts, zero.shape[2])

    @property
    def size(self) -> int:
        """Numbers of a function."""
        return math.prod(self.shape)

    def modes(self, count: int, check: Callable[[], None]) -> Modes:
        """So many modes, nearest to the shift first. Raises ArithmeticError where Arnoldi's method finds none."""

        kind = np.complex128 if self.parts == 2 else np.float64

        def product(v: np.ndarray) -> np.ndarray:
            check()
            parts = torch.from_numpy(np.ascontiguousarray(v, dtype=kind)).reshape(self.degree, *self.shape)
            right = [part[..., None] for part in applied(self.first, self._real(parts[0]))]
            if self.degree == 2:
                more = applied(self.second, self._real(parts[1]))
                right = [a + b[..., None] for a, b in zip(right, more, strict=True)]
            result = self._whole(self._solved(right))
            return torch.cat([-result.reshape(-1), *(p.reshape(-1) for p in parts[:-1])]).numpy()

        whole = self.degree * self.size
        if whole <= DENSE:
            reciprocals, vectors = np.linalg.eig(np.stack([product(e) for e in np.eye(whole)], axis=1))
        else:
            reciprocals, vectors = _arnoldi(product, whole, min(count, whole - 2), kind)
        return self._sorted(reciprocals, vectors, count)

    def _real(self, z: Tensor) -> Tensor:
        """(C, U n): the coefficients of all real unknowns from those of a vector of Arnoldi's method."""
        if self.parts == 2:  # the parts of an unknown are one after the other
            z = torch.view_as_real(z).permute(0, 1, 3, 2)
        return z.reshape(self.shape[0], -1)

    def _whole(self, z: Tensor) -> Tensor:
        """The inverse of `_real`."""
        if self.parts == 1:
            return z.reshape(self.shape)
        both = z.reshape(*self.shape[:2], 2, self.shape[2])
        return torch.complex(both[:, :, 0].contiguous(), both[:, :, 1].contiguous())

    def _solved(self, right: list[Tensor]) -> Tensor:
        """(C, U n): the least-squares solution of Q0 z = right, (G, M, 1) per block of rows."""
        z = self.reduced.least(right)
        for _ in range(REFINED):
            left = [r - a for r, a in zip(right, applied(self.rows, z), strict=True)]
            z = z + self.reduced.least(left)
        return z[..., 0]

    def _sorted(self, reciprocals: np.ndarray, vectors: np.ndarray, count: int) -> Modes:
        largest = np.abs(reciprocals).max()
        if not np.isfinite(largest) or largest == 0:
            raise ArithmeticError("no eigenvalue was found")
        finite = np.abs(reciprocals) > 1e-13 * largest
        values, vectors = self.shift + 1.0 / reciprocals[finite], vectors[: self.size, finite]
        values = np.where(np.abs(values.imag) <= REAL * np.abs(values), values.real + 0j, values)
        order = np.argsort(np.abs(values - self.shift))[:count]
        return Modes(values[order], torch.stack([self._function(vectors[:, k]) for k in order]))

    def _function(self, vector: np.ndarray) -> Tensor:
        """(C, U, n) complex, of mean square one; what is real but for a factor is real."""
        vector = vector / np.sqrt(np.sum(vector**2) or 1.0)  # the phase that makes it as real as it can be
        space = self.system.space
        z = torch.from_numpy(np.ascontiguousarray(vector)).to(torch.complex128).reshape(self.shape)
        volume = space.cells.volume / space.cells.volume.sum()
        z = z / torch.sqrt((z.abs().square().sum(dim=(1, 2)) * volume).sum())
        return torch.complex(space.back(z.real.contiguous()), space.back(z.imag.contiguous()))


def eigenvalue_state(value: complex, is_complex: bool) -> Tensor:
    """(P,) the parameters of a state at an eigenvalue: its two parts where unknowns are complex."""
    return torch.tensor([value.real, value.imag][: 2 if is_complex else 1], dtype=torch.float64)


def _combined(rows: Sequence[Sequence[RowBlock]], factors: Sequence[float]) -> list[RowBlock]:
    """Sums of the matrices of blocks of rows."""
    found = []
    for blocks in zip(*rows, strict=True):
        sides = []
        for side in zip(*(block.sides for block in blocks), strict=True):
            matrix = sum(f * A for f, (_, A) in zip(factors, side, strict=True))
            sides.append((side[0][0], matrix))
        found.append(replace(blocks[0], sides=sides))
    return found


def _arnoldi(
    product: Callable[[np.ndarray], np.ndarray], size: int, count: int, kind: type
) -> tuple[np.ndarray, np.ndarray]:
    # scipy takes a tenth of a second to import; few problems need it
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs

    operator = LinearOperator((size, size), matvec=lambda v: product(np.ravel(v)), dtype=kind)
    start: np.ndarray = np.random.default_rng(SEED).standard_normal(size).astype(kind)
    try:
        return eigs(operator, k=count, which="LM", v0=start, ncv=min(size, max(2 * count + 4, 24)))
    except ArpackNoConvergence as error:
        if not len(error.eigenvalues):
            raise ArithmeticError("Arnoldi's method found no eigenvalue") from None
        return error.eigenvalues, error.eigenvectors
    except ArpackError as error:
        raise ArithmeticError(f"Arnoldi's method ended: {error}") from None
