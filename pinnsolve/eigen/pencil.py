"""The rows of a problem as a polynomial in its eigenvalue, and the least squares at a shift.

At the eigenvalue s + m the rows are (Q0 + m Q1 + m^2 Q2 + ...) z. What Arnoldi's method iterates is z -> -Q0^+ Q1 z,
where Q0^+ is the least squares on the rows at the shift s: its eigenvalues are 1/m. Where rows are quadratic, it is the
companion form (z, y) -> (-Q0^+ (Q1 z + Q2 y), z) with y = m z, and so on for higher powers (Tisseur & Meerbergen, SIAM
Review 43 (2001) 235-286).

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
from pinnsolve.eigen.block_arnoldi import Aim, largest_eigenvalues
from pinnsolve.problem.stated import Eigenvalues

REFINED, REFINES = 2, 1e-7  # times a solution is refined by its residual, row by row; a change that is the last
SPARED = 100.0  # of the accuracy of modes: refinements that are no larger are spared
SEED = 7  # of the vectors from which Arnoldi's method starts
SMALL = 1e-6  # norm of a known function, of mean square one, that is the zero part of a real one
REAL = 1e-10  # relative: an imaginary part below it is rounding
NODES = (0.0, 1.0, -1.0, 2.0, -2.0)  # at which rows are known, in steps from the shift; powers follow exactly
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
        return Modes(values[order], self.functions[torch.as_tensor(order)])


class Pencil:
    """The rows of a system at the shift, and what the eigenvalue adds to them; see the head of the file.

    `asked`: the eigenvalues that are sought; `step`: by which rows at different eigenvalues are told apart.
    """

    def __init__(self, system: CellSystem, shift: complex, asked: Eigenvalues, step: float):
        self.shift, self.asked = shift, asked
        self.parts = 2 if asked.is_complex else 1
        zero = system.zero()
        nodes = NODES[: asked.degree + 1]
        here, *others = (State(zero, eigenvalue_state(shift + k * step, asked)) for k in nodes)
        self.system = system.dense_up_to(QR).scaled_at(here)
        rows = self.system.rows(here)
        # of the rows that do not hold the eigenvalue nothing is to be told apart
        self._held = [i for i, source in enumerate(self.system.sources) if source.holds_parameters]
        sources = [self.system.sources[i] for i in self._held]
        held = [[rows[i] for i in self._held], *(self.system.rows_of(sources, state) for state in others)]
        factors = np.linalg.inv(np.vander(nodes, increasing=True))[1:]  # of the polynomial through the nodes
        self.powers = [_combined(held, each / step**k) for k, each in enumerate(factors, 1)]
        self.rows, self.reduced = self.system.factorized(here, rows, False)
        self._rough, self._precise = 0.0, False  # changes that need not be made; whether they are no larger
        self.shape = (zero.shape[0], zero.shape[1] // self.parts, zero.shape[2])

    @property
    def size(self) -> int:
        """Numbers of a function."""
        return math.prod(self.shape)

    def modes(self, beside: int, check: Callable[[], None], known: Tensor | None, aim: Aim) -> Modes:
        """The modes asked for and so many `beside`, nearest to the shift first; `aim`: those that must be accurate.

        `known`: (K, C, U, n) complex functions that are near to them. Raises ArithmeticError where none is found.
        """

        def product(v: Tensor) -> Tensor:
            check()
            parts = v.reshape(self.asked.degree, *self.shape, v.shape[1])
            right = [applied(rows, self._real(part)) for rows, part in zip(self.powers, parts, strict=True)]
            z = self._whole(self._solved([sum(columns[1:], columns[0]) for columns in zip(*right, strict=True)]))
            return torch.cat([-z.reshape(self.size, -1), *(part.reshape(self.size, -1) for part in parts[:-1])])

        whole = self.asked.degree * self.size
        kind = torch.complex128 if self.parts == 2 else torch.float64
        if whole <= DENSE:
            reciprocals, vectors = torch.linalg.eig(product(torch.eye(whole, dtype=kind)))
        else:
            start = self._start(min(self.asked.count + beside, whole), known, kind)
            self._rough = SPARED * aim.accuracy
            aim = replace(aim, apart=2.0 * abs(self.shift - self.asked.near))  # nearest to the number asked for
            reciprocals, vectors = largest_eigenvalues(product, start, aim)
        return self._sorted(reciprocals, vectors, self.asked.count + beside)

    def residual(self, modes: Modes) -> float:
        """The norm of the rows at modes, each at its own eigenvalue."""
        space = self.system.space
        both = (modes.functions.real, modes.functions.imag)
        real, imaginary = (torch.stack([space.orthonormal(f.contiguous()) for f in part], dim=3) for part in both)
        z = torch.complex(real, imaginary) if self.parts == 2 else real
        columns = applied(self.rows, self._real(z))
        for k, rows in enumerate(self.powers, 1):
            factors = torch.as_tensor((modes.values - self.shift) ** k)
            scaled = z * (factors if z.is_complex() else factors.real)
            for i, part in zip(self._held, applied(rows, self._real(scaled)), strict=True):
                columns[i] = columns[i] + part
        return math.sqrt(sum(float((column**2).sum()) for column in columns))

    def _start(self, columns: int, known: Tensor | None, kind: torch.dtype) -> Tensor:
        """(N, columns) to start from: what is known, filled up by random vectors."""
        random = np.random.default_rng(SEED).standard_normal((self.asked.degree * self.size, columns))
        start = torch.as_tensor(random).to(kind)
        if known is None or self.asked.degree > 1:  # whose companion form has eigenvalues in its vectors
            return start
        space = self.system.space
        z = torch.complex(*(torch.stack([space.orthonormal(p) for p in part]) for part in (known.real, known.imag)))
        z = z.flatten(1).T  # (N, K)
        z = z if self.parts == 2 else torch.cat([z.real, z.imag], dim=1)
        z = z[:, z.norm(dim=0) > SMALL][:, :columns]
        start[:, : z.shape[1]] = z
        return start

    def _real(self, z: Tensor) -> Tensor:
        """(C, U n, b): the coefficients of all real unknowns from those of vectors of Arnoldi's method."""
        if self.parts == 2:  # the parts of an unknown are one after the other
            z = torch.stack([z.real, z.imag], dim=2)
        return z.reshape(self.shape[0], -1, z.shape[-1])

    def _whole(self, z: Tensor) -> Tensor:
        """The inverse of `_real`: (C, U, n, b)."""
        if self.parts == 1:
            return z.reshape(*self.shape, -1)
        both = z.reshape(*self.shape[:2], 2, self.shape[2], -1)
        return torch.complex(both[:, :, 0].contiguous(), both[:, :, 1].contiguous())

    def _solved(self, right: list[Tensor]) -> Tensor:
        """(C, U n, b): the least-squares solutions of Q0 z = right, (G, M, b) per block of rows that are held."""
        columns = [block.r.new_zeros(*block.r.shape, right[0].shape[2]) for block in self.rows]
        for i, part in zip(self._held, right, strict=True):
            columns[i] = part
        z = self.reduced.least(columns)
        for _ in range(0 if self._precise else REFINED):
            left = [r - a for r, a in zip(columns, applied(self.rows, z), strict=True)]
            change = self.reduced.least(left)
            z, moved = z + change, float(change.norm() / z.norm().clamp_min(1e-300))
            self._precise = moved <= self._rough
            if moved <= REFINES:  # the next is smaller by as much again
                break
        return z

    def _sorted(self, found: Tensor, eigenvectors: Tensor, count: int) -> Modes:
        reciprocals, vectors = found.cpu().numpy(), eigenvectors.cpu().numpy()
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
        z = torch.as_tensor(np.ascontiguousarray(vector)).to(torch.complex128).reshape(self.shape)
        volume = space.cells.volume / space.cells.volume.sum()
        z = z / torch.sqrt((z.abs().square().sum(dim=(1, 2)) * volume).sum())
        return torch.complex(space.back(z.real.contiguous()), space.back(z.imag.contiguous()))


def eigenvalue_state(value: complex, asked: Eigenvalues) -> Tensor:
    """(P,) the parameters of a state at an eigenvalue: its two parts where unknowns are complex."""
    return torch.tensor([value.real, value.imag][: len(asked.symbols)], dtype=torch.float64)


def _combined(rows: Sequence[Sequence[RowBlock]], factors: Sequence[float]) -> list[RowBlock]:
    """Sums of the matrices of blocks of rows."""
    found = []
    for blocks in zip(*rows, strict=True):
        sides = []
        for side in zip(*(block.sides for block in blocks), strict=True):
            matrix = factors[0] * side[0][1]
            for f, (_, A) in zip(factors[1:], side[1:], strict=True):
                matrix = matrix + f * A  # not in one operation: equal products must cancel
            sides.append((side[0][0], matrix))
        found.append(replace(blocks[0], sides=sides))
    return found
