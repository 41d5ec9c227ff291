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

from pinnsolve.assembly.measurements import Measurements
from pinnsolve.assembly.row_source import KINDS
from pinnsolve.assembly.schur_complement import BlockFactorization, applied
from pinnsolve.assembly.system import CellSystem
from pinnsolve.inverse.fit import Answer
from pinnsolve.runtime import random_tensor

DRAWS = 16
ENOUGH = 10  # degrees of freedom from which on the noise found is trusted before the one stated
UNDETERMINED = 1.0  # relative standard deviation of a combination of parameters that is worth a warning


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


def uncertainty(measurements: Measurements, answer: Answer, seed: int) -> Uncertainty:
    """The covariance of an answer, by the noise that its residuals show."""
    fit = answer.fit
    drawn, freedom = answer.drawn(seed)
    left = fit.count - fit.taken - freedom
    squares = fit.spread**2 * max(fit.count - fit.taken, 1.0)
    spread = fit.spread  # without redundant data nothing tells their noise but the file
    if left >= min(ENOUGH, 0.1 * fit.count):
        spread = math.sqrt(squares / left)
    elif measurements.stated:
        spread = max(fit.spread, 1.0)
    covariance = spread**2 * fit.inverse
    values, vectors = torch.linalg.eigh(covariance)
    half = vectors * values.clamp_min(0).sqrt()
    parts = torch.cat([torch.einsum("pcun,pk->kcun", answer.sensitivity, half), spread * drawn])
    return Uncertainty(covariance, parts.transpose(1, 2).flatten(2), spread, freedom)


def drawn(
    system: CellSystem, reduced: BlockFactorization, unit: float, seed: int, suppressed: bool = False
) -> tuple[Tensor, float]:
    """(DRAWS, C, U, n) what unit noise does to the solution, the parameters held, over the root of DRAWS; and the trace
    of the influence of the data on their own fit (Hutchinson 1990).

    What the data leave open is as large as smoothness lets it be (Wahba, J. R. Stat. Soc. B 45 (1983) 133-150). With
    `suppressed`, what the equations suppress on these cells counts as open, too: all rows are random then.
    """
    assumed = ("regularization",) if not suppressed else KINDS
    generator = torch.Generator().manual_seed(seed)
    noise, prior = [], []
    for source, block in zip(system.sources, reduced.matrices, strict=True):
        random = random_tensor(torch.randn, *block.r.shape, DRAWS, generator=generator, dtype=torch.float64)
        nothing = torch.zeros_like(random)
        noise.append(random * source.keep[:, :, None] if source.kind == "data" else nothing)
        prior.append(random if source.kind in assumed and source.kind != "data" else nothing)
    x = reduced.least(noise)
    fitted = applied(reduced.matrices, x)
    trace = sum(float((a * b).sum()) for a, b in zip(fitted, noise, strict=True)) / DRAWS
    moved = reduced.carried([a + b for a, b in zip(noise, prior, strict=True)])
    return moved * (unit / math.sqrt(DRAWS)), trace


def weak_combinations(names: Sequence[str], values: Tensor, sizes: Tensor, covariance: Tensor) -> list[str]:
    """Sentences on combinations of parameters (P,), with their covariance (P, P), that the data hardly determine,
    relative to the parameters' size."""
    scale = torch.where(values.abs() > 1e-3 * sizes, values.abs(), sizes)
    variances, vectors = torch.linalg.eigh(covariance / scale[:, None] / scale)
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
