"""Reference for problems/elastic-beam.yaml: products of elements of high degree, graded towards the clamped face.

Half of the beam is enough: u and w are even about y = 1/2, v is odd. Where the clamped face meets free faces the
displacement goes like r**0.7, so cells shrink towards x = 0 and towards the edges of the cross-section like the fourth
power of their number. On a tensor product all of the stiffness matrix is a sum of Kronecker products of matrices of one
coordinate. Conjugate gradients solve it; the preconditioner, the blocks of one component each, is inverted exactly by
diagonalization in each coordinate. The accuracy comes from two levels.

Sources: Schwab, p- and hp-Finite Element Methods (1998); Lynch, Rice, Thomas, Direct solution of partial
difference equations by tensor product methods, Numer. Math. 6 (1964) 185-199.

`python scripts/references/elastic_beam.py` writes problems/references/elastic_beam.npz; with `--verify` it also solves
the problem by scikit-fem with hexahedra of second order (extra `dev`) and prints the difference.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scatter import even_points, relative_difference, write_reference
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, cg

LENGTH, YOUNG, POISSON, WEIGHT = 5.0, 1000.0, 0.3, 1.0
LAME = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
SHEAR = YOUNG / (2 * (1 + POISSON))
COUNT = 2000
ACCURACY = 1e-6  # two levels agree better than this
LEVELS = ((7, 8), (8, 10))  # degree, layers of cells; the last two are compared
GRADING = 4  # power by which cells shrink
UNKNOWNS = ("u_x", "u_y", "u_z")


@dataclass(frozen=True)
class Line:
    """Lagrange elements at Gauss-Lobatto points between `ends`; `clamped`: no function at the first end."""

    ends: np.ndarray
    degree: int
    clamped: bool

    @cached_property
    def nodes(self) -> np.ndarray:
        """Those of a cell, in [-1, 1]."""
        inner = np.polynomial.Legendre.basis(self.degree).deriv().roots()
        return np.concatenate([[-1.0], np.sort(inner.real), [1.0]])

    @property
    def first(self) -> int:
        return int(self.clamped)

    def size(self) -> int:
        return (len(self.ends) - 1) * self.degree + 1 - self.first

    def functions(self, z: np.ndarray, order: int = 0) -> np.ndarray:
        """(N, degree + 1): those of a cell, or their derivatives, at z in [-1, 1]."""
        legendre, coefficients = np.polynomial.legendre, np.linalg.inv(self._table(self.nodes))
        return legendre.legval(z, legendre.legder(coefficients, order) if order else coefficients).T

    def _table(self, z: np.ndarray) -> np.ndarray:
        return np.polynomial.legendre.legvander(z, self.degree)

    def products(self, other: Line, left: int, right: int) -> np.ndarray:
        """Integrals of derivatives, of those of `self` by those of `other`, orders `left` and `right`: (n, m)."""
        z, weights = np.polynomial.legendre.leggauss(self.degree + 1)
        cell = self.functions(z, left).T @ (weights[:, None] * other.functions(z, right))
        total = np.zeros((self.size() + self.first,) * 2)
        for k, half in enumerate(np.diff(self.ends) / 2):
            place = slice(k * self.degree, (k + 1) * self.degree + 1)
            total[place, place] += cell * half ** (1 - left - right)
        return total[self.first :, other.first :]

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the functions that do not vanish at places x, and their values, both (N, degree + 1)."""
        cell = np.clip(np.searchsorted(self.ends, x) - 1, 0, len(self.ends) - 2)
        low, high = self.ends[cell], self.ends[cell + 1]
        values = self.functions((2 * x - low - high) / (high - low))
        numbers = cell[:, None] * self.degree + np.arange(self.degree + 1) - self.first
        return np.maximum(numbers, 0), np.where(numbers < 0, 0.0, values)


def layers(low: float, high: float, count: int) -> np.ndarray:
    """Ends of cells that shrink towards `low`."""
    return low + (high - low) * (np.arange(count + 1) / count) ** GRADING


class Beam:
    """The solved half: y runs from the middle to the side."""

    def __init__(self, degree: int, count: int):
        x = np.concatenate([layers(0, 1, count), [2, 3, 4, 4.8, LENGTH]])
        y = 1.5 - layers(0.5, 1, count)[::-1]
        z = np.concatenate([layers(0, 0.5, count), 1 - layers(0, 0.5, count)[::-1][1:]])
        self.lines = [[Line(x, degree, True), Line(y, degree, i == 1), Line(z, degree, False)] for i in range(3)]
        self.shapes = [tuple(line.size() for line in lines) for lines in self.lines]
        self.splits = np.cumsum([np.prod(shape) for shape in self.shapes])
        self.blocks = [[self._block(i, j) for j in range(3)] for i in range(3)]
        self.modes = [self._modes(i) for i in range(3)]
        self.fields = self._solved()

    def _block(self, i: int, j: int) -> list[tuple[float, list[np.ndarray]]]:
        """Summands of the block of component j in equation i: a factor and a matrix for each coordinate."""

        def product(left: int, right: int) -> list[np.ndarray]:
            pairs = zip(self.lines[i], self.lines[j], strict=True)
            return [a.products(b, int(k == left), int(k == right)) for k, (a, b) in enumerate(pairs)]

        if i != j:
            return [(LAME, product(i, j)), (SHEAR, product(j, i))]
        return [(LAME + 2 * SHEAR if k == i else SHEAR, product(k, k)) for k in range(3)]

    def _modes(self, i: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Functions of each coordinate that diagonalize the block of component i, and what is left of it."""
        pairs = [eigh(line.products(line, 1, 1), line.products(line, 0, 0)) for line in self.lines[i]]
        x, y, z = ((LAME + 2 * SHEAR if k == i else SHEAR) * values for k, (values, _) in enumerate(pairs))
        return [functions for _, functions in pairs], x[:, None, None] + y[:, None] + z

    def _split(self, vector: np.ndarray) -> list[np.ndarray]:
        parts = np.split(vector.ravel(), self.splits[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _applied(self, vector: np.ndarray) -> np.ndarray:
        parts = self._split(vector)
        found = [
            sum(factor * along(matrices, parts[j]) for j in range(3) for factor, matrices in row[j])
            for row in self.blocks
        ]
        return np.concatenate([part.ravel() for part in found])

    def _preconditioned(self, vector: np.ndarray) -> np.ndarray:
        found = []
        for part, (functions, values) in zip(self._split(vector), self.modes, strict=True):
            found.append(along(functions, along([f.T for f in functions], part) / values).ravel())
        return np.concatenate(found)

    def _solved(self) -> list[np.ndarray]:
        """The nodal values of each component."""
        one = [line.products(line, 0, 0).sum(axis=1) for line in (Line(s.ends, s.degree, False) for s in self.lines[2])]
        load = -WEIGHT * np.einsum("i,j,k->ijk", one[0][1:], one[1], one[2])
        right = np.concatenate([np.zeros(self.splits[1]), load.ravel()])
        size, steps = len(right), []
        matrix = LinearOperator((size, size), self._applied)
        inverse = LinearOperator((size, size), self._preconditioned)
        found, failed = cg(matrix, right, rtol=1e-11, maxiter=2000, M=inverse, callback=lambda _: steps.append(1))
        print(f"  {size} coefficients: {len(steps)} steps", flush=True)
        if failed:
            raise SystemExit("conjugate gradients have not converged")
        return self._split(found)

    def __call__(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """u, v and w at points (N, 3) of the whole beam."""
        side = np.sign(points[:, 1] - 0.5)
        place = [points[:, 0], 0.5 + np.abs(points[:, 1] - 0.5), points[:, 2]]
        found = {}
        for name, lines, field in zip(UNKNOWNS, self.lines, self.fields, strict=True):
            (a, f), (b, g), (c, h) = (line.at(x) for line, x in zip(lines, place, strict=True))
            values = field[a[:, :, None, None], b[:, None, :, None], c[:, None, None, :]]
            found[name] = np.einsum("na,nb,nc,nabc->n", f, g, h, values) * (side if name == UNKNOWNS[1] else 1)
        return found


def along(matrices: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """A matrix for each axis of `values`."""
    x, y, z = matrices
    first = (x @ values.reshape(len(values), -1)).reshape(len(x), *values.shape[1:])
    return np.matmul(y, first) @ z.T


def finite_elements(points: np.ndarray, cuts: int) -> dict[str, np.ndarray]:
    """As `Beam`, of all of the beam, by hexahedra of second order that shrink towards edges at the clamped face."""
    from scipy.sparse.linalg import spsolve
    from skfem import Basis, ElementHex2, ElementVector, LinearForm, MeshHex, condense
    from skfem.models.elasticity import linear_elasticity

    across = np.concatenate([layers(0, 0.5, cuts), 1 - layers(0, 0.5, cuts)[::-1][1:]])
    mesh = MeshHex.init_tensor(np.concatenate([layers(0, 0.5, cuts), np.linspace(0.75, LENGTH, 18)]), across, across)
    basis = Basis(mesh, ElementVector(ElementHex2()), intorder=4)
    load = LinearForm(lambda v, _: -WEIGHT * v[2]).assemble(basis)
    stiffness = linear_elasticity(LAME, SHEAR).assemble(basis)
    fixed = basis.get_dofs(mesh.facets_satisfying(lambda x: x[0] < 1e-9, True))
    matrix, right, displacement, free = condense(stiffness, load, D=fixed)
    displacement[free] = spsolve(matrix.tocsc(), right)
    found = (basis.probes(points.T) @ displacement).reshape(3, -1)
    return dict(zip(UNKNOWNS, found, strict=True))


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: relative_difference(a[name], b[name]) for name in UNKNOWNS}


def main() -> None:
    points = even_points(COUNT, [(0, LENGTH), (0, 1), (0, 1)])
    coarse, fine = (Beam(*level)(points) for level in LEVELS)
    found = difference(coarse, fine)
    print("difference between two levels:", ", ".join(f"{name} {value:.1e}" for name, value in found.items()))
    if max(found.values()) > ACCURACY:
        raise SystemExit("the elements have not converged")
    if "--verify" in sys.argv:
        print("hexahedra:", difference(finite_elements(points, 2), fine))
    x, y, z = points.T
    write_reference("elastic_beam.npz", ACCURACY, x=x, y=y, z=z, **fine)


if __name__ == "__main__":
    main()
