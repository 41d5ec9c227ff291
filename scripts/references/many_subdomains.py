"""Reference for problems/poisson-many-subdomains.yaml: finite elements, graded to the lines where materials meet.

Where four materials meet, the solution is as smooth as a small power of the distance. Cells that shrink by a fixed
factor towards these lines, from both sides, with a fixed degree, converge exponentially in the number of layers all the
same (Babuska & Guo, SIAM J. Math. Anal. 19 (1988) 172-203). Everything is a tensor product of matrices in one
coordinate: those of the polynomials through Gauss-Lobatto points. The accuracy comes from two gradings and degrees.

`python scripts/references/many_subdomains.py` writes problems/references/many_subdomains.npz.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre
from random_fields import BLOCKS, subdomains
from scatter import even_points, finer_of_two, write_reference
from scipy.sparse import csr_matrix, kron
from scipy.sparse.linalg import splu

LOW, WIDTH, COUNT = -10.0, 4.0, 6000
MESHES = ((5, 4), (8, 5))  # layers of cells towards each line, and degree
ACCURACY = 2e-4  # the two agree better than this
SHRINK = 0.2  # from a layer to the next


class Line:
    """Continuous polynomials of a degree on cells of the interval: `matrices[k]` are stiffness and mass in the k-th
    subdomain, `loads[k]` the integrals with one and with a half wave there, each over all nodes."""

    def __init__(self, layers: int, degree: int):
        shrinking = SHRINK ** np.arange(layers, -1.0, -1) / 2
        unit = np.concatenate([[0.0], shrinking, 1 - shrinking[-2::-1]])
        blocks = [LOW + WIDTH * (k + unit) for k in range(len(BLOCKS))]
        self.ends, self.degree = np.append(np.concatenate(blocks), LOW + WIDTH * len(BLOCKS)), degree
        self.count = (len(self.ends) - 1) * degree + 1
        inner = legendre.legroots(legendre.legder([0] * degree + [1]))
        nodes = np.concatenate([[-1.0], inner, [1.0]])
        self._coefficients = np.linalg.inv(legendre.legvander(nodes, degree))
        self.matrices = [self._matrices(k, len(unit)) for k in range(len(BLOCKS))]
        self.loads = [self._loads(k, len(unit)) for k in range(len(BLOCKS))]

    def _cells(self, block: int, per_block: int):
        """First node, middle and half width of the cells of a subdomain."""
        for cell in range(block * per_block, (block + 1) * per_block):
            low, high = self.ends[cell : cell + 2]
            yield cell * self.degree, (low + high) / 2, (high - low) / 2

    def _quadrature(self):
        """Gauss points and weights; values and slopes (points, functions) of the functions of a cell."""
        z, weights = legendre.leggauss(self.degree + 4)
        slopes = legendre.legval(z, legendre.legder(self._coefficients)).T
        return z, weights, legendre.legvander(z, self.degree) @ self._coefficients, slopes

    def _matrices(self, block: int, per_block: int) -> tuple[csr_matrix, csr_matrix]:
        _, weights, values, slopes = self._quadrature()
        local = slopes.T * weights @ slopes, values.T * weights @ values
        rows, columns, entries = [], [], ([], [])
        for first, _, half in self._cells(block, per_block):
            index = first + np.arange(self.degree + 1)
            rows.append(np.repeat(index, len(index)))
            columns.append(np.tile(index, len(index)))
            entries[0].append(local[0].ravel() / half)
            entries[1].append(local[1].ravel() * half)
        where, shape = (np.concatenate(rows), np.concatenate(columns)), (self.count, self.count)
        return tuple(csr_matrix((np.concatenate(e), where), shape=shape) for e in entries)

    def _loads(self, block: int, per_block: int) -> tuple[np.ndarray, np.ndarray]:
        z, weights, values, _ = self._quadrature()
        even, wave = np.zeros(self.count), np.zeros(self.count)
        for first, middle, half in self._cells(block, per_block):
            index = slice(first, first + self.degree + 1)
            even[index] += half * weights @ values
            wave[index] += half * (weights * np.sin(np.pi * (middle + half * z + 2) / 4)) @ values
        return even, wave

    def values(self, x: np.ndarray) -> csr_matrix:
        """(N, nodes): the functions at places."""
        cell = np.clip(np.searchsorted(self.ends, x, side="right") - 1, 0, len(self.ends) - 2)
        low, high = self.ends[cell], self.ends[cell + 1]
        entries = legendre.legvander((2 * x - low - high) / (high - low), self.degree) @ self._coefficients
        columns = cell[:, None] * self.degree + np.arange(self.degree + 1)
        rows = np.repeat(np.arange(len(x)), self.degree + 1)
        return csr_matrix((entries.ravel(), (rows, columns.ravel())), shape=(len(x), self.count))


def solve(points: np.ndarray, layers: int, degree: int) -> np.ndarray:
    """u at points (N, 2)."""
    line, (conductivity, even, bump) = Line(layers, degree), subdomains()
    count, last = line.count, len(BLOCKS) - 1
    matrix, load = csr_matrix((count**2, count**2)), np.zeros((count, count))
    corner = [csr_matrix(([1.0], ([n], [n])), shape=(count, count)) for n in (0, count - 1)]
    for i, (Kx, Mx) in enumerate(line.matrices):
        for j, (Ky, My) in enumerate(line.matrices):
            total = kron(Kx, My) + kron(Mx, Ky)
            for at, end in ((0, corner[0]), (last, corner[1])):  # where a Dn(u) = -a u
                total = total + (kron(end, My) if i == at else 0 * total) + (kron(Mx, end) if j == at else 0 * total)
            matrix = matrix + conductivity[i, j] * total
            (one_x, wave_x), (one_y, wave_y) = line.loads[i], line.loads[j]
            load += even[i, j] * np.outer(one_x, one_y) + bump[i, j] * np.outer(wave_x, wave_y)
    factor = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    u = factor.solve(load.ravel()).reshape(count, count)
    x, y = (line.values(z) for z in points.T)
    return np.asarray(x.multiply((u @ y.T).T).sum(axis=1)).ravel()


def main() -> None:
    points = even_points(COUNT, [(-10.0, 10.0)] * 2)
    u = finer_of_two(lambda *mesh: solve(points, *mesh), MESHES, ACCURACY)
    write_reference("many_subdomains.npz", ACCURACY, x=points[:, 0], y=points[:, 1], u=u)


if __name__ == "__main__":
    main()
