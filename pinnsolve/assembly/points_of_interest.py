"""Points of terms that are dense where the known functions of a problem vary: for a look that no detail escapes.

Evenly spread points see a peak of a source, or the window of a condition, only if these are wide. Here every detail of
a known function, found by looking at the functions (see `bases.piecewise.details`), gets points of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pinnsolve.bases.piecewise.details import Details, details_of
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.regions import Piece
from pinnsolve.geometry.sampling import Points, on_piece
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.runtime import random_tensor

AROUND = 1.0  # sizes of a detail: how far round it points are drawn, too
MOST_PLACES = 64  # details and cuts that get points, chosen evenly among more
BESIDE = 1e-3  # of an interval: how near to a cut points are drawn


def points_of_interest(problem: CompiledProblem, count: int = 256, seed: int = 0) -> dict[str, Points]:
    """By name of every term about `count` points of its region, where known functions vary within little.

    They lie in the details of all known functions of the problem and on both sides of their jumps and kinks, drawn at
    random with that `seed`; normals and partners of periodic points are those of `sample_region`, and `where` holds.
    Terms without such points are left out: those of data and of boundaries of shapes, and all where no function has a
    detail, which costs next to nothing.
    """
    boxes = _boxes(problem, details_of(problem))
    if boxes is None:
        return {}
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for term in problem.terms:
        points = _of_term(term, problem, boxes, count, generator) if term.data_file is None else None
        if points is not None and points.count:
            found[term.name] = points
    return found


def _boxes(problem: CompiledProblem, details: Details) -> tuple[Tensor, Tensor] | None:
    """(S, d) corners of the boxes to draw points in: round details, and beside cuts; None without any."""
    ends = torch.tensor(problem.intervals, dtype=torch.float64)
    low, high = ends[:, 0], ends[:, 1]
    size = torch.where(details.size.isfinite(), details.size, 0.0)
    lower, upper = [details.lower - AROUND * size], [details.upper + AROUND * size]
    for axis in range(len(low)):
        for value in details.places(axis):
            near = BESIDE * (high[axis] - low[axis])
            for a, b in ((value - near, value), (value, value + near)):
                one, two = low.clone(), high.clone()
                one[axis], two[axis] = a, b
                lower.append(one[None])
                upper.append(two[None])
    lower, upper = torch.cat(lower), torch.cat(upper)
    lower, upper = torch.maximum(lower, low), torch.minimum(upper, high)
    if not len(lower):
        return None
    chosen = torch.unique(torch.linspace(0, len(lower) - 1, min(len(lower), MOST_PLACES)).round().long())
    return lower[chosen], upper[chosen]


def _of_term(term: Term, problem: CompiledProblem, boxes, count: int, generator: torch.Generator) -> Points | None:
    inside = [where_function(term.region.where, problem.coordinates)]
    if problem.shape is not None:
        shape, space = make_shape(problem.shape), list(problem.axes.space_axes)
        inside.append(lambda x, normals: shape.inside(x[:, space]))
    parts = [
        points
        for piece in term.region.pieces
        if piece.part is None and piece.region is None
        for points in [_of_piece(piece, boxes, count, generator)]
    ]
    parts = list(_tested(parts, [test for test in inside if test is not None]))
    if not parts:
        return None
    normals = None
    if any(one.normals is not None for one in parts):
        normals = torch.cat([one.normals if one.normals is not None else 0.0 * one.x[0] for one in parts])
    return Points(torch.cat([one.x for one in parts], dim=1), normals)


def _tested(parts: list[Points], tests: list[Callable[..., Tensor]]) -> Iterator[Points]:
    for one in parts:
        for test in tests:
            one = one.select(test(one.x[0], one.normals))
        if one.count:
            yield one


def _of_piece(piece: Piece, boxes: tuple[Tensor, Tensor], count: int, generator: torch.Generator) -> Points:
    lower, upper = boxes
    each = max(4, count // len(lower))
    unit = random_tensor(torch.rand, len(lower), each, lower.shape[1], generator=generator, dtype=torch.float64)
    x = (lower[:, None] + unit * (upper - lower)[:, None]).flatten(0, 1)
    return on_piece(piece, x)
