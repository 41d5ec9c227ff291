"""Mesh files: cells, their boundary, and the groups that name parts of it and regions.

Input: a path that was held to the problem's folder, of any kind that meshio reads and this list allows. Output: a
`Mesh`; `DataFileError` for a file that cannot be used, with the reason. meshio, and numpy with it, is imported when a
mesh is read. No array library.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pinnsolve.files.data_files import DataFileError

MAX_BYTES = 200 * 10**6
FLAT = 1e-10  # relative to the size: points this near a plane lie in it
THIN = 1e-12  # relative to the square or cube of its longest side: a cell of less area or volume is none
MOST_NAMED = 5  # cells that a message lists
TAGS = ("gmsh:physical", "medit:ref", "su2:tag", "cell_tags", "physical", "region")  # arrays of group numbers

# Corner nodes of the sides of each kind of cell, the inside on the left in the plane, seen from outside in space;
# and for quadratic ones the nodes between those corners, in the order of the side's edges.
SIDES: dict[str, tuple[int, tuple[tuple[int, ...], ...]]] = {
    "triangle": (2, ((0, 1), (1, 2), (2, 0))),
    "triangle6": (2, ((0, 1, 3), (1, 2, 4), (2, 0, 5))),
    "quad": (2, ((0, 1), (1, 2), (2, 3), (3, 0))),
    "quad8": (2, ((0, 1, 4), (1, 2, 5), (2, 3, 6), (3, 0, 7))),
    "quad9": (2, ((0, 1, 4), (1, 2, 5), (2, 3, 6), (3, 0, 7))),
    "tetra": (3, ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2))),
    "tetra10": (3, ((0, 2, 1, 6, 5, 4), (0, 1, 3, 4, 8, 7), (1, 2, 3, 5, 9, 8), (0, 3, 2, 7, 9, 6))),
    "hexahedron": (3, ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))),
}
CORNERS = {"line": 2, "line3": 2, "triangle": 3, "triangle6": 3, "quad": 4, "quad8": 4, "quad9": 4}
CORNERS |= {"tetra": 4, "tetra10": 4, "hexahedron": 8}
IGNORED = ("vertex",)

Cell = tuple[str, tuple[int, ...], tuple[str, ...]]  # kind, nodes, names of its groups


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh with its boundary.

    `points`: (P, d) as lists; `sides`: nodes of the sides of the boundary, corners first; `side_parts`: the name of the
    group of each, "" for none; `regions`: name to the sides of the boundary of that group of cells; `cells`: kind,
    nodes and groups of each; `inner`: names of groups of sides that do not bound the mesh.
    """

    dimension: int
    points: list[list[float]]
    sides: list[tuple[int, ...]]
    side_parts: list[str]
    regions: dict[str, list[tuple[int, ...]]]
    cells: Sequence[Cell] = ()
    inner: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(sorted({name for name in self.side_parts if name}))

    @property
    def lower(self) -> tuple[float, ...]:
        return self._ends(min)

    @property
    def upper(self) -> tuple[float, ...]:
        return self._ends(max)

    def _ends(self, end) -> tuple[float, ...]:
        """One end of the box around the boundary: a curved side lies in the hull of its Bezier points."""
        found = [self.points[node] for side in self.sides for node in side[: self.corners(side)]]
        for side in self.sides:
            n = self.corners(side)
            for k, node in enumerate(side[n:]):
                a, b = self.points[side[k]], self.points[side[(k + 1) % n]]
                found.append([2 * m - (p + q) / 2 for m, p, q in zip(self.points[node], a, b, strict=True)])
        return tuple(end(column) for column in zip(*found, strict=True))

    def corners(self, side: tuple[int, ...]) -> int:
        """The number of nodes of a side that are its corners; the others lie between them."""
        return 2 if self.dimension == 2 else 4 if len(side) == 4 else 3


def read_mesh(path: Path) -> Mesh:
    """The mesh in a file. Raises `DataFileError`."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataFileError(f"the file cannot be read: {error.strerror}") from None
    return _read_once(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_once(path: Path, changed: int, size: int) -> Mesh:
    if size > MAX_BYTES:
        raise DataFileError(f"the mesh is too large: at most {MAX_BYTES // 10**6} MB")
    found = _read(path)
    kinds = {block.type for block in found.cells if len(block.data)} - set(IGNORED)
    unknown = sorted(kinds - set(CORNERS))
    if unknown:
        hint = f"there are {', '.join(k for k in CORNERS if k != 'line')}"
        raise DataFileError(f"the mesh has cells of kind `{unknown[0]}`, which are not supported", hint)
    dimension = max((SIDES[kind][0] for kind in kinds if kind in SIDES), default=0)
    if not dimension:
        raise DataFileError("the mesh has no triangles or other cells that fill a domain")
    return _mesh(found, dimension)


def _read(path: Path) -> Any:
    """The mesh as meshio reads it. Whatever meshio prints or raises, only `DataFileError` gets out."""
    if path.suffix.lower() == ".xdmf":
        _refuse_other_files(path)
    import meshio

    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return meshio.read(path)
    except (Exception, SystemExit) as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        reason = "it is damaged, or of another kind than its name says" if isinstance(error, SystemExit) else reason
        raise DataFileError(f"the mesh cannot be read: {reason}") from None


def _refuse_other_files(path: Path) -> None:
    """An XDMF file may keep its numbers in other files, which a problem does not name."""
    from xml.etree import ElementTree  # few problems name such a file

    try:
        items = ElementTree.parse(path).iter("DataItem")
        formats = {item.get("Format", "XML").upper() for item in items}
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise DataFileError(f"the mesh cannot be read: {error}") from None
    if formats - {"XML"}:
        hint = "write it with its numbers in it, as meshio does with `data_format='XML'`"
        raise DataFileError("the XDMF file keeps its numbers in another file", hint)


# -- cells ------------------------------------------------------------------------------------------------------


def _mesh(found: Any, dimension: int) -> Mesh:
    points = [[float(v) for v in row] for row in found.points.tolist()]
    if not all(math.isfinite(v) for row in points for v in row):
        raise DataFileError("the mesh has a point that is no finite number")
    names = _group_names(found)
    cells: list[Cell] = []
    lower: list[Cell] = []
    for block, groups in zip(found.cells, names, strict=True):
        if block.type in SIDES and SIDES[block.type][0] == dimension:
            target = cells
        elif block.type in CORNERS:
            target = lower
        else:
            continue
        for nodes, group in zip(block.data.tolist(), groups, strict=True):
            if min(nodes) < 0 or max(nodes) >= len(points):
                raise DataFileError("the mesh has a cell with a node that is not there")
            target.append((block.type, tuple(nodes), group))
    if dimension == 2:
        flat = _flat_axis(points, cells)
        if flat is None:
            return _closed_surface(points, cells)
        if flat != 2 and len(points[0]) == 3:
            raise DataFileError(
                f"the mesh is flat, but in the plane of constant {'xyz'[flat]}", "turn it into the plane of x and y"
            )
        points = [row[:2] for row in points]
    cells = _oriented(points, cells, dimension)
    sides = boundary_of(cells)
    parts = {frozenset(nodes[: CORNERS[kind]]): group[0] for kind, nodes, group in lower if group}
    n = {2: 2, 3: 3}[dimension]
    side_parts = [parts.pop(frozenset(side[: 4 if n == 3 and len(side) == 4 else n]), "") for side in sides]
    regions = dict.fromkeys(name for _, _, group in cells for name in group)
    inside = {name: boundary_of([c for c in cells if name in c[2]]) for name in regions}
    inner = sorted({name for key, name in parts.items() if len(key) >= n} - set(side_parts) - set(regions))
    return Mesh(dimension, points, sides, side_parts, inside, cells, tuple(inner))


def _group_names(found: Any) -> list[list[tuple[str, ...]]]:
    """For each block of cells, the names of the groups of each of its cells."""
    result: list[list[list[str]]] = [[[] for _ in block.data] for block in found.cells]
    for name, blocks in found.cell_sets.items():
        if name.startswith("gmsh:"):
            continue
        for groups, members in zip(result, blocks, strict=True):
            for index in [] if members is None else members.tolist():
                groups[index].append(name)
    named = {(int(tag), int(d)): name for name, (tag, d) in _field_data(found)}
    for key in TAGS:
        for block, groups, tags in zip(found.cells, result, found.cell_data.get(key, ()), strict=False):
            for group, tag in zip(groups, tags.tolist(), strict=True):
                if not group and isinstance(tag, int | float) and tag > 0:
                    group.append(named.get((int(tag), block.dim), f"group {int(tag)}"))
    return [[tuple(group) for group in groups] for groups in result]


def _field_data(found: Any) -> Iterator[tuple[str, list]]:
    for name, value in found.field_data.items():
        values = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(values, list) and len(values) == 2:
            yield name, values


def _flat_axis(points: list[list[float]], cells: list) -> int | None:
    """The axis that is constant over all cells (2 for points of the plane); None where none is."""
    if len(points[0]) == 2:
        return 2
    used = {node for _, nodes, _ in cells for node in nodes}
    ends = [(min(column), max(column)) for column in zip(*(points[node] for node in used), strict=True)]
    size = math.hypot(*(high - low for low, high in ends))
    return next((axis for axis in (2, 1, 0) if ends[axis][1] - ends[axis][0] <= FLAT * size), None)


def _oriented(points: list, cells: list, dimension: int) -> list:
    """Cells with their corners in the order that `SIDES` wants. Raises for inverted and degenerate ones."""
    signs = [_signs(points, kind, nodes, dimension) for kind, nodes, _ in cells]
    flat = [i + 1 for i, (low, high) in enumerate(signs) if low <= 0 <= high]
    if flat:
        raise DataFileError(f"the mesh has degenerate or folded cells: {_listed(flat)}", "mend it in your mesher")
    negative = [i + 1 for i, (low, _) in enumerate(signs) if low < 0]
    if negative and len(negative) < len(cells):
        few = negative if 2 * len(negative) <= len(cells) else sorted({*range(1, len(cells) + 1)} - {*negative})
        hint = "all cells have their nodes in the same order of rotation; mend it in your mesher"
        raise DataFileError(f"the mesh has inverted cells: {_listed(few)}", hint)
    return [(kind, _mirrored(kind, nodes), group) for kind, nodes, group in cells] if negative else cells


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:MOST_NAMED]))
    return shown + (f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else "")


def _signs(points: list, kind: str, nodes: tuple[int, ...], dimension: int) -> tuple[float, float]:
    """Least and largest of signed areas or volumes at the corners, zero where a cell is too thin."""
    p = [points[node] for node in nodes]
    size = max(math.dist(a, b) for a in p for b in p) ** dimension
    if dimension == 3:
        around = ((0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7)) if kind == "hexahedron" else ((0, 1, 2, 3),)
        values = [_volume(*(p[i] for i in four)) for four in around]
    else:
        n = CORNERS[kind]
        # of a curved cell the tangents at a corner: d/ds at an end of a quadratic side is 4 mid - 3 end - other end
        values = []
        for i in range(n):
            ahead, back = _tangent(p, n, i, 1), _tangent(p, n, i, -1)
            values.append(ahead[0] * back[1] - ahead[1] * back[0])
    values = [0.0 if abs(v) <= THIN * size else v for v in values]
    return min(values), max(values)


def _tangent(p: list, n: int, i: int, step: int) -> tuple[float, float]:
    """The direction in which a side leaves corner i of a plane cell, towards the next corner or the one before."""
    j = (i + step) % n
    if len(p) == n:
        return p[j][0] - p[i][0], p[j][1] - p[i][1]
    middle = p[n + (i if step == 1 else j)]
    return tuple(4 * m - 3 * a - b for m, a, b in zip(middle[:2], p[i][:2], p[j][:2], strict=True))


def _volume(a: list, b: list, c: list, d: list) -> float:
    u, v, w = ([q - r for q, r in zip(x, a, strict=True)] for x in (b, c, d))
    return u[0] * (v[1] * w[2] - v[2] * w[1]) - u[1] * (v[0] * w[2] - v[2] * w[0]) + u[2] * (v[0] * w[1] - v[1] * w[0])


_MIRRORED = {
    "triangle": (0, 2, 1),
    "triangle6": (0, 2, 1, 5, 4, 3),
    "quad": (0, 3, 2, 1),
    "quad8": (0, 3, 2, 1, 7, 6, 5, 4),
    "quad9": (0, 3, 2, 1, 7, 6, 5, 4, 8),
    "tetra": (0, 2, 1, 3),
    "tetra10": (0, 2, 1, 3, 6, 5, 4, 7, 9, 8),
    "hexahedron": (0, 3, 2, 1, 4, 7, 6, 5),
}


def _mirrored(kind: str, nodes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(nodes[i] for i in _MIRRORED[kind])


# -- boundary ---------------------------------------------------------------------------------------------------


def boundary_of(cells: Sequence[Cell]) -> list[tuple[int, ...]]:
    """The sides that one cell has and no other. Raises for sides of more than two cells, and for cells that overlap."""
    sides: list[tuple[int, ...]] = []
    keys: list[frozenset[int]] = []
    directed: list[tuple[int, ...] | int] = []
    for kind, nodes, _ in cells:
        dimension, local = SIDES[kind]
        n = 2 if dimension == 2 else 4 if kind == "hexahedron" else 3
        for side in local:
            sides.append(tuple(nodes[i] for i in side))
            keys.append(frozenset(sides[-1][:n]))
            directed.append(sides[-1][:2] if dimension == 2 else len(directed))
    counts = Counter(keys)
    if max(counts.values()) > 2 or len(set(directed)) < len(directed):
        raise DataFileError("the mesh has cells that overlap: they share a side on the same side of it", "mend it")
    return [side for side, key in zip(sides, keys, strict=True) if counts[key] == 1]


def _closed_surface(points: list, cells: list) -> Mesh:
    """Triangles in space that enclose a solid, as an STL file has them; points at the same place are one."""
    if any(kind != "triangle" for kind, _, _ in cells):
        raise DataFileError("the mesh is a surface in space, and not of triangles", "a solid needs cells that fill it")
    size = math.dist([min(c) for c in zip(*points, strict=True)], [max(c) for c in zip(*points, strict=True)])
    first: dict[tuple, int] = {}
    same = [first.setdefault(tuple(round(v / (1e-7 * size)) for v in p), i) for i, p in enumerate(points)]
    triangles = [tuple(same[n] for n in nodes) for _, nodes, _ in cells]
    names = [group[0] if group else "" for _, _, group in cells]
    kept = [i for i, t in enumerate(triangles) if len(set(t)) == 3]
    triangles, names = [triangles[i] for i in kept], [names[i] for i in kept]
    edges = Counter((t[i], t[(i + 1) % 3]) for t in triangles for i in range(3))
    loose = sum(1 for a, b in edges if (b, a) not in edges)
    if loose:
        hint = "a surface in space encloses the domain, its triangles with the same side out"
        raise DataFileError(f"the surface is not closed: {loose} edges belong to one triangle only", hint)
    if max(edges.values()) > 1:
        raise DataFileError("the surface has triangles with opposite sides out, or more than two at an edge")
    volume = sum(_volume([0.0, 0.0, 0.0], *(points[n] for n in t)) for t in triangles)
    if volume < 0:
        triangles = [(a, c, b) for a, b, c in triangles]
    return Mesh(3, points, triangles, names, {})
