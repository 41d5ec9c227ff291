"""What figures show besides a solution, and what a saved solution could not tell any more: measured values, and where
the estimated error is large.

Input: the terms of a solve, and its corrected solution or its estimated error. Output: arrays for the `diagnostics` of
a solution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from pinnsolve import defaults
from pinnsolve.assembly.rows import Assembly
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.figures.samples import ERROR_PIXELS, LINE_POINTS
from pinnsolve.figures.slices import views_of
from pinnsolve.results.solution import Solution

MOST_COORDINATES = 4  # beyond which the correction has too many functions for pictures
MOST_MEASURED = 2000  # values of a term that are kept for figures


def measured_values(check: Assembly, approximation: Approximation) -> dict[str, dict[str, np.ndarray]]:
    """By unknown and data term, points with the value that was measured there, (N, d + 1): of terms `u = column`.

    The value is what the residual leaves of the unknown, so that no file is read again.
    """
    unknowns, found = check.problem.unknowns, {}
    for rows in check.terms:
        term, x = rows.term, rows.points.x[0]
        if term.data_file is None:
            continue
        some = _chosen(len(x))
        values = approximation.values(x[some])
        residuals = rows.residuals_of(approximation.basis, approximation.state)
        for residual, linearization in zip(residuals, term.linearizations, strict=True):
            if (held := linearization.held_value) is None:
                continue
            name, factor = held
            measured = values[unknowns.index(name)] - residual[some] / float(factor)
            table = torch.cat([x[some], measured[:, None]], dim=1).cpu().numpy()
            found.setdefault(name, {})[term.name] = table
    return found


def _chosen(count: int) -> np.ndarray:
    """All of so many, or some at random: every second of a grid would look like another grid."""
    if count <= MOST_MEASURED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_MEASURED, replace=False))


def with_estimated_error(solution: Solution, corrected: Approximation | None, error: Approximation | None) -> Solution:
    """The solution with the size of its estimated error where figures show it, by unknown one array over all views.

    The error is what a `corrected` solution differs by, or the `error` itself, where that is what is at hand. What
    noise of the data adds, is added in squares, as in the estimate.
    """
    found = corrected or error
    if found is None or solution.modes is not None or len(solution.coordinates) > MOST_COORDINATES:
        return solution
    points, names = error_points(solution), solution.names
    fields = replace(solution, basis=found.basis, coefficients=found.state.coefficients).columns(points, names)
    if corrected is not None:
        ours = solution.columns(points, names)
        fields = {name: fields[name] - ours[name] for name in names}
    sizes = {name: np.abs(field) for name, field in fields.items()}
    if solution.deviations is not None:
        at = dict(zip(solution.coordinates, points.T, strict=True))
        noise = {name: defaults.DEVIATIONS * solution.standard_deviation(name)(**at) for name in names}
        sizes = {name: np.hypot(sizes[name], noise[name]) for name in names}
    kept = {name: size.astype(np.float32) for name, size in sizes.items() if np.isfinite(size).any()}
    return replace(solution, diagnostics={**solution.diagnostics, "estimated": kept})


def error_points(solution: Solution) -> np.ndarray:
    """(N, d): the points of all views, one after the other."""
    views = views_of(solution)
    return np.concatenate([view.grid(solution, view.resolution(ERROR_PIXELS, LINE_POINTS)) for view in views])
