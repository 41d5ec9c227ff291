"""The shapes of a problem file against its names: coordinates, dimensions, mesh files, implicit expressions.

Input: the validated `domain` as plain values, and the names of the file. Output: errors with their key paths, each a
path, a message, a hint, and the text and offset where there is one. No sympy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinnsolve.files.data_files import DataFileError, mesh_path
from pinnsolve.files.mesh_file import read_mesh
from pinnsolve.language.syntax import COMPARISONS, Chain
from pinnsolve.language.vocabulary import close_match
from pinnsolve.spec.parsed import ParsedExpression
from pinnsolve.spec.schema.shapes import raw_files, raw_shapes

KeyPath = tuple[str | int, ...]
DIMENSIONS = {"disk": 2, "ellipse": 2, "polygon": 2, "cylinder": 3}
PRIMITIVES = frozenset((*DIMENSIONS, "ball", "half_plane", "implicit", "mesh"))
MOST_LISTED = 6  # coordinates that a message names one by one
WORDS = {2: "in the plane", 3: "in space"}


@dataclass(frozen=True)
class ShapeProblem:
    """A problem of a shape, and its place."""

    path: KeyPath
    message: str
    hint: str | None = None
    text: str | None = None


def shape_problems(
    domain: Any, space: tuple[str, ...], folder: Path, at: KeyPath = ("domain",)
) -> Iterator[ShapeProblem]:
    """Everything that is wrong with the shapes of a domain, or of what stands `at` another place, expressions apart."""
    shapes = list(raw_shapes(domain, at))
    if len(shapes) == 1 and "box" in domain and at == ("domain",):
        return  # its coordinates are those of the problem
    if len(space) > 3 and len(shapes) == 1 and "ball" in domain:
        yield from _dimension(at, domain, space)
        return
    boxes = all("box" in shape or not PRIMITIVES & shape.keys() for _, shape in shapes)
    if len(space) not in (2, 3) and not boxes:
        words = _listed(space) or "none"
        message = (
            f"shapes lie in two or three coordinates of space, a ball by itself in any number, and here are {words}"
        )
        yield ShapeProblem(at, message)
        return
    for path, shape in shapes:
        yield from _box(path, shape.get("box"), space)
        yield from _dimension(path, shape, space)
    for path, file in raw_files(domain) if at == ("domain",) else ():
        yield from _mesh((*path, "mesh"), file, space, folder)


def _box(path: KeyPath, box: Any, space: tuple[str, ...]) -> Iterator[ShapeProblem]:
    if not isinstance(box, Mapping):
        return
    for name in box:
        if name not in space:
            close = close_match(str(name), space)
            hint = f"did you mean `{close}`?" if close else f"the coordinates of space are {', '.join(space)}"
            yield ShapeProblem((*path, "box", name), f"`{str(name)[:60]}` is not a coordinate of space", hint)
    for name in space:
        if name not in box:
            yield ShapeProblem((*path, "box"), f"the interval of `{name}` is missing", f"as in `{name}: [0, 1]`")


def _dimension(path: KeyPath, shape: Mapping, space: tuple[str, ...]) -> Iterator[ShapeProblem]:
    for key, wanted in DIMENSIONS.items():
        if key in shape and wanted != len(space):
            message = f"`{key}` is a shape {WORDS[wanted]}, and the coordinates of space are {', '.join(space)}"
            yield ShapeProblem((*path, key), message)
    ball = shape.get("ball")
    center = ball.get("center") if isinstance(ball, Mapping) else None
    if isinstance(center, list | tuple) and len(center) != len(space):
        message = f"the center has {len(center)} components, and the coordinates of space are {_listed(space)}"
        yield ShapeProblem((*path, "ball", "center"), message)
    half = shape.get("half_plane")
    normal = half.get("normal") if isinstance(half, Mapping) else None
    if isinstance(normal, list | tuple) and len(normal) in WORDS and len(normal) != len(space):
        message = f"the normal has {len(normal)} components, and the coordinates of space are "
        yield ShapeProblem((*path, "half_plane", "normal"), message + ", ".join(space))


def _listed(space: tuple[str, ...]) -> str:
    return ", ".join(space) if len(space) <= MOST_LISTED else f"{space[0]} to {space[-1]}, {len(space)} of them"


def comparison_problem(path: KeyPath, inside: ParsedExpression) -> ShapeProblem | None:
    """The problem of the comparison of an implicit shape, if it has one."""
    compares = isinstance(inside.tree, Chain) and inside.tree.operators[0] in (*COMPARISONS, "and", "or")
    if not compares or inside.tree.operators in (("<",), ("<=",), (">",), (">=",)):
        return None
    hint = 'as in "x**2 + y**4 < 1"; several are put together by `intersection` or `union`'
    return ShapeProblem(path, "an implicit shape is one comparison with `<` or `>`", hint, inside.text)


def _mesh(path: KeyPath, file: str, space: tuple[str, ...], folder: Path) -> Iterator[ShapeProblem]:
    try:
        header = read_mesh(mesh_path(folder, file))
    except DataFileError as error:
        yield ShapeProblem(path, error.message, error.hint, file)
        return
    if header.dimension != len(space):
        message = f"the mesh lies in {header.dimension} dimensions, and the coordinates of space are {', '.join(space)}"
        yield ShapeProblem(path, message, text=file)


def inner_names(domain: Any, folder: Path) -> tuple[str, ...]:
    """Names of the groups of sides that lie inside the meshes of a domain."""
    found: list[str] = []
    for _, file in raw_files(domain):
        with contextlib.suppress(DataFileError):
            found += read_mesh(mesh_path(folder, file)).inner
    return tuple(found)


def mesh_names(domain: Any, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of parts of the boundary and of regions that the meshes of a domain bring; None if one cannot be read."""
    parts: list[str] = []
    regions: list[str] = []
    for _, file in raw_files(domain):
        try:
            header = read_mesh(mesh_path(folder, file))
        except DataFileError:
            return None
        parts += header.parts
        regions += header.regions
    return tuple(dict.fromkeys(parts)), tuple(dict.fromkeys(regions))
