"""The boundaries of meshes as curves and surfaces, and the distance to them.

Input: a `Mesh`. Output: chains of sides for plane shapes, triangles for solid ones, and levels: the signed distance to
the boundary, by the nearest point on it and the normal there; at corners and edges of it the mean normal (J. Baerentzen
and H. Aanaes, Signed distance computation using the angle weighted pseudonormal, IEEE Trans. Vis. 11 (2005) 243).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pinnsolve.files.mesh_file import Mesh, read_mesh
from pinnsolve.geometry.curves import Curve
from pinnsolve.geometry.level_sets import Level
from pinnsolve.geometry.mesh_groups import only
from pinnsolve.geometry.shapes import MeshFile
from pinnsolve.geometry.surfaces import Triangles, unit_vectors

SHARP = math.radians(30)  # a turn of the boundary that is a corner, and not the approximation of a curve
SAMPLES = 4  # along a side, from which the nearest is sought
NEIGHBOURS = 12  # samples nearest to a point whose sides are looked at
SPLITS = 8  # per side of a curved triangle, where only distances are wanted
BLOCK = 20_000  # points at a time


# -- in the plane -----------------------------------------------------------------------------------------------


class MeshCurve(Curve):
    """A chain of straight or quadratic sides: `ends` (n+1, 2), `middles` (n, 2)."""

    sharp = SHARP

    def __init__(self, ends: Tensor, middles: Tensor, closed: bool, name: str):
        self.ends, self.middles, self.closed, self.name = ends, middles, closed, name
        self.knots = torch.arange(len(ends), dtype=torch.float64)

    def at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        i = s.floor().long().clamp(0, len(self.middles) - 1)
        return _quadratic(self.ends[i], self.middles[i], self.ends[i + 1], s - i)


def _quadratic(a: Tensor, m: Tensor, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Points and derivatives (N, d) of the parabola through a, m, b at t = 0, 1/2, 1; t: (N,)."""
    t = t[:, None]
    bend = 2 * (a - 2 * m + b)
    slope = b - a - bend
    return a + t * (slope + t * bend), slope + 2 * t * bend


def mesh_curves(mesh: Mesh, name: str) -> list[Curve]:
    """The boundary of a plane mesh, the mesh on the left, cut where its part changes and at corners."""
    points = torch.tensor(mesh.points, dtype=torch.float64)
    ends, middles = _side_points(points, mesh.sides)
    names = [part or name for part in mesh.side_parts]
    chains = []
    for loop in _loops(mesh.sides):
        turns = _turns(ends[loop], middles[loop])
        cuts = [k for k, i in enumerate(loop) if names[i] != names[loop[k - 1]] or abs(float(turns[k])) > SHARP]
        starts = cuts or [0]
        for first, last in zip(starts, [*starts[1:], starts[0] + len(loop)], strict=True):
            part = [loop[k % len(loop)] for k in range(first, last)]
            chain = torch.cat([ends[part, 0], ends[part[-1:], 1]])
            chains.append(MeshCurve(chain, middles[part], not cuts, names[part[0]]))
    return chains


def _side_points(points: Tensor, sides: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Ends (S, 2, 2) and middles (S, 2) of sides."""
    ends = points[torch.tensor([side[:2] for side in sides])]
    middles = ends.mean(dim=1)
    curved = torch.tensor([len(side) == 3 for side in sides])
    if bool(curved.any()):
        middles[curved] = points[torch.tensor([side[2] for side in sides if len(side) == 3])]
    return ends, middles


def _loops(sides: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Indices of sides in closed chains."""
    leaving: dict[int, list[int]] = {}
    for i, side in enumerate(sides):
        leaving.setdefault(side[0], []).append(i)
    loops, used = [], set()
    for i in range(len(sides)):
        loop = []
        while i not in used:
            used.add(i)
            loop.append(i)
            following = [j for j in leaving.get(sides[i][1], ()) if j not in used]
            if not following:
                break
            i = following[0]
        if loop:
            loops.append(loop)
    return loops


def _turns(ends: Tensor, middles: Tensor) -> Tensor:
    """The angle (n,) by which a closed chain turns where each side begins."""
    zero = torch.zeros(len(ends), dtype=torch.float64)
    leaving = _quadratic(ends[:, 0], middles, ends[:, 1], zero)[1]
    arriving = _quadratic(ends[:, 0], middles, ends[:, 1], zero + 1)[1].roll(1, dims=0)
    cross = arriving[:, 0] * leaving[:, 1] - arriving[:, 1] * leaving[:, 0]
    return torch.atan2(cross, (arriving * leaving).sum(dim=1))


def plane_level(points: Tensor, sides: Sequence[tuple[int, ...]]) -> Level:
    """The signed distance to closed chains of sides, what is inside on their left."""
    from scipy.spatial import cKDTree  # slow to import, and only meshes need it

    ends, middles = _side_points(points, sides)
    a, b = ends.unbind(1)
    t = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    pieces = _pieces((b - a).norm(dim=1))
    owner = torch.arange(len(a)).repeat_interleave(pieces * SAMPLES)
    place = torch.cat([(k + t) / n for n in pieces.tolist() for k in range(n)])
    samples = cKDTree(_quadratic(a[owner], middles[owner], b[owner], place)[0].cpu().numpy())
    corner_normals = _corner_normals(a, middles, b, sides)

    def level(x: Tensor) -> Tensor:
        return torch.cat([nearest(block) for block in x.split(BLOCK)]) if len(x) else x.new_zeros(0)

    def nearest(x: Tensor) -> Tensor:
        _, found = samples.query(x.cpu().numpy(), k=min(NEIGHBOURS, len(owner)))
        found = torch.as_tensor(found).reshape(len(x), -1)
        n, k = _first_of_each(owner[found]).nonzero(as_tuple=True)
        sample = found[n, k]
        side = owner[sample]
        distance, signed = _to_side(x[n], a[side], middles[side], b[side], place[sample], corner_normals[side])
        every, values = torch.full(found.shape, torch.inf, dtype=torch.float64), torch.zeros(found.shape).double()
        every[n, k], values[n, k] = distance, signed
        return values.gather(1, every.argmin(dim=1, keepdim=True))[:, 0]

    return level


def _first_of_each(numbers: Tensor) -> Tensor:
    """Mark the numbers (N, K) that stand in no earlier column: (N, K) bool."""
    same = numbers[:, :, None] == numbers[:, None]
    return ~torch.tril(same, diagonal=-1).any(dim=2)


def _pieces(lengths: Tensor) -> Tensor:
    """Into how many parts sides are cut, so that samples are about as far apart on long ones as on short ones."""
    return (lengths / lengths.median()).round().clamp(1, 50).long()


def _to_side(x: Tensor, a: Tensor, m: Tensor, b: Tensor, t: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and signed distance (N,) from points to sides, by Newton's method from t; `corners`: (N, 2, 2)."""
    bend = 4 * (a - 2 * m + b)
    for _ in range(6):
        p, along = _quadratic(a, m, b, t)
        slope = ((p - x) * along).sum(dim=1)
        curvature = (along * along).sum(dim=1) + ((p - x) * bend).sum(dim=1)
        steep = torch.where(curvature > 0, curvature, (along * along).sum(dim=1))
        t = (t - slope / steep).clamp(0, 1)
    p, along = _quadratic(a, m, b, t)
    normal = torch.stack([along[:, 1], -along[:, 0]], dim=1)
    normal = torch.where((t <= 0)[:, None], corners[:, 0], torch.where((t >= 1)[:, None], corners[:, 1], normal))
    distance = (x - p).norm(dim=1)
    return distance, torch.where(((x - p) * normal).sum(dim=1) < 0, -distance, distance)


def _corner_normals(a: Tensor, m: Tensor, b: Tensor, sides: Sequence[tuple[int, ...]]) -> Tensor:
    """At both ends of each side, the sum of the unit normals of the sides that meet there: (S, 2, 2)."""
    zero = torch.zeros(len(a), dtype=torch.float64)
    along = [unit_vectors(_quadratic(a, m, b, zero + t)[1]) for t in (0, 1)]
    normals = [torch.stack([t[:, 1], -t[:, 0]], dim=1) for t in along]
    nodes = torch.tensor([side[:2] for side in sides])
    sums = torch.zeros(int(nodes.max()) + 1, 2, dtype=torch.float64)
    for end, normal in enumerate(normals):
        sums.index_add_(0, nodes[:, end], normal)
    return sums[nodes]


# -- in space ---------------------------------------------------------------------------------------------------


class QuadraticTriangles(Triangles):
    """Curved triangles of nodes (T, 6, 3): three corners, then the nodes between 0 and 1, 1 and 2, 2 and 0."""

    least = 2

    def __init__(self, nodes: Tensor, names: list[str]):
        super().__init__(nodes[:, :3], names)
        self.nodes = nodes

    def at(self, k: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, d_q, d_r = self.at_corner_weights(k, torch.stack([u * (1 - v), u * v], dim=1))
        v, u = v[:, None], u[:, None]
        return x, (1 - v) * d_q + v * d_r, u * (d_r - d_q)

    def at_corner_weights(self, k: Tensor, where: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (N, 3) at weights (N, 2) of the second and the third corner, and derivatives by these."""
        q, r = where.unbind(1)
        p = 1 - q - r
        zero = torch.zeros_like(p)
        shape = [p * (2 * p - 1), q * (2 * q - 1), r * (2 * r - 1), 4 * p * q, 4 * q * r, 4 * r * p]
        by_q = [1 - 4 * p, 4 * q - 1, zero, 4 * (p - q), 4 * r, -4 * r]
        by_r = [1 - 4 * p, zero, 4 * r - 1, -4 * q, 4 * q, 4 * (p - r)]
        nodes = self.nodes[k]
        return tuple((torch.stack(values, dim=1)[..., None] * nodes).sum(dim=1) for values in (shape, by_q, by_r))

    def normals(self, k: Tensor, u: Tensor, v: Tensor) -> Tensor:
        u = u.clamp_min(1e-9)  # at the corner into which the square is folded, both derivatives are along one line
        _, by_u, by_v = self.at(k, u, v)
        return unit_vectors(torch.linalg.cross(by_u, by_v / u[:, None]))


def mesh_surface(mesh: Mesh, name: str) -> Triangles:
    """The boundary of a solid mesh; quadrilaterals are cut in two."""
    points = torch.tensor(mesh.points, dtype=torch.float64)
    names = [part or name for part in mesh.side_parts]
    if any(len(side) == 6 for side in mesh.sides):
        return QuadraticTriangles(points[torch.tensor(mesh.sides)], names)
    flat, owners = _triangles(mesh.sides)
    return Triangles(points[torch.tensor(flat)], [names[i] for i in owners])


def _triangles(sides: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, int, int]], list[int]]:
    flat, owners = [], []
    for i, side in enumerate(sides):
        flat += [(side[0], side[1], side[2])] + ([(side[0], side[2], side[3])] if len(side) == 4 else [])
        owners += [i] * (2 if len(side) == 4 else 1)
    return flat, owners


def solid_level(points: Tensor, sides: Sequence[tuple[int, ...]]) -> Level:
    """The signed distance to a closed surface of triangles.

    The nearest spot of curved ones is sought on many flat ones first, then on the curved one itself.
    """
    from scipy.spatial import cKDTree  # slow to import, and only meshes need it

    curved = _Curved(points, sides) if any(len(side) == 6 for side in sides) else None
    points, flat = (points, _triangles(sides)[0]) if curved is None else (curved.points, curved.flat)
    corners = points[torch.tensor(flat)]  # (T, 3, 3)
    normals = unit_vectors(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    at_corners, at_edges = _mean_normals(corners, normals, flat)
    grid = [(i / 3, j / 3) for i in range(4) for j in range(4 - i)]
    share = torch.tensor([(1 - q - r, q, r) for q, r in grid], dtype=torch.float64)
    samples = cKDTree((share @ corners).reshape(-1, 3).cpu().numpy())
    count = len(grid)

    def level(x: Tensor) -> Tensor:
        return torch.cat([nearest(block) for block in x.split(BLOCK)]) if len(x) else x.new_zeros(0)

    def nearest(x: Tensor) -> Tensor:
        _, found = samples.query(x.cpu().numpy(), k=min(2 * NEIGHBOURS, count * len(flat)))
        found = torch.as_tensor(found).reshape(len(x), -1) // count
        best = torch.full((len(x),), torch.inf, dtype=torch.float64)
        spot, normal, triangle = torch.zeros_like(x), torch.zeros_like(x), found[:, 0].clone()
        for k in range(found.shape[1]):
            t = found[:, k]
            p, n = _nearest_on_triangle(x, corners[t], normals[t], at_corners[t], at_edges[t])
            distance = (x - p).norm(dim=1)
            closer = distance < best
            best, triangle = torch.where(closer, distance, best), torch.where(closer, t, triangle)
            spot, normal = (torch.where(closer[:, None], new, old) for new, old in ((p, spot), (n, normal)))
        if curved is not None:
            near = (best <= curved.reach).nonzero()[:, 0]
            spot[near], normal[near] = curved.refined(x[near], triangle[near], spot[near], normal[near])
        distance = (x - spot).norm(dim=1)
        return torch.where(((x - spot) * normal).sum(dim=1) < 0, -distance, distance)

    return level


class _Curved:
    """Curved triangles, and flat ones between points on them; points at the same place are one.

    `flat` holds nodes in `points`, `owner` (F,) the curved triangle of each and `place` (F, 3, 2) where on it its
    corners lie. Points farther than `reach` are told by the flat ones.
    """

    def __init__(self, points: Tensor, sides: Sequence[tuple[int, ...]]):
        self.surface = QuadraticTriangles(points[torch.tensor(sides)], [""] * len(sides))
        steps = [(i, j) for i in range(SPLITS + 1) for j in range(SPLITS + 1 - i)]
        index = {step: n for n, step in enumerate(steps)}
        where = torch.tensor(steps, dtype=torch.float64) / SPLITS
        k = torch.arange(len(sides)).repeat_interleave(len(steps))
        self.points = self.surface.at_corner_weights(k, where.repeat(len(sides), 1))[0]
        size = float((self.points.amax(dim=0) - self.points.amin(dim=0)).norm())
        self.reach = float((self.surface.corners[:, 0] - self.surface.corners[:, 1]).norm(dim=1).max()) / 4
        first: dict[tuple, int] = {}
        same = [first.setdefault(tuple(p), i) for i, p in enumerate((self.points / (1e-9 * size)).round().tolist())]
        local = []
        for i, j in steps:
            if i + j < SPLITS:
                local.append((index[i, j], index[i + 1, j], index[i, j + 1]))
            if i + j < SPLITS - 1:
                local.append((index[i + 1, j], index[i + 1, j + 1], index[i, j + 1]))
        self.flat = [tuple(same[t * len(steps) + n] for n in three) for t in range(len(sides)) for three in local]
        self.owner = torch.arange(len(sides)).repeat_interleave(len(local))
        self.place = where[torch.tensor(local)].repeat(len(sides), 1, 1)

    def refined(self, x: Tensor, triangle: Tensor, spot: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest points of curved triangles, from those on flat ones, by the method of Gauss and Newton.

        Inside a curved triangle its own normal is taken, on its rim the mean one of the flat triangles there.
        """
        k, corners = self.owner[triangle], self.points[torch.tensor(self.flat)[triangle]]
        share = _components(spot - corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        a, b, c = self.place[triangle].unbind(1)
        where = a + share[:, :1] * (b - a) + share[:, 1:] * (c - a)
        for _ in range(8):
            p, by_q, by_r = self.surface.at_corner_weights(k, where)
            where = _on_triangle(where + _components(x - p, by_q, by_r))
        p, by_q, by_r = self.surface.at_corner_weights(k, where)
        inner = (where > 0).all(dim=1) & (where.sum(dim=1) < 1)
        return p, torch.where(inner[:, None], torch.linalg.cross(by_q, by_r), normal)


def _components(v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The shares (N, 2) of a and b in v, by least squares; all (N, 3)."""
    aa, ab, bb = (a * a).sum(dim=1), (a * b).sum(dim=1), (b * b).sum(dim=1)
    va, vb = (v * a).sum(dim=1), (v * b).sum(dim=1)
    return torch.stack([va * bb - vb * ab, vb * aa - va * ab], dim=1) / (aa * bb - ab * ab)[:, None]


def _on_triangle(where: Tensor) -> Tensor:
    """Weights (N, 2) of two corners moved back to where they and that of the third are not negative."""
    where = where.clamp_min(0)
    total = where.sum(dim=1, keepdim=True)
    return torch.where(total > 1, where / total, where)


def _mean_normals(corners: Tensor, normals: Tensor, flat: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
    """At the corners (T, 3, 3), weighted by angles, and at the edges (T, 3, 3) that leave them."""
    t = torch.tensor(flat)
    nodes = int(t.max()) + 1
    at_nodes = torch.zeros(nodes, 3, dtype=torch.float64)
    keys = []
    for i in range(3):
        following = (i + 1) % 3
        a = unit_vectors(corners[:, following] - corners[:, i])
        b = unit_vectors(corners[:, (i + 2) % 3] - corners[:, i])
        angle = torch.acos((a * b).sum(dim=1).clamp(-1, 1))
        at_nodes.index_add_(0, t[:, i], angle[:, None] * normals)
        keys.append(torch.minimum(t[:, i], t[:, following]) * nodes + torch.maximum(t[:, i], t[:, following]))
    _, edge = torch.unique(torch.stack(keys, dim=1), return_inverse=True)  # (T, 3)
    sums = torch.zeros(int(edge.max()) + 1, 3, dtype=torch.float64)
    sums.index_add_(0, edge.reshape(-1), normals.repeat_interleave(3, dim=0))
    return at_nodes[t], sums[edge]


def _nearest_on_triangle(x: Tensor, corners: Tensor, normal: Tensor, at_corners: Tensor, at_edges: Tensor):
    """The nearest points (N, 3) of triangles, and the normals there: of the face, an edge or a corner."""
    a = corners[:, 0]
    height = ((x - a) * normal).sum(dim=1, keepdim=True)
    p, inside = x - height * normal, torch.ones(len(x), dtype=torch.bool)
    best, found, chosen = torch.full((len(x),), torch.inf, dtype=torch.float64), p.clone(), normal.clone()
    for i in range(3):
        start, end = corners[:, i], corners[:, (i + 1) % 3]
        along = end - start
        inside &= (torch.linalg.cross(along, p - start) * normal).sum(dim=1) >= 0
        t = (((x - start) * along).sum(dim=1) / (along * along).sum(dim=1)).clamp(0, 1)
        q = start + t[:, None] * along
        distance = (x - q).norm(dim=1)
        kind = torch.where((t <= 0)[:, None], at_corners[:, i], at_edges[:, i])
        kind = torch.where((t >= 1)[:, None], at_corners[:, (i + 1) % 3], kind)
        closer = distance < best
        best = torch.where(closer, distance, best)
        found, chosen = torch.where(closer[:, None], q, found), torch.where(closer[:, None], kind, chosen)
    return torch.where(inside[:, None], p, found), torch.where(inside[:, None], normal, chosen)


# -- levels -----------------------------------------------------------------------------------------------------


def mesh_level(shape: MeshFile, region: str | None = None) -> Level:
    """The signed distance to the boundary of a mesh, or of one of its groups of cells. Raises KeyError for no such."""
    mesh = mesh_of(shape)
    return level_of_sides(mesh.points, mesh.sides if region is None else mesh.regions[region])


def level_of_sides(points: Sequence[Sequence[float]], sides: Sequence[Sequence[int]]) -> Level:
    """The signed distance to the closed chains or surfaces that sides of a mesh make up; `sides` number `points`."""
    at = torch.tensor(points, dtype=torch.float64)
    return (plane_level if at.shape[1] == 2 else solid_level)(at, sides)


def mesh_of(shape: MeshFile) -> Mesh:
    """The cells that a shape takes of its mesh."""
    mesh = read_mesh(shape.path)
    return only(mesh, (shape.within, shape.without)) if shape.within or shape.without else mesh
