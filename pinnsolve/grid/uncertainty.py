"""What noise of the data leaves open: standard errors, correlations, deviations of the solution, weak combinations.

The covariance is that of the least squares at its solution, with the noise as the residual of the data shows it. The
parameters' part of it is exact to first order; what noise does to the coefficients with the parameters held (next to
nothing where equations and conditions determine them) is drawn at random and carried through the same factorization.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.grid.border import Linearization, adjoint, applied
from pinnsolve.grid.data import DataGroup
from pinnsolve.grid.inverse import Fit, InverseLevel, Statement, data_groups
from pinnsolve.grid.regularization import SmoothnessGroup

DRAWS = 16
ENOUGH = 10  # degrees of freedom from which on the noise found is trusted before the one stated
UNDETERMINED = 1.0  # relative standard deviation of a combination of parameters that is worth a warning
NOISIER = 1.5  # times the stated noise


@dataclass(frozen=True)
class Uncertainty:
    """`covariance` (P, P) of the parameters; `deviations` (K, U, C n): functions whose squares add up to the variance
    of the solution; `spread`: the noise found over the one assumed; `freedom`: how many degrees of freedom of the
    data the coefficients take beside the parameters."""

    covariance: Tensor
    deviations: Tensor
    spread: float
    freedom: float

    @property
    def standard_errors(self) -> Tensor:
        return torch.diagonal(self.covariance).clamp_min(0).sqrt()

    @property
    def correlation(self) -> Tensor:
        errors = self.standard_errors.clamp_min(1e-300)
        return self.covariance / errors[:, None] / errors


def uncertainty(statement: Statement, level: InverseLevel, fit: Fit, seed: int) -> Uncertainty:
    """The covariance at a level, by the noise that its residuals show."""
    system, linearization = level.level.system, level.found.linearization
    groups, unit = data_groups(system), statement.measurements.unit(data_groups(system))
    drawn, freedom = _draws(system.groups, linearization, unit, seed)
    count = sum(group.count for group in groups)
    P = linearization.count
    left = count - P - freedom
    squares = fit.spread**2 * max(count - P, 1)
    spread = fit.spread  # without redundant data nothing tells their noise but the file
    if left >= min(ENOUGH, 0.1 * count):
        spread = math.sqrt(squares / left)
    elif all(term.noise is not None for term in statement.measurements.terms):
        spread = max(fit.spread, 1.0)
    covariance = spread**2 * fit.inverse
    values, vectors = torch.linalg.eigh(covariance)
    half = vectors * values.clamp_min(0).sqrt()
    parts = torch.cat([-linearization.X @ half, spread * drawn], dim=2)  # (C, U n, K)
    U = len(statement.problem.unknowns)
    cells, K = parts.shape[0], parts.shape[2]
    deviations = parts.reshape(cells, U, -1, K).permute(3, 1, 0, 2).reshape(K, U, -1)
    return Uncertainty(covariance, deviations, spread, freedom)


def _draws(groups: Sequence, linearization: Linearization, unit: float, seed: int) -> tuple[Tensor, float]:
    """(C, U n, DRAWS) what unit noise does to the coefficients, the parameters held, over the root of DRAWS; and the
    trace of the influence of the data on their own fit (Hutchinson 1990)."""
    generator = torch.Generator().manual_seed(seed)
    noise, prior = [], []
    for group, rows in zip(groups, linearization.matrices, strict=True):
        random = torch.randn(*rows.r.shape, DRAWS, generator=generator, dtype=torch.float64)
        measured = isinstance(group, DataGroup)
        noise.append(random * group.keep[:, :, None] if measured else torch.zeros_like(random))
        prior.append(random if isinstance(group, SmoothnessGroup) else torch.zeros_like(random))
    moved = linearization.factor.solve(adjoint(linearization.matrices, noise, linearization.X))
    fitted = applied(linearization.matrices, moved)
    trace = sum(float((a * b).sum()) for a, b in zip(fitted, noise, strict=True)) / DRAWS
    if any(isinstance(group, SmoothnessGroup) for group in groups):
        moved = moved + linearization.factor.solve(adjoint(linearization.matrices, prior, linearization.X))
    return moved * (unit / math.sqrt(DRAWS)), trace


def weak_combinations(names: Sequence[str], values: Tensor, sizes: Tensor, found: Uncertainty) -> list[str]:
    """Sentences on combinations of parameters that the data hardly determine, relative to the parameters' size."""
    scale = torch.where(values.abs() > 1e-3 * sizes, values.abs(), sizes)
    variances, vectors = torch.linalg.eigh(found.covariance / scale[:, None] / scale)
    sentences = []
    for variance, vector in zip(variances.tolist(), vectors.T.tolist(), strict=True):
        deviation = math.sqrt(max(variance, 0.0))
        if deviation <= UNDETERMINED:
            continue
        largest = max(abs(v) for v in vector)
        parts = [(v, n) for v, n in zip(vector, names, strict=True) if abs(v) > 0.1 * largest]
        text = " ".join(f"{'+' if v > 0 else '-'} {abs(v):.2g} {n}" for v, n in parts).removeprefix("+ ")
        what = f"`{parts[0][1]}`" if len(parts) == 1 else f"the combination {text} (each relative to its value)"
        sentences.append(f"the data hardly determine {what}: its standard deviation is {100 * deviation:.2g} %")
    return sentences
