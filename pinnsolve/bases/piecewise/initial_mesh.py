"""The domain of a problem -> the cells that its refinement begins with.

A box is one cell, or a few in space where slabs march. The boxes round a shape follow its flat sides, where these lie
along the axes, and are halved until the boundary is simple in each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.cut_cells import Within, boundary_points
from pinnsolve.bases.piecewise.detail_mesh import DetailMesh
from pinnsolve.bases.piecewise.details import details_of
from pinnsolve.bases.piecewise.material_map import Groups, MaterialMap
from pinnsolve.bases.piecewise.mesh import NEAR, Cells, tensor_cells, uniform_cells
from pinnsolve.compiler.energies import energies_to_minimize
from pinnsolve.compiler.terms import CompiledProblem, Material
from pinnsolve.geometry.shapes import primitives
from pinnsolve.runtime import go_on

if TYPE_CHECKING:
    from pinnsolve.geometry.factory import Shape

FLAT = 1e-9  # deviation of a normal from an axis; also of places, relative to the shape, that are the same
CLOSEST = {1: 1e-9, 2: 1.0 / 24, 3: 1.0 / 24}  # of the shape: flat sides nearer to each other do not both get an edge
COARSEST = 0.5  # edge of a cell, relative to the longest side
ANGLE = {2: math.cos(1.1), 3: math.cos(1.62)}  # between normals of one smooth piece of boundary in a cell
MOST_PIECES = {2: 2, 3: 12}  # of boundary in a cell: a corner has so many
REENTRANT = math.pi + 0.1  # interior angle of corners that cells are graded towards
GRADED = 3  # times that cells are halved towards such corners, at least
RESOLVED = 8  # halvings that polynomials of moderate degree are worth: their points lie close at the ends of a cell
MOST_GRADED = 300  # cells that are worth it for grading alone
HALVINGS = {1: 0, 2: 6, 3: 2}  # of the first boxes
MOST_FIRST = {2: 4000, 3: 300}
MOST_KEPT = 4  # halvings, after which a piece of a material that was a sliver of its box is none


def first_cells(problem: CompiledProblem, check: Callable[[], None] = go_on) -> Cells:
    """The cells of the first level of a whole problem. `check()` is called now and then, and ends it by raising."""
    axis = None if problem.time is None else problem.coordinates.index(problem.time)
    mesh = DetailMesh(details_of(problem), tuple(range(len(problem.intervals))), axis)
    if not _is_shape(problem):
        lower, upper = (torch.tensor([ends[i] for ends in problem.intervals], dtype=torch.float64) for i in (0, 1))
        return mesh.followed(uniform_cells(lower, upper, [1] * len(problem.intervals)))
    cells = _of_shapes(problem, problem.settings.tolerance, check)
    if axis is not None:
        cells = cells.extruded(axis, *problem.intervals[axis])
    return mesh.followed(cells)


def space_cells(problem: CompiledProblem, axis: int, count: int) -> Cells:
    """The first cells in space of a problem that marches along `axis`, `count` per axis of a box."""
    start, mesh = problem.intervals[axis][0], detail_mesh(problem, axis)
    if _is_shape(problem):
        return mesh.followed(_of_shapes(problem), start, start)
    others = [interval for a, interval in enumerate(problem.intervals) if a != axis]
    lower = torch.tensor([low for low, _ in others], dtype=torch.float64)
    upper = torch.tensor([high for _, high in others], dtype=torch.float64)
    return mesh.followed(uniform_cells(lower, upper, [count] * len(others)), start, start)


def detail_mesh(problem: CompiledProblem, axis: int) -> DetailMesh:
    """What the known functions of a problem that marches along `axis` ask of its cells in space."""
    return DetailMesh(details_of(problem), tuple(a for a in range(len(problem.intervals)) if a != axis), axis)


def _is_shape(problem: CompiledProblem) -> bool:
    return problem.shape is not None or bool(problem.materials)


def _of_shapes(problem: CompiledProblem, tolerance: float = 1.0, check: Callable[[], None] = go_on) -> Cells:
    """The first cells in space, graded towards corners as the tolerance asks for."""
    from pinnsolve.geometry.factory import make_shape  # not needed for boxes

    space = [i for i, c in enumerate(problem.coordinates) if c != problem.time]
    axes, names = tuple(range(len(space))), tuple(problem.coordinates[i] for i in space)
    shapes = []
    for tree in [m.shape for m in problem.materials] or [problem.shape]:
        check()
        shapes.append(make_shape(tree))
    within = Within(tuple(shapes), axes, _material_map(problem, names, axes) if problem.materials else None)
    check()
    details = DetailMesh(details_of(problem), tuple(problem.axes.space_axes))
    # cells of an energy may be thin, but hold one material each
    closest = CLOSEST[1 if problem.materials and energies_to_minimize(problem) else len(space)]
    boxes = _keeping_materials(within, details.followed(tensor_cells(_edges(within.shapes, closest))))
    count = len(within.shapes)
    material = torch.arange(count).repeat_interleave(boxes.count)
    cells = within.cells(boxes.lower.repeat(count, 1), boxes.upper.repeat(count, 1), material)
    d = len(space)
    for _ in range(HALVINGS[d]):
        check()
        marked = _tangled(cells)
        if not bool(marked.any()) or cells.count + 2**d * int(marked.sum()) > MOST_FIRST[d]:
            break
        cells = cells.split(marked, marked[:, None].expand(-1, d))
    corners = [c for s in within.shapes if d == 2 for c in s.corners() if c.angle > REENTRANT]
    most = GRADED + MOST_GRADED // (3 * 2**d * max(len(corners), 1))
    halvings = {c.point: min(_halvings(c.angle, tolerance), most) for c in corners}
    check()
    rounds = range(max(halvings.values(), default=0))
    return graded(cells, [torch.stack([point for point, count in halvings.items() if n < count]) for n in rounds])


def _keeping_materials(within: Within, boxes: Cells) -> Cells:
    """The boxes, those halved in which much of a small material would be left out as a sliver."""
    for _ in range(MOST_KEPT if len(within.shapes) > 1 else 0):
        lost = within.losing(boxes)
        if not bool(lost.any()) or boxes.count + 2**boxes.dimension * int(lost.sum()) > MOST_FIRST[boxes.dimension]:
            break
        boxes = boxes.split(lost, lost[:, None].expand(-1, boxes.dimension))
    return boxes


def _halvings(angle: float, tolerance: float) -> int:
    """How often cells are halved towards a corner, for a tolerance.

    Solutions are like r^a there, a = pi/angle. What cells of size h at the corner lack of that is felt elsewhere like
    h^(2 a), as of finite elements (Schwab, p- and hp-Finite Element Methods, 1998, section 4.5, on grading).
    """
    return max(math.ceil(math.log2(1.0 / min(tolerance, 1.0)) * angle / (2.0 * math.pi)) - RESOLVED, GRADED)


def _material_map(problem: CompiledProblem, names: tuple[str, ...], axes: tuple[int, ...]) -> MaterialMap:
    levels = tuple(level for level, _ in problem.materials[0].signs)
    bases = dict.fromkeys(next(primitives(m.shape)) for m in problem.materials)
    groups = None
    if len(bases) > 1:  # parts of a mesh, in the order of the materials
        from pinnsolve.geometry.mesh_boundary import mesh_of

        meshes = [mesh_of(base) for base in bases]
        groups = Groups.of(meshes[0].points, [mesh.sides for mesh in meshes])
    kept = None
    if len(problem.materials) < len(bases) * 2 ** len(levels):
        kept = tuple(_number(i // (len(problem.materials) // len(bases)), m) for i, m in enumerate(problem.materials))
    return MaterialMap(levels, names, axes, groups, kept)


def _number(group: int, material: Material) -> int:
    """Of a material, by its group and the signs of its levels; see `MaterialMap`."""
    number = group
    for _, negative in material.signs:
        number = 2 * number + (not negative)
    return number


def graded(cells: Cells, corners: Sequence[Tensor]) -> Cells:
    """Cells halved towards corners (K, d) at which slopes are infinite, once for each of the sets of them."""
    if not corners:
        return cells
    alike = bool((cells.material == cells.material[0]).all())
    boxes = Cells(cells.lower, cells.upper) if alike else cells  # what of them counts is found at the end
    for places in corners:
        near = NEAR * (boxes.upper - boxes.lower)
        low, high = (boxes.lower - near)[:, None] <= places, (boxes.upper + near)[:, None] >= places
        marked = (low & high).all(dim=2).any(dim=1)
        boxes = boxes.split(marked, marked[:, None].expand(-1, boxes.dimension))
    if not alike:
        return boxes
    return cells.like(boxes.lower, boxes.upper, cells.material[:1].expand(boxes.count))


def _edges(shapes: Sequence[Shape], closest: float) -> list[Tensor]:
    """Edges per axis: at flat sides along the axes, unless they are closer to each other than this share of the whole,
    and between them so that no cell is large or long."""
    corners = [(s.lower, s.upper) for s in shapes]
    lower, upper = torch.stack([a for a, _ in corners]).amin(dim=0), torch.stack([b for _, b in corners]).amax(dim=0)
    size = float((upper - lower).max())
    boundaries = [shape.boundary(size / 64) for shape in shapes]
    result = []
    for axis in range(len(lower)):
        low, high = float(lower[axis]), float(upper[axis])
        flat = torch.cat([b.x[b.normals[:, axis].abs() > 1 - FLAT, axis] for b in boundaries])
        places = [low, high]
        for value in torch.unique(flat.round(decimals=12)).tolist():
            if all(abs(value - other) > closest * size for other in places):
                places.append(value)
        edges: list[float] = []
        places.sort()
        for one, two in pairwise(places):
            count = math.ceil((two - one) / (COARSEST * size) - 1e-9)
            edges += [one + (two - one) * k / count for k in range(count)]
        result.append(torch.tensor([*edges, high], dtype=torch.float64))
    return result


def _tangled(cells: Cells) -> Tensor:
    """(C,) bool: in which cells the boundary turns far, or has many pieces."""
    marked = torch.zeros(cells.count, dtype=torch.bool)
    for material in torch.unique(cells.material).tolist():
        boundary, number, cell = boundary_points(cells, 6, material)
        for c in torch.unique(cell[cells.cut[cell]]).tolist():
            here = number[cell == c]
            pieces = torch.unique(boundary.piece[here])
            normals = [boundary.normals[here[boundary.piece[here] == piece]] for piece in pieces]
            turns = any(bool((n @ n[[0, -1]].T < ANGLE[cells.dimension]).any()) for n in normals)
            marked[c] = turns or len(pieces) > MOST_PIECES[cells.dimension]
    return marked
