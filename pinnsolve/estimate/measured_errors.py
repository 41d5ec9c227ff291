"""Solution -> what is reported of it: errors against the truth, residuals at unseen points, standard errors.

Nothing here was seen by the solver: errors are root mean squares over points drawn for the purpose, or over the points
of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pinnsolve.assembly.row_source import stacked
from pinnsolve.assembly.rows import Assembly, TermRows
from pinnsolve.estimate.defect_correction import Approximation, relative_norms
from pinnsolve.estimate.free_values import in_groups, less_free
from pinnsolve.files.tables import reference_columns
from pinnsolve.geometry.subdomains import PartOfDomain
from pinnsolve.language.components import groups_of
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_torch import Evaluator
from pinnsolve.least_squares.tall_skinny import shared_range
from pinnsolve.problem.checks.neumann import free_axes
from pinnsolve.problem.problem import Problem

NUMBERS, FEWEST = 4e6, 1000  # functions times points that residuals are reported of; and points at least


def exact_values(problem: Problem, points: np.ndarray | Tensor) -> dict[str, np.ndarray]:
    """The exact solution at points (N, d): {unknown: (N,)} for the unknowns whose solution is known."""
    x = torch.as_tensor(points, dtype=torch.float64)
    values = Evaluator(list(problem.exact.values()))(
        {coordinate_symbol(c): x[:, i] for i, c in enumerate(problem.coordinates)}
    )
    return {name: (torch.ones_like(x[:, 0]) * v).cpu().numpy() for name, v in zip(problem.exact, values, strict=True)}


def true_error(
    problem: Problem, approximation: Approximation, x: Tensor, floating: Sequence[str]
) -> tuple[dict[str, float], str] | None:
    """Relative L2 error per unknown and what it was measured against (a reference by file); None if unknown.

    `x`: (N, d) unseen points for an exact solution; a reference brings its own. Raises ProblemError for a reference
    without the columns it needs.
    """
    if problem.exact:
        x = in_groups(x, problem.statements, floating)
        truth, against = exact_values(problem, x.cpu()), "exact"
    elif problem.reference is not None:
        x, truth = _reference(problem, x)
        against = f"reference {problem.reference.name}"
    else:
        return None
    names = [u for u in problem.unknowns if u in truth]
    values = approximation.values(x)
    u = torch.stack([values[problem.unknowns.index(n)] for n in names])
    v = torch.stack([torch.as_tensor(truth[n]).to(u) for n in names])
    errors = u - v
    for i, name in enumerate(names):
        if name in problem.homes:  # elsewhere it is nothing
            place = PartOfDomain(
                problem.homes[name], problem.coordinates, problem.intervals, problem.time, problem.shape
            )
            lives = place.inside(x)
            errors[i], v[i] = errors[i] * lives, torch.where(lives, v[i], 0.0)
        if name in floating:
            axes = free_axes(problem.statements, name)
            errors[i], v[i] = less_free(errors[i], x, axes), less_free(v[i], x, axes)
    groups = groups_of(names, problem.complex_unknowns, problem.vectors)
    return relative_norms(names, errors, v, groups), against


def _reference(problem: Problem, like: Tensor) -> tuple[Tensor, dict[str, np.ndarray]]:
    columns, known = reference_columns(problem.reference, problem.coordinates, problem.unknowns)
    x = torch.as_tensor(np.stack([columns[c] for c in problem.coordinates], axis=1)).to(like)
    return x, known


def term_report(check: Assembly, approximation: Approximation, points: Mapping[str, int]) -> tuple[dict, dict]:
    """Per term: weight, number of solve points, rms residual at unseen points; and arrays for figures.

    Of functions that are costly at a point fewer are asked, one of several all over the term's region, but for data.
    """
    basis, state = approximation.basis, approximation.state
    most = max(round(NUMBERS / basis.active), FEWEST)
    terms, places, magnitudes = {}, {}, {}
    for term in check.terms:
        name, count = term.term.name, term.points.count
        if count > most and term.term.data_file is None:
            some = torch.arange(0, count, math.ceil(count / most))
            term = TermRows(term.term, term.points.select(some), check.problem, 1.0)
        r = term.residuals_of(basis, state)
        terms[name] = {
            "weight": check.term_weights[name],
            "points": points.get(name, 0),
            "rms_residual": float((r**2).sum(dim=0).mean().sqrt()) if r.shape[1] else 0.0,
        }
        places[name] = term.points.x[0].cpu().numpy()
        magnitudes[name] = (r**2).sum(dim=0).sqrt().cpu().numpy()
    return terms, {"points": places, "residuals": magnitudes}


def parameter_report(assembly: Assembly, approximation: Approximation) -> dict[str, dict]:
    """Unknown parameters with standard errors, from the covariance of the least squares at the solution.

    The coefficients are projected out (Golub & Pereyra 1973); sigma^2 is the loss of the data per degree of freedom,
    or of everything where there are no data: equations hold exactly and carry no noise.
    """
    parameters = assembly.problem.unknown_parameters
    if not parameters:
        return {}
    blocks, among = list(assembly.blocks(approximation.basis, approximation.state)), assembly.among
    A, _ = stacked(blocks)
    split = A.shape[1] - len(parameters)
    C, P = A[:, :split], A[:, split:]
    norms = among.summed(C.square().sum(dim=0)).sqrt()
    Q, _ = shared_range(C / torch.where(norms > 0, norms, 1.0), among)
    P = P - Q @ among.summed(Q.T @ P)
    measured = {t.term.name for t in assembly.terms if t.term.data_file is not None}
    noisy = torch.cat([b.r[0] for b in blocks if b.name in measured or not measured])
    squares, count = (among.total(float(value)) for value in (noisy @ noisy, noisy.numel()))
    sigma2 = squares / max(count - len(parameters), 1)
    covariance = sigma2 * torch.linalg.pinv(among.summed(P.T @ P), hermitian=True)
    errors = torch.diagonal(covariance).clamp_min(0).sqrt()
    values = approximation.state.parameters
    return {p.name: {"value": float(values[i]), "standard_error": float(errors[i])} for i, p in enumerate(parameters)}
