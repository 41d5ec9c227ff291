"""The shapes that a `domain` is made of, as pydantic models.

Input: the plain values below `domain`. Output: validated models with numbers as the file writes them, or every error at
once. Whether shapes fit together is for `problem.domain` to say. No sympy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, PlainValidator, ValidationInfo, model_validator
from pydantic import WithJsonSchema as Json

from pinnsolve.spec.schema.types import (
    MAX_ITEMS,
    TERM_NAME,
    Interval,
    Number,
    Strict,
    Text,
    about,
    evaluated,
    refuse,
    shown,
)

PRIMITIVES = ("box", "disk", "ball", "ellipse", "polygon", "cylinder", "half_plane", "implicit", "mesh")
COMBINATIONS = ("union", "intersection", "difference")
SHAPES = (*PRIMITIVES, *COMBINATIONS)
PLACES = ("boundary", "domain")  # words of `on`, which no part of a boundary can have for its name
MAX_DEPTH, MAX_SHAPES = 20, 500
EXAMPLE = "write `domain: {box: {x: [0, 1], y: [0, 1]}}`, or `{disk: {center: [0, 0], radius: 1}}`"

_NUMBER = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_POINT = {"type": "array", "items": _NUMBER, "description": "a list of numbers"}


# -- values -----------------------------------------------------------------------------------------------------


def _positive(value: Any, info: ValidationInfo) -> Any:
    number = evaluated(value, info)
    if number <= 0 and _reliable(info):
        raise refuse(f"a positive number is expected, not {shown(value)}")
    return value


def _reliable(info: ValidationInfo) -> bool:
    return info.context is None or info.context.reliable


def _vector(*lengths: int) -> Callable[[Any], Any]:
    words = " or ".join(map(str, lengths))
    example = ", ".join(["0"] * lengths[0])

    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) not in lengths:
            raise refuse(f"{words} numbers are expected, not {_counted(value)}", f"write them as `[{example}]`")
        return tuple(value)

    return check


def _center(value: Any, info: ValidationInfo) -> Any:
    """One number for all coordinates, or a number for each."""
    several = isinstance(value, list | tuple)
    if several and len(value) < 2:
        raise refuse(
            f"a number for each coordinate is expected, not {_counted(value)}", "`0` means zero in all of them"
        )
    for number in value if several else [value]:
        evaluated(number, info)
    return tuple(value) if several else value


def _counted(value: Any) -> str:
    return f"{len(value)} of them" if isinstance(value, list | tuple) else shown(value)


def _vector_type(*lengths: int) -> Any:
    schema = {**_POINT, "minItems": min(lengths), "maxItems": max(lengths)}
    return Annotated[tuple[Number, ...], BeforeValidator(_vector(*lengths)), Json(schema)]


def _several(least: int, what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise refuse(f"a list of {what} is expected, not {shown(value)}")
        if not least <= len(value) <= MAX_ITEMS:
            raise refuse(f"{least} to {MAX_ITEMS} {what} are expected, not {len(value)}")
        return tuple(value)

    return check


def _part_name(value: Any) -> str:
    if not isinstance(value, str) or not TERM_NAME.fullmatch(value):
        hint = "letters, digits, `_`, `-` and spaces within, 60 characters at most"
        raise refuse(f"{shown(value)} cannot be the name of a boundary", hint)
    if value in PLACES:
        raise refuse(f"`{value}` is taken: it is a place of every problem", "use another name, such as `outer`")
    return value


Positive = Annotated[int | float | str, PlainValidator(_positive), Json(_NUMBER)]
PositiveInPlane = Annotated[
    tuple[Positive, ...],
    BeforeValidator(_vector(2)),
    Json({**_POINT, "minItems": 2, "maxItems": 2}),
]
Center = Annotated[
    int | float | str | tuple[Number, ...],
    PlainValidator(_center),
    Json({"anyOf": [*_NUMBER["anyOf"], {**_POINT, "minItems": 2}]}),
]
InPlane, InSpace, InEither = _vector_type(2), _vector_type(3), _vector_type(2, 3)
PartName = Annotated[str, PlainValidator(_part_name), Json({"type": "string"})]


# -- primitives -------------------------------------------------------------------------------------------------


class DiskInput(Strict):
    """In the plane."""

    center: InPlane = about("`[x, y]`", ...)
    radius: Positive = about("Above 0.", ...)


class BallInput(Strict):
    """In any number of coordinates."""

    center: Center = about("One number for each coordinate, or one for all of them: `0`.", ...)
    radius: Positive = about("Above 0.", ...)


class EllipseInput(Strict):
    """In the plane."""

    center: InPlane = about("`[x, y]`", ...)
    radii: PositiveInPlane = about("The two half-axes.", ...)
    angle: Number = about("By which the first half-axis is turned from the x axis, in radians.", 0)


class CylinderInput(Strict):
    """A circular one, in space."""

    ends: Annotated[
        tuple[InSpace, ...], BeforeValidator(_several(2, "points")), Json({"type": "array", "items": _POINT})
    ] = about("The centers of its two ends, `[[0, 0, 0], [0, 0, 1]]`.", ...)
    radius: Positive = about("Above 0.", ...)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> CylinderInput:
        if len(self.ends) != 2:
            raise refuse(f"a cylinder has two ends, not {len(self.ends)}")
        start, end = ([evaluated(v, info) for v in point] for point in self.ends)
        if start == end and _reliable(info):
            raise refuse("the two ends of the cylinder are the same point")
        return self


class HalfPlaneInput(Strict):
    """All on one side of a line (in space, of a plane)."""

    point: InEither = about("A point of the line.", ...)
    normal: InEither = about("The direction that points out of the half-plane, of any length.", ...)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> HalfPlaneInput:
        if len(self.point) != len(self.normal):
            raise refuse(f"the point has {len(self.point)} coordinates and the normal {len(self.normal)}")
        if math.hypot(*(evaluated(v, info) for v in self.normal)) == 0 and _reliable(info):
            raise refuse("the normal is zero", "it points out of the half-plane, as `[1, 0]` does for x < 0")
        return self


# -- the tree ---------------------------------------------------------------------------------------------------

ShapeList = Annotated[tuple["ShapeInput", ...], BeforeValidator(_several(1, "shapes"))]


class ShapeInput(Strict):
    """A shape: one primitive, or several put together. `boundary` names its own part of the boundary."""

    box: dict[str, Interval] | None = about("Coordinate to interval: `{x: [0, 1], y: [0, 1]}`.")
    disk: DiskInput | None = about("`{center: [0, 0], radius: 1}`.")
    ball: BallInput | None = about("In any number of coordinates: `{center: [0, 0, 0], radius: 1}`.")
    ellipse: EllipseInput | None = about("`{center: [0, 0], radii: [2, 1], angle: pi/6}`; the angle may be left out.")
    polygon: (
        Annotated[
            tuple[InPlane, ...],
            BeforeValidator(_several(3, "points")),
            Json({"type": "array", "items": _POINT}),
        ]
        | None
    ) = about("Its points in order, either way round: `[[0, 0], [1, 0], [0, 1]]`.")
    cylinder: CylinderInput | None = about("In space: `{ends: [[0, 0, 0], [0, 0, 1]], radius: 1}`.")
    half_plane: HalfPlaneInput | None = about(
        "All on one side of a line or, in space, of a plane, for use with others: `{point: [0, 0], normal: [1, 0]}`."
    )
    implicit: Text | None = about(
        'A comparison that holds inside: `"x**2 + y**4 < 1"`; `coordinates` then has the intervals of a box around it.'
    )
    mesh: Text | None = about(
        "A mesh file beside the problem file, as meshio reads it (`.msh`, `.vtu`, `.xdmf`, `.stl`, ...): the names of "
        "its groups are those of parts of the boundary and of regions."
    )
    union: ShapeList | None = about("A list of shapes: what is in any of them.")
    intersection: ShapeList | None = about("A list of shapes: what is in all of them.")
    difference: ShapeList | None = about("A list of shapes: what is in the first and in none of the others.")
    boundary: PartName | None = about(
        "The name of this shape's part of the boundary, for `on`; shapes in it without a name of their own share it."
    )

    @model_validator(mode="before")
    @classmethod
    def _is_shape(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise refuse(f"a shape is expected, not {shown(value)}", EXAMPLE)
        given = [key for key in SHAPES if value.get(key) is not None]
        if len(given) > 1:
            raise refuse(f"both `{given[0]}` and `{given[1]}` are given", "several shapes go in a `union` or the like")
        if not given and not [key for key in value if key not in cls.model_fields]:
            raise refuse("the shape is missing", EXAMPLE)
        return value


SHAPE_MODELS: Mapping[str, type[BaseModel]] = {
    "disk": DiskInput,
    "ball": BallInput,
    "ellipse": EllipseInput,
    "cylinder": CylinderInput,
    "half_plane": HalfPlaneInput,
}


# -- plain values, right or wrong -------------------------------------------------------------------------------


def raw_shapes(domain: Any, path: tuple = ("domain",), depth: int = 0) -> Iterator[tuple[tuple, dict]]:
    """The shapes of a plain tree with their key paths, from the outside in, at most `MAX_SHAPES` and `MAX_DEPTH`."""
    if not isinstance(domain, dict) or depth > MAX_DEPTH:
        return
    yield path, domain
    count = 1
    for key in COMBINATIONS:
        items = domain.get(key)
        for index, item in enumerate(items if isinstance(items, list | tuple) else ()):
            for found in raw_shapes(item, (*path, key, index), depth + 1):
                yield found
                count += 1
                if count > MAX_SHAPES:
                    return


def too_large(domain: Any, depth: int = 0) -> str | None:
    """The problem with the size of a plain tree, if any, found before time is spent on its shapes."""
    pending, count = [(domain, 0)], 0
    while pending:
        node, depth = pending.pop()
        if not isinstance(node, dict):
            continue
        count += 1
        if depth > MAX_DEPTH:
            return f"shapes are nested too deeply: at most {MAX_DEPTH} levels"
        if count > MAX_SHAPES:
            return f"too many shapes: at most {MAX_SHAPES}"
        for key in COMBINATIONS:
            items = node.get(key)
            pending += [(item, depth + 1) for item in items] if isinstance(items, list | tuple) else []
    return None


def raw_dimension(domain: Any) -> int | None:
    """The number of coordinates of space of a plain tree, from the first shape that tells."""
    for _, shape in raw_shapes(domain):
        if any(key in shape for key in ("disk", "ellipse", "polygon")):
            return 2
        ball = shape.get("ball")
        center = ball.get("center") if isinstance(ball, dict) else None
        if isinstance(center, list | tuple) and len(center) > 1:
            return len(center)
        if any(key in shape for key in ("ball", "cylinder")):
            return 3
        half = shape.get("half_plane")
        normal = half.get("normal") if isinstance(half, dict) else None
        if isinstance(normal, list | tuple) and len(normal) in (2, 3):
            return len(normal)
        if isinstance(shape.get("box"), dict):
            return len(shape["box"])
    return None


def raw_box(domain: Any) -> dict[str, Any] | None:
    """The first box of a plain tree, which names coordinates."""
    return next((s["box"] for _, s in raw_shapes(domain) if isinstance(s.get("box"), dict)), None)


def boundary_names(domain: Any, around: str = "", depth: int = 0) -> tuple[str, ...]:
    """The names of the boundaries of primitives in a plain tree, in order: their own, or that of the shape around."""
    if not isinstance(domain, dict) or depth > MAX_DEPTH:
        return ()
    own = domain.get("boundary")
    name = own if isinstance(own, str) else around
    if not any(key in domain for key in COMBINATIONS):
        return (name,) if name else ()
    items = (item for key in COMBINATIONS for item in _items(domain.get(key)))
    return tuple(dict.fromkeys(n for item in items for n in boundary_names(item, name, depth + 1)))


def is_mesh(domain: Any) -> bool:
    """Whether a plain tree is a mesh and nothing else, be it within a `union` of one."""
    while isinstance(domain, dict) and "mesh" not in domain:
        items = [item for key in COMBINATIONS for item in _items(domain.get(key))]
        domain = items[0] if len(items) == 1 else None
    return isinstance(domain, dict)


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def raw_files(domain: Any) -> tuple[tuple[tuple, str], ...]:
    """The mesh files of a plain tree with their key paths."""
    return tuple((p, s["mesh"]) for p, s in raw_shapes(domain) if isinstance(s.get("mesh"), str))


def holds(domain: Any, key: str) -> bool:
    """Whether a shape of that kind is in a plain tree."""
    return any(shape.get(key) is not None for _, shape in raw_shapes(domain))


def as_lists(value: Any) -> Any:
    """A tree of plain maps and lists, as YAML has them."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, list | tuple) else value
