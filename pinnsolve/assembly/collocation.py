"""CompiledProblem -> points and term weights: everything a solve needs besides its basis.

Input: the compiled terms, counts from the table of defaults, a seed. Output: `Points` per term (sampled or measured)
and numbers for the term weights epsilon_k.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import TermRows
from pinnsolve.bases.base import Basis
from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.defaults import Collocation
from pinnsolve.errors import Diagnostic, ProblemError
from pinnsolve.files.tables import measured_columns
from pinnsolve.geometry.factory import make_shape
from pinnsolve.geometry.sampling import Narrowing, Points, Space, sample_region
from pinnsolve.geometry.subdomains import where_function
from pinnsolve.runtime import random_tensor

HOLD_OUT_SEED = 8191
ROUNDING = 1e-13  # rows this small, relative to those of other terms, are zero
NOISE_FACTOR = 1e-6  # on the automatic weight of data with noise: what holds exactly goes before what was measured
WEIGHT_SAMPLE = 512  # points per term from which an automatic weight is taken


class NoPoints(ProblemError):
    """A term holds at none of the points that were drawn."""


def sample_problem(
    problem: CompiledProblem, counts: Collocation, seed: int, like: Tensor, part: str = "all", lenient: bool = False
) -> dict[str, Points]:
    """Points of every term, with the dtype and device of `like`; measured points are the same for every seed.

    A term whose `where` leaves no point is an error, or, where that is `lenient`, has none.

    `part` of the measured points: "all", "kept" or "held_out" (a fifth, drawn once), where nothing but them can tell
    how good a solution is.
    """
    result = {}
    for i, term in enumerate(problem.terms):
        try:
            points = _sample_term(term, problem, counts, seed + 104_729 * i)
        except NoPoints:
            if not lenient:
                raise
            points = _no_points(problem)
        points = _converted(points, like)
        if term.data_file is not None and part != "all":
            if points.count < 2:
                message = f"`{term.data_file.name}` has {points.count} row, and a fit needs one more to be judged by"
                raise ProblemError([Diagnostic(message, key=f"data.{term.name}", hint="give at least two rows")])
            order = random_tensor(torch.randperm, points.count, generator=torch.Generator().manual_seed(HOLD_OUT_SEED))
            held = max(1, points.count // 5)
            points = points.select(order[:held] if part == "held_out" else order[held:])
        result[term.name] = points
    return result


def _sample_term(term: Term, problem: CompiledProblem, counts: Collocation, seed: int) -> Points:
    if term.data_file is not None:
        return measured_points(term, problem)
    fills = any(piece.fills for piece in term.region.pieces)
    count = counts.interior if fills else counts.boundary
    if not fills and space_of(problem) is not None and len(problem.axes.space) > 3:
        count *= 2 * len(problem.axes.space)  # a sphere stands for as many faces
    narrowing = Narrowing(where_function(term.region.where, problem.coordinates), space_of(problem))
    try:
        return sample_region(term.region, problem.intervals, count, counts.sampling, seed, narrowing)
    except ValueError as error:
        from pinnsolve.assembly.points_of_interest import points_of_interest

        found = points_of_interest(problem, count, seed).get(term.name)
        if found is not None:  # where evenly spread points do not come
            return found
        hint = "check the term's `where`" if problem.shape is None else "check its place, and its `where` if it has one"
        raise NoPoints([Diagnostic(str(error), key=term.name, hint=hint)]) from error


def _no_points(problem: CompiledProblem) -> Points:
    x = torch.zeros(1, 0, len(problem.coordinates), dtype=torch.float64)
    return Points(x, x[0])


def measured_points(term: Term, problem: CompiledProblem) -> Points:
    """Points and columns of a data file. Raises ProblemError for missing coordinates and points outside the box."""
    columns = measured_columns(term.data_file, f"data.{term.name}", problem.coordinates, problem.intervals)
    x = np.stack([columns[c] for c in problem.coordinates], axis=1)
    measured = {n: torch.as_tensor(v) for n, v in columns.items() if n not in problem.coordinates and len(v) == len(x)}
    return Points(torch.as_tensor(x)[None], None, measured)


def _converted(points: Points, like: Tensor) -> Points:
    return Points(
        points.x.to(like),
        None if points.normals is None else points.normals.to(like),
        {name: column.to(like) for name, column in points.columns.items()},
    )


def term_weights(
    problem: CompiledProblem, asked: Mapping[str, float | str], points: Mapping[str, Points], basis: Basis
) -> dict[str, float]:
    """The numbers epsilon_k: those asked for (functions of W already evaluated), and `auto` for the rest.

    `auto` makes the rows of every term equally large: epsilon_k = 1 / mean over points and basis functions of
    (L_k Phi_j)^2, with L_k linearized at zero, the largest scaled to 1. An error of the same size in u then costs the
    same
    in every term. Data with `noise` get `NOISE_FACTOR` of that, so that equations and conditions, which hold exactly,
    average the noise out. With any number given by the file, the others are 1, as in [Gulian].
    """
    if asked:
        return {t.name: float(asked.get(t.name, 1.0)) for t in problem.terms}
    sizes = {t.name: _operator_size(t, points[t.name], problem, basis) for t in problem.terms}
    # what all functions of a basis meet exactly is nothing but rounding
    least = ROUNDING**2 * max(sizes.values())
    sizes = {name: size if size > least else max(sizes.values()) for name, size in sizes.items()}
    weights = {t.name: (NOISE_FACTOR if t.noise else 1.0) / sizes[t.name] for t in problem.terms}
    largest = max(weights.values())
    return {name: value / largest for name, value in weights.items()}


def _operator_size(term: Term, points: Points, problem: CompiledProblem, basis: Basis) -> float:
    chosen = torch.linspace(0, points.count - 1, min(points.count, WEIGHT_SAMPLE)).long()
    rows = TermRows(term, points.select(chosen), problem, 1.0)
    state = zero_state(problem, basis)
    squares = 0.0
    if basis.by_operator:
        squares = float(rows.rows_on(basis, state).A.square().mean())
        return squares if 0.0 < squares < float("inf") else 1.0
    matrices = rows.matrices(basis, None)
    for coefficients in rows.coefficients_of(rows.values(matrices, state), state):
        for feature, matrix in matrices.items():
            factor = coefficients.get(feature, 0.0)
            factor = factor if isinstance(factor, Tensor) else torch.as_tensor(float(factor)).to(matrix)
            squares += float(((factor.reshape(-1, 1) * matrix) ** 2).mean())
    return squares if 0.0 < squares < float("inf") else 1.0


def zero_state(problem: CompiledProblem, basis: Basis):
    """The zero state of a problem and basis, unknown parameters at their guesses."""
    guesses = [p.guess for p in problem.unknown_parameters]
    return State(basis.lower.new_zeros(len(problem.unknowns), basis.width), basis.lower.new_tensor(guesses))


def space_of(problem: CompiledProblem) -> Space | None:
    """The shape of a problem's domain with its axes; None for a box."""
    if problem.shape is None:
        return None
    axes = tuple(i for i, c in enumerate(problem.coordinates) if c != problem.time)
    return Space(make_shape(problem.shape), axes)
