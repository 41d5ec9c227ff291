"""Finite elements of any degree on curved tetrahedra, for problems without fixed values (extra `dev`, for Gmsh).

The nodes of the mesh are those of the functions (isoparametric elements). Gmsh makes straight ones, which are bent onto
the balls in which the domain has holes here: Gmsh's own take minutes to unfold. Input: what is drawn in Gmsh, a size
and a degree. Output: a field that can be evaluated at any point inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg, splu
from scipy.spatial import cKDTree
from skfem.quadrature import get_quadrature
from skfem.refdom import RefTet

Function = Callable[[np.ndarray], np.ndarray]
CANDIDATES = 40  # tetrahedra around a point in which it may lie
TOGETHER = 1500  # tetrahedra whose matrices are made at once


@dataclass(frozen=True)
class Ball:
    """A hole. Sides in the plane z = `level` stay in it when they are bent onto the sphere."""

    center: tuple[float, float, float]
    radius: float
    level: float

    def touches(self, x: np.ndarray) -> np.ndarray:
        """Whether points (N, 3) lie on the sphere."""
        return abs(np.linalg.norm(x - self.center, axis=1) / self.radius - 1) < 1e-6

    def onto(self, x: np.ndarray) -> np.ndarray:
        """Points (N, 3) near the sphere moved onto it: away from its center, the more along the plane the nearer it."""
        a = x - self.center
        way = a.copy()
        way[:, 2] *= -np.expm1(-(((x[:, 2] - self.level) / self.radius) ** 2))
        along, square = np.sum(a * way, axis=1), np.sum(way**2, axis=1)
        step = np.sqrt(along**2 - square * (np.sum(a**2, axis=1) - self.radius**2)) - along
        return x + (step / square)[:, None] * way


@dataclass(frozen=True)
class Tetrahedra:
    """Nodes (N, 3), nodes of each cell (T, n), and of the reference cell: nodes (n, 3), quadrature."""

    nodes: np.ndarray
    cells: np.ndarray
    degree: int
    local: np.ndarray
    quadrature: tuple[np.ndarray, np.ndarray]

    def functions(self, z: np.ndarray) -> np.ndarray:
        """(..., n): Lagrange's at places z (..., 3) of the reference cell."""
        return monomials(z, self.degree) @ self._coefficients

    def gradients(self, z: np.ndarray) -> np.ndarray:
        """(..., 3, n)."""
        return np.stack([monomials(z, self.degree, axis) for axis in range(3)], axis=-2) @ self._coefficients

    @cached_property
    def _coefficients(self) -> np.ndarray:
        return np.linalg.inv(monomials(self.local, self.degree))

    def middles(self) -> np.ndarray:
        return self.nodes[self.cells[:, :4]].mean(axis=1)

    def at_quadrature(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
        """Some cells after the other: which, points (T, q, 3), weights (T, q), gradients (T, q, 3, n).

        Raises ValueError for a cell that is turned inside out.
        """
        z, weights = self.quadrature
        functions, gradients = self.functions(z), self.gradients(z)
        for start in range(0, len(self.cells), TOGETHER):
            some = slice(start, start + TOGETHER)
            corners = self.nodes[self.cells[some]]
            jacobian = np.einsum("qkn,tni->tqki", gradients, corners, optimize=True)
            volume = np.linalg.det(jacobian)
            if volume.min() <= 0:
                raise ValueError(f"{np.sum(volume.min(axis=1) <= 0)} tetrahedra are turned inside out")
            yield some, functions @ corners, volume * weights, np.linalg.solve(jacobian, gradients)

    def volume(self) -> float:
        return float(sum(weights.sum() for _, _, weights, _ in self.at_quadrature()))

    def solve(self, reaction: np.ndarray, source: Function) -> np.ndarray:
        """-laplacian(u) + reaction u = source, one value of `reaction` for each cell, no flux: u at the nodes (N,)."""
        count, load = len(self.nodes), np.zeros(len(self.nodes))
        matrix = csr_matrix((count, count))
        functions = self.functions(self.quadrature[0])
        squares = (functions[:, :, None] * functions[:, None, :]).reshape(len(functions), -1)
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        for some, points, weights, gradients in self.at_quadrature():
            cells, n = self.cells[some], functions.shape[1]
            weighted = (gradients * weights[:, :, None, None]).reshape(len(cells), -1, n)
            local = weighted.transpose(0, 2, 1) @ gradients.reshape(len(cells), -1, n)
            local += ((weights * reaction[some, None]) @ squares).reshape(-1, n, n)
            waiting.append((cells, local))
            np.add.at(load, cells, (weights * source(points)) @ functions)
            if len(waiting) * TOGETHER > 10_000:
                matrix, waiting = matrix + summed(waiting, count), []
        if waiting:
            matrix = matrix + summed(waiting, count)
        return conjugate_gradients(matrix, load, self._linear())

    def _linear(self) -> csr_matrix:
        """(N, P): what takes values at corners to those at nodes, linearly in each cell."""
        numbers, corners = np.unique(self.cells[:, :4], return_inverse=True)
        _, first = np.unique(self.cells, return_index=True)
        cell, node = np.divmod(first, self.cells.shape[1])
        rows = np.broadcast_to(np.arange(len(first))[:, None], (len(first), 4))
        values = lattice(self.degree)[node] / self.degree
        places = (rows.ravel(), corners.reshape(-1, 4)[cell].ravel())
        return csr_matrix((values.ravel(), places), (len(first), len(numbers)))

    def at(self, points: np.ndarray, stretch: Sequence[float]) -> Function:
        """What takes values at nodes to those at points (N, 3); cells are compact in coordinates times `stretch`."""
        _, near = cKDTree(self.middles() * stretch).query(points * stretch, k=min(CANDIDATES, len(self.cells)))
        best, chosen, place = np.full(len(points), -np.inf), near[:, 0].copy(), np.zeros((len(points), 3))
        for cells in near.T:
            unsure = np.flatnonzero(best < 0)
            z = self._local(points[unsure], cells[unsure])
            inside = np.where(np.isfinite(z[:, 0]), np.minimum(z.min(axis=1), 1 - z.sum(axis=1)), -np.inf)
            better = inside > best[unsure]
            which = unsure[better]
            best[which], chosen[which], place[which] = inside[better], cells[which], z[better]
        if best.min() < -0.1:  # coarse cells cut the curves
            raise ValueError(f"a point lies outside the mesh, {best.min():.2g} of a tetrahedron")
        functions = self.functions(place)
        return lambda u: np.einsum("pn,pn->p", functions, u[self.cells[chosen]])

    def _local(self, points: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Coordinates (N, 3) in curved cells by Newton's method; far outside where it does not converge."""
        corners, z = self.nodes[self.cells[cells]], np.full((len(points), 3), 0.25)
        for _ in range(12):
            miss = points - np.einsum("pn,pni->pi", self.functions(z), corners)
            jacobian = self.gradients(z) @ corners
            z = np.clip(z + np.linalg.solve(jacobian.transpose(0, 2, 1), miss[:, :, None])[:, :, 0], -0.5, 1.5)
        miss = points - np.einsum("pn,pni->pi", self.functions(z), corners)
        return np.where(np.abs(miss).max(axis=1, keepdims=True) < 1e-10, z, -np.inf)


def monomials(z: np.ndarray, degree: int, axis: int | None = None) -> np.ndarray:
    """(..., n) at z (..., 3), or their derivatives along an axis."""
    powers = lattice(degree)[:, 1:]
    table = z[..., None] ** np.arange(degree + 1)  # (..., 3, degree + 1)
    columns = []
    for m, n in enumerate(powers.T):
        lower = np.maximum(n - 1, 0)
        columns.append(n * table[..., m, lower] if m == axis else table[..., m, n])
    return columns[0] * columns[1] * columns[2]


def summed(parts: list[tuple[np.ndarray, np.ndarray]], count: int) -> csr_matrix:
    """The matrix of cells (T, n) and theirs (T, n, n)."""
    cells = np.concatenate([cells for cells, _ in parts]).astype(np.int32)
    values = np.concatenate([local for _, local in parts])
    rows, columns = np.broadcast_arrays(cells[:, :, None], cells[:, None, :])
    return csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), (count, count))


def conjugate_gradients(matrix: csr_matrix, right: np.ndarray, linear: csr_matrix) -> np.ndarray:
    """Preconditioned by the diagonal and, in the space of the columns of `linear`, by factorization."""
    steps: list[int] = []
    diagonal, coarse = 1 / matrix.diagonal(), splu((linear.T @ matrix @ linear).tocsc())

    def inverse(vector: np.ndarray) -> np.ndarray:
        return diagonal * vector + linear @ coarse.solve(linear.T @ vector)

    again = LinearOperator(matrix.shape, inverse)
    found, failed = cg(matrix, right, rtol=1e-9, maxiter=5000, M=again, callback=lambda _: steps.append(1))
    print(f"  {len(right)} coefficients: {len(steps)} steps", flush=True)
    if failed:
        raise SystemExit("conjugate gradients have not converged")
    return found


@cache
def lattice(degree: int) -> np.ndarray:
    """(n, 4): barycentric coordinates of the nodes of a cell times the degree, those of the corners first."""
    steps = range(degree + 1)
    inner = [(degree - i - j - k, i, j, k) for i in steps for j in steps for k in steps if i + j + k <= degree]
    return np.array(sorted(inner, key=lambda node: (degree not in node, [-n for n in node])))


def elevated(points: np.ndarray, corners: np.ndarray, degree: int, balls: Sequence[Ball]) -> Tetrahedra:
    """Cells of a degree, from points (P, 3) and corners (T, 4), curved along balls in which the domain has holes."""
    away = np.zeros((len(balls), len(points)), bool)
    for on, ball in zip(away, balls, strict=True):
        on[:] = ball.touches(points)
        corners = corners[~on[corners].all(axis=1)]  # between the sides and the ball: no part of the domain
    nodes = lattice(degree)
    keys = np.where(nodes > 0, corners[:, None] * (degree + 1) + nodes, 0)
    keys, first, cells = np.unique(np.sort(keys.reshape(-1, 4)), axis=0, return_index=True, return_inverse=True)
    cell, node = np.divmod(first, len(nodes))
    weights, ends = nodes[node] / degree, corners[cell]
    places = np.einsum("nk,nki->ni", weights, points[ends])
    moved = places.copy()
    for on, ball in zip(away, balls, strict=True):
        share = weights * on[ends]
        total = share.sum(axis=1)
        near = np.flatnonzero((share > 0).sum(axis=1) > 1)
        side = np.einsum("nk,nki->ni", share[near] / total[near, None], points[ends[near]])
        moved[near] += total[near, None] ** 2 * (ball.onto(side) - side)
    points_of_cell = quadrature(min(2 * degree, 9))  # the highest order that scikit-fem has
    return Tetrahedra(moved, cells.reshape(len(corners), -1), degree, nodes[:, 1:] / degree, points_of_cell)


def quadrature(order: int) -> tuple[np.ndarray, np.ndarray]:
    z, weights = get_quadrature(RefTet, order)
    return z.T.copy(), weights


def meshed(draw: Callable, size: float, along_circle: int, stretch: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) and corners (T, 4) of tetrahedra.

    They are about as large as `size` in the coordinates times `stretch`, in which `draw` draws, and smaller where it is
    round: `along_circle` to a circle.
    """
    import gmsh

    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.MeshSizeFromCurvature", along_circle)
    draw(gmsh)
    gmsh.model.mesh.generate(3)
    _, _, (corners,) = gmsh.model.mesh.getElements(3)
    tags, places, _ = gmsh.model.mesh.getNodes()
    gmsh.finalize()
    index = np.zeros(int(tags.max()) + 1, int)
    index[tags.astype(int)] = np.arange(len(tags))
    corners = index[corners.astype(int)].reshape(-1, 4)
    return places.reshape(-1, 3) / np.asarray(stretch), corners
