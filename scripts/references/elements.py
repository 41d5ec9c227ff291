"""Finite elements by scikit-fem on curved triangles that Gmsh makes (both in the extra `dev`).

Input: a box with round holes, or a polygon. Output: meshes whose sides on circles are parabolas, and fields that can be
evaluated at any point inside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree
from skfem import (
    Basis,
    BilinearForm,
    ElementTriP1,
    ElementTriP2,
    ElementTriP3,
    ElementTriP4,
    FacetBasis,
    LinearForm,
    MeshTri,
    MeshTri2,
    condense,
    solve,
)
from skfem.helpers import dot, grad

logging.getLogger("skfem").setLevel(logging.ERROR)
ELEMENTS = {1: ElementTriP1, 2: ElementTriP2, 3: ElementTriP3, 4: ElementTriP4}
GROWTH = 0.25  # of the size of triangles per distance from a point that they shrink to
CANDIDATES = 12  # triangles around a point in which it may lie


@dataclass
class Domain:
    """A box (x0, y0, x1, y1) without disks (x, y, radius), in quadratic triangles of about `size`.

    `along_circle`: sides on each circle; `corner_size`: of the triangles at the corners of the box.
    """

    box: tuple[float, float, float, float]
    holes: Sequence[tuple[float, float, float]]
    size: float
    along_circle: int
    corner_size: float | None = None
    mesh: MeshTri2 = field(init=False)

    def __post_init__(self):
        self.mesh = _meshed(self._draw, self.size)

    def _draw(self, gmsh) -> None:
        cad, (x0, y0, x1, y1) = gmsh.model.occ, self.box
        square = [(2, cad.addRectangle(x0, y0, 0, x1 - x0, y1 - y0))]
        cad.cut(square, [(2, cad.addDisk(x, y, 0, r, r)) for x, y, r in self.holes])
        cad.synchronize()
        for _, tag in gmsh.model.getEntities(1):
            if gmsh.model.getType(1, tag) != "Line":
                gmsh.model.mesh.setTransfiniteCurve(tag, self.along_circle + 1)
        if self.corner_size:
            at_corners = [tag for x in (x0, x1) for y in (y0, y1) for _, tag in _points_at(gmsh, x, y)]
            _grade(gmsh, dict.fromkeys(at_corners, self.corner_size), self.size)

    def hole_facets(self, chosen: Callable[[float, float, float], bool] = lambda x, y, r: True) -> np.ndarray:
        """Sides on the circles of the holes chosen."""
        found = [f for hole in self.holes if chosen(*hole) for f in self.mesh.facets_satisfying(_on(hole), True)]
        return np.unique(found).astype(int)

    def outer_facets(self) -> np.ndarray:
        x0, y0, x1, y1 = self.box

        def outside(x: np.ndarray) -> np.ndarray:
            return np.minimum.reduce([abs(x[0] - x0), abs(x[0] - x1), abs(x[1] - y0), abs(x[1] - y1)]) < 1e-9

        return self.mesh.facets_satisfying(outside, True)


def _on(hole: tuple[float, float, float]) -> Callable[[np.ndarray], np.ndarray]:
    """Whether the middles of sides are those of chords of a circle."""
    x0, y0, radius = hole
    return lambda x: abs(np.hypot(x[0] - x0, x[1] - y0) / radius - 1) < 0.05


def _points_at(gmsh, x: float, y: float) -> list[tuple[int, int]]:
    near = 1e-6
    return gmsh.model.getEntitiesInBoundingBox(x - near, y - near, -near, x + near, y + near, near, 0)


def _grade(gmsh, sizes: dict[int, float], size: float, growth: float = GROWTH) -> None:
    """Triangles of given sizes at points that grow by a share of the distance, up to `size`."""
    fields, made = gmsh.model.mesh.field, []
    for tag, least in sizes.items():
        distance, threshold = fields.add("Distance"), fields.add("Threshold")
        fields.setNumbers(distance, "PointsList", [tag])
        numbers = {"InField": distance, "SizeMin": least, "SizeMax": size, "DistMin": 0, "DistMax": size / growth}
        for key, value in numbers.items():
            fields.setNumber(threshold, key, value)
        made.append(threshold)
    smallest = fields.add("Min")
    fields.setNumbers(smallest, "FieldsList", made)
    fields.setAsBackgroundMesh(smallest)


def polygon_mesh(
    points: Sequence[tuple[float, float]], sizes: Sequence[float], size: float, growth: float = GROWTH
) -> MeshTri2:
    """Triangles in a polygon, of given sizes at its points and of `size` far from them."""

    def draw(gmsh) -> None:
        cad = gmsh.model.geo
        tags = [cad.addPoint(x, y, 0) for x, y in points]
        lines = [cad.addLine(a, b) for a, b in zip(tags, [*tags[1:], tags[0]], strict=True)]
        cad.addPlaneSurface([cad.addCurveLoop(lines)])
        cad.synchronize()
        _grade(gmsh, dict(zip(tags, sizes, strict=True)), size, growth)

    return _meshed(draw, size)


def _meshed(draw: Callable, size: float) -> MeshTri2:
    import gmsh

    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.option.setNumber("Mesh.Algorithm", 6)
    draw(gmsh)
    gmsh.model.mesh.generate(2)
    gmsh.model.mesh.setOrder(2)
    tags, places, _ = gmsh.model.mesh.getNodes()
    kinds, _, nodes = gmsh.model.mesh.getElements(2)
    gmsh.finalize()
    index = np.zeros(int(tags.max()) + 1, int)
    index[tags.astype(int)] = np.arange(len(tags))
    cells = index[nodes[list(kinds).index(9)].astype(int)].reshape(-1, 6)
    return _curved(places.reshape(-1, 3)[:, :2], cells)


def _curved(points: np.ndarray, cells: np.ndarray) -> MeshTri2:
    """The mesh of cells (T, 6) with nodes in ascending order, on which elements of degree 3 and more rely."""
    used, corners = np.unique(cells[:, :3], return_inverse=True)
    corners = np.sort(corners.reshape(-1, 3), axis=1)
    mesh = MeshTri2.from_mesh(MeshTri(points[used].T.copy(), corners.T.copy()))
    number = np.full(len(points), -1)
    number[used] = np.arange(len(used))
    ends = np.sort(number[cells[:, [[0, 1], [1, 2], [2, 0]]]].reshape(-1, 2), axis=1)
    facets = {tuple(pair): k for k, pair in enumerate(np.sort(mesh.facets, axis=0).T.tolist())}
    chosen = [facets[tuple(pair)] for pair in ends.tolist()]
    places = mesh.doflocs.copy()
    places[:, len(used) + np.array(chosen)] = points[cells[:, 3:].reshape(-1)].T
    return MeshTri2(places, mesh.t)


class Places:
    """Points (N, 2) located in the triangles of a mesh: values of any basis there."""

    def __init__(self, basis: Basis, points: np.ndarray):
        mapping, mesh = basis.mapping, basis.mesh
        middles = mesh.p[:, mesh.t[:3]].mean(axis=1).T
        _, near = cKDTree(middles).query(points, k=min(CANDIDATES, len(middles)))
        best = np.full(len(points), -np.inf)
        self.cells, self.local = near[:, 0].copy(), np.zeros((2, len(points)))
        for k in range(near.shape[1]):
            local = _local(mapping, points, near[:, k])
            inside = np.where(np.isfinite(local[0]), np.minimum(local.min(axis=0), 1 - local.sum(axis=0)), -np.inf)
            better = inside > best
            best[better], self.cells[better] = inside[better], near[better, k]
            self.local[:, better] = local[:, better]
        if best.min() < -0.02:
            raise ValueError(f"a point lies outside the mesh, {best.min():.2g} of a triangle")

    def values(self, basis: Basis, u: np.ndarray) -> np.ndarray:
        """(N,) for an element of one component, (components, N) for a vector."""
        total = 0.0
        for k in range(basis.Nbfun):
            phi = basis.elem.gbasis(basis.mapping, self.local[:, :, None], k, tind=self.cells)[0].value
            total = total + phi[..., 0] * u[basis.element_dofs[k, self.cells]]
        return total


def _local(mapping, points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Coordinates (2, N) of points in curved triangles, by Newton's method; far outside where it does not converge."""
    local = np.full((2, len(points), 1), 1 / 3)
    for _ in range(12):
        miss = points.T[:, :, None] - mapping.F(local, tind=cells)
        step = np.einsum("ijnq,jnq->inq", mapping.invDF(local, tind=cells), miss)
        local = np.clip(local + step, -1, 2)
    miss = points.T[:, :, None] - mapping.F(local, tind=cells)
    return np.where(np.abs(miss).max(axis=0) < 1e-9, local, -np.inf)[:, :, 0]


def dirichlet_problem(
    domain: Domain,
    values: dict[str, float],
    degree: int,
    reaction: float = 0.0,
    source: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Callable[[np.ndarray], np.ndarray]:
    """-laplacian(u) + reaction u = source with constant values of u `outer` and on `holes`: u at points (N, 2)."""
    basis = Basis(domain.mesh, ELEMENTS[degree](), intorder=2 * degree)

    @BilinearForm
    def operator(u, v, w):
        return dot(grad(u), grad(v)) + reaction * u * v

    @LinearForm
    def load(v, w):
        return (source(w.x) if source else 0.0) * v

    u = np.zeros(basis.N)
    fixed = []
    for name, facets in (("outer", domain.outer_facets()), ("holes", domain.hole_facets())):
        dofs = basis.get_dofs(facets).flatten()
        u[dofs] = values[name]
        fixed.append(dofs)
    u = solve(*condense(operator.assemble(basis), load.assemble(basis), x=u, D=np.unique(np.concatenate(fixed))))
    return lambda points: Places(basis, points).values(basis, u)


__all__ = ["ELEMENTS", "Basis", "Domain", "FacetBasis", "Places", "dirichlet_problem", "polygon_mesh"]
