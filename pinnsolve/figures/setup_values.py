"""The values that a problem prescribes, and their places, as arrays to draw before anything is solved.

Input: a compiled problem. Output: per condition the values it prescribes, along curves, over faces or at points; the
points of each term; the parts of the boundary on which no condition holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch

from pinnsolve.assembly.collocation import sample_problem, space_of
from pinnsolve.compiler.term_table import collocation_of, left_side
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.defaults import Collocation
from pinnsolve.geometry import regions
from pinnsolve.geometry.regions import Piece, Region
from pinnsolve.geometry.sampling import Narrowing, Points, sample_region
from pinnsolve.geometry.shapes import part_names
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.problem.problem import Problem

ALONG, OVER = 400, 2500  # points on a curve; on a face or in the domain
SHARES_OF_TIME = (0.0, 0.5, 1.0)  # at which a condition that holds for all times is drawn
SHOWN = Collocation(1500, 300, "sobol")  # of the points of a solve that chooses them by cell


@dataclass(frozen=True)
class Asked:
    """The values that one equation of a condition prescribes on one piece of its place, at one time or at all times.

    `points`: (N, d) and `values`: (N,), in order along a curve; `label`: the expression that has them, such as `u_x`;
    `dimension`: 1 for points on a curve, 2 on a face; `time`: the chosen time, where the condition holds for many.
    """

    label: str
    points: np.ndarray
    values: np.ndarray
    dimension: int
    time: float | None = None

    def free_axes(self) -> list[int]:
        """The coordinates that vary."""
        return [int(a) for a in np.flatnonzero(np.ptp(self.points, axis=0) > 0)]


def asked(term: Term, problem: CompiledProblem) -> list[Asked]:
    """The values that a condition prescribes; none for periodic and nonlinear conditions."""
    known = [given for residual in term.residuals if (given := _given(residual, problem)) is not None]
    found = []
    for piece in term.region.pieces:
        if piece.partner is not None:
            return []
        for time, held in _at_times(piece, problem):
            points = _points(replace(term.region, pieces=(held,)), problem)
            if points is None:
                continue
            x, dimension = points.x[0].numpy(), _dimension(held, problem)
            found += [Asked(label, x, _evaluated(value, points, problem), dimension, time) for label, value in known]
    return found


def _given(residual: sp.Expr, problem: CompiledProblem) -> tuple[str, sp.Expr] | None:
    """`L u - g` as the words of L u and g, with the sign that makes the first factor of a number positive."""
    symbols = [s for s in residual.free_symbols if isinstance(s, FeatureSymbol)]
    unknown = {coordinate_symbol(p.name) for p in problem.unknown_parameters}
    coefficients = {s: sp.diff(residual, s) for s in symbols}
    if not symbols or any(c.atoms(FeatureSymbol) for c in coefficients.values()) or residual.free_symbols & unknown:
        return None
    source = residual.xreplace({s: sp.Integer(0) for s in symbols})
    first = coefficients[min(symbols, key=lambda s: s.feature.sort_key())]
    sign = -1 if first.could_extract_minus_sign() else 1
    return left_side(sign * sp.expand(residual - source), problem.coordinates), -sign * source


def _at_times(piece: Piece, problem: CompiledProblem) -> list[tuple[float | None, Piece]]:
    """The piece at a few times, where it holds for all of them and has more to it than time."""
    axes = piece.free_axes(len(problem.coordinates))
    time = problem.coordinates.index(problem.time) if problem.time in problem.coordinates else None
    if time not in axes or _dimension(piece, problem) == 1:
        return [(None, piece)]
    low, high = problem.intervals[time]
    times = [low + share * (high - low) for share in SHARES_OF_TIME]
    return [(t, replace(piece, fixed=tuple(sorted((*piece.fixed, (time, t)))))) for t in times]


def _points(region: Region, problem: CompiledProblem) -> Points | None:
    narrowing = Narrowing(where_function(region.where, problem.coordinates), space_of(problem))
    count = ALONG if _curve_like(region.pieces, problem) else OVER
    try:
        return sample_region(region, problem.intervals, count, "grid", 0, narrowing)
    except ValueError:  # at that time, or that fine, there is nothing of it
        return None


def _evaluated(value: sp.Expr, points: Points, problem: CompiledProblem) -> np.ndarray:
    x = points.x[0]
    known = {coordinate_symbol(c): x[:, i] for i, c in enumerate(problem.coordinates)}
    if points.normals is not None:
        known |= {coordinate_symbol(f"n_{c}"): points.normals[:, i] for i, c in enumerate(problem.coordinates)}
    return (torch.zeros_like(x[:, 0]) + Evaluator([value])(known)[0]).numpy()


# -- points -----------------------------------------------------------------------------------------------------


def solve_points(problem: Problem, compiled: CompiledProblem) -> tuple[dict[str, Points], bool]:
    """The points of every term that the first basis is solved on, and whether they are exactly these.

    A solve that chooses cells also chooses its points; then points with a similar spread are returned.
    """
    counts = collocation_of(problem, compiled)
    like = torch.zeros((), dtype=torch.float64)
    return sample_problem(compiled, counts or SHOWN, problem.settings.seed, like), counts is not None


def free_boundary(compiled: CompiledProblem) -> Region | None:
    """The part of the boundary in space on which no condition holds; None where there is none."""
    pieces = [piece for term in compiled.terms if term.kind == "condition" for piece in term.region.pieces]
    if compiled.shape is not None:
        return _free_parts(pieces, compiled)
    space = tuple(i for i, c in enumerate(compiled.coordinates) if c != compiled.time)
    held = {fixed for piece in pieces for fixed in piece.fixed} | {piece.partner for piece in pieces}
    free = [face for face in regions.whole_boundary(compiled.intervals, space).pieces if face.fixed[0] not in held]
    names = ", ".join(f"{compiled.coordinates[a]} = {v:g}" for face in free for a, v in face.fixed)
    return Region(names, tuple(free)) if free else None


def _free_parts(pieces: Sequence[Piece], compiled: CompiledProblem) -> Region | None:
    """The named parts of a shape without a condition; conditions on planes are not searched for gaps."""
    held = {piece.part for piece in pieces}
    free = [] if "" in held else [name for name in part_names(compiled.shape) if name not in held]
    return Region(", ".join(free), tuple(Piece(part=name) for name in free)) if free else None


def place(region: Region, compiled: CompiledProblem) -> Points | None:
    """Points that show where a region is in space: in order along curves, mixed over faces; None where it has none."""
    pieces = tuple(_at_times(piece, compiled)[0][1] for piece in region.pieces)
    points = _points(replace(region, pieces=pieces), compiled)
    if points is None or _curve_like(pieces, compiled):
        return points
    return points.select(torch.randperm(points.count, generator=torch.Generator().manual_seed(0)))


def fills_space(region: Region, compiled: CompiledProblem) -> bool:
    """Say whether a region leaves all coordinates of space free, as the initial time does."""
    space = {i for i, c in enumerate(compiled.coordinates) if c != compiled.time}
    return all(
        piece.part is None and space <= set(piece.free_axes(len(compiled.coordinates))) for piece in region.pieces
    )


def _curve_like(pieces: Sequence[Piece], compiled: CompiledProblem) -> bool:
    return max(_dimension(piece, compiled) for piece in pieces) <= 1


def _dimension(piece: Piece, compiled: CompiledProblem) -> int:
    return len(compiled.coordinates) - piece.held
