"""How smooth unknown functions are taken to be: their regularization, with weights given or chosen by the data.

A weight is lambda in (1/N) sum_i (r_i / s_i)^2 + lambda |a|_k^2. Chosen are weights by the likelihood of the data,
smoothness being a normal distribution of functions (Wahba, Annals of Statistics 13 (1985) 1378-1402), which is steadier
than cross-validation where few degrees of freedom are seen; in large systems by generalized cross-validation (Golub,
Heath & Wahba, Technometrics 21 (1979) 215-223), every degree of freedom counted 1.4 times, which keeps it from fitting
noise now and then (Kim & Gu, J. R. Stat. Soc. B 66 (2004) 337-356); or by the discrepancy principle (Morozov 1966): the
largest weights whose residual is the noise stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from pinnsolve.assembly.regularization import RegularizationRows
from pinnsolve.assembly.schur_complement import applied
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.least_squares.dense_qr import DenseQR
from pinnsolve.runtime import random_tensor
from pinnsolve.solvers.gauss_newton import Iterate

SMOOTHNESS = "smoothness of unknown"  # how the names of its rows begin
FIRST_WEIGHT = 1e-9
FACTOR, LEAST_FACTOR = 10.0, 3.0  # by which weights are changed in the search
SCANNED = (1e-7, 1e-5, 1e-3)
RANGE = (1e-12, 1e4)
SMALLEST = 1e-22  # weight where rows are factorized by themselves, which data without noise ask for
SWEEPS = 4
UNLIKELY = 2.0  # rise of the deviance up to which a weight may as well be the right one
LOOSEST = 1e4  # factor by which weights are less at most
ASSUMED = ("data", "regularization")  # kinds of rows that are normal
WORTH = {"likelihood": 3e-5, "gcv": 3e-5, "discrepancy": 0.0}  # by how much a criterion must fall to be better
COUNTED = 1.4  # times a degree of freedom of the fit is counted
DRAWS = 32  # for the trace of the influence matrix


@dataclass(frozen=True)
class Smoothness:
    """The seminorm of derivatives of `order` of one unknown (its number), with a `weight`; `choice` is how it is found:
    one of `WORTH`, or None for a weight that is given. `least`: how small the weight may as well be, as far as the data
    tell; None where that is not known."""

    unknown: int
    order: int
    weight: float
    choice: str | None
    least: float | None = None

    @property
    def loosened(self) -> Smoothness:
        """With the least weight."""
        return self if self.least is None else replace(self, weight=self.least)

    def rows(self, space: Space, unknowns: int, unit: float) -> RegularizationRows:
        """Its rows, where residuals over their standard deviation, squared and summed, are multiplied by `unit`."""
        name = f"{SMOOTHNESS} {self.unknown}"
        return RegularizationRows(name, space, self.unknown, unknowns, self.order, unit * self.weight)


def chosen(
    smoothness: Sequence[Smoothness],
    solved: Callable[[Sequence[Smoothness], Iterate | None], Iterate],
    unit: float,
    loosened: bool = False,
) -> tuple[Smoothness, ...]:
    """The smoothness with weights by their criteria, one after another along powers of ten and then of three; with
    the least ones that are as likely, if they are to be `loosened`.

    `solved` (smoothness, found before) solves with given weights; `unit` is what residuals over their standard
    deviation are multiplied by.
    """
    best = tuple(smoothness)
    choices = {one.choice for one in best} - {None}
    if not choices:
        return best
    choice = "discrepancy" if "discrepancy" in choices else sorted(choices)[0]
    found = solved(best, None)
    value, factor = criterion(choice, found, unit), FACTOR
    smallest = SMALLEST if isinstance(found.reduced.factor, DenseQR) else RANGE[0]
    if all(one.weight == FIRST_WEIGHT for one in smoothness if one.choice):
        before = found
        for weight in SCANNED:  # all together, so that the search begins in the right region
            trial = tuple(replace(one, weight=weight) if one.choice else one for one in smoothness)
            before = solved(trial, before)
            now = criterion(choice, before, unit)
            if now < value:
                best, value, found = trial, now, before
    tried = {_known(best)}
    for _ in range(SWEEPS):
        moved = False
        for i, one in enumerate(smoothness):
            if one.choice is None:
                continue
            for change in (factor, 1.0 / factor):
                while smallest < best[i].weight * change < RANGE[1]:
                    trial = tuple(replace(s, weight=s.weight * change) if k == i else s for k, s in enumerate(best))
                    if _known(trial) in tried:
                        break
                    tried.add(_known(trial))
                    other = solved(trial, found)
                    now = criterion(choice, other, unit)
                    if not now < value - WORTH[choice] * abs(value):
                        break
                    best, value, found, moved = trial, now, other, True
        if not moved:
            if factor <= LEAST_FACTOR:
                break
            factor = LEAST_FACTOR
    return _with_least(best, solved, found, unit) if loosened and choice == "likelihood" else best


def _known(smoothness: Sequence[Smoothness]) -> tuple[str, ...]:
    """By what weights are known again, rounding aside."""
    return tuple(f"{one.weight:.2e}" for one in smoothness)


def _with_least(
    smoothness: tuple[Smoothness, ...],
    solved: Callable[[Sequence[Smoothness], Iterate | None], Iterate],
    found: Iterate,
    unit: float,
) -> tuple[Smoothness, ...]:
    """With the least weights, all by one factor, whose likelihood is so much below the largest, between powers of three
    by a straight line."""
    if not isinstance(found.reduced.factor, DenseQR):
        return smoothness
    count = sum(source.count for source in found.system.sources if source.kind == "data")
    best, factor, rise, other = criterion("likelihood", found, unit), 1.0, 0.0, found

    def loose(by: float) -> list[Smoothness]:
        return [replace(s, weight=max(s.weight / by, SMALLEST)) if s.choice else s for s in smoothness]

    while factor < LOOSEST:
        other = solved(loose(LEAST_FACTOR * factor), other)
        now = max(count * (criterion("likelihood", other, unit) - best), rise)
        if now > UNLIKELY:
            factor *= LEAST_FACTOR ** ((UNLIKELY - rise) / (now - rise))
            break
        factor, rise = LEAST_FACTOR * factor, now
    return tuple(replace(s, least=one.weight) for s, one in zip(smoothness, loose(factor), strict=True))


def criterion(choice: str, found: Iterate, unit: float) -> float:
    """What the weights should make small."""
    if choice == "likelihood" and isinstance(found.reduced.factor, DenseQR):
        return _deviance(found)
    measured = [source for source in found.system.sources if source.kind == "data"]
    names, count = {source.name for source in measured}, sum(source.count for source in measured)
    squares = sum(block.loss for block in found.rows if block.name in names) / unit**2
    if choice == "discrepancy":
        return abs(math.log(max(squares, 1e-300) / count))
    freedom = COUNTED * _influence(found)
    return count * squares / max(count - freedom, 1.0) ** 2


def _deviance(found: Iterate) -> float:
    """Minus twice the logarithm of the likelihood of the data per value, up to a constant, where smoothness is a normal
    distribution of functions and the noise is whatever fits best.

    The determinants are those of all rows and of all but the data's: their quotient is that of the covariance of the
    data.
    """
    reduced, sources = found.reduced, found.system.sources
    count = sum(source.count for source in sources if source.kind == "data")
    others = [block for source, block in zip(sources, reduced.matrices, strict=True) if source.kind != "data"]
    prior = found.system.factorize(others)
    loss = sum(block.loss for source, block in zip(sources, found.rows, strict=True) if source.kind in ASSUMED)
    return math.log(max(loss, 1e-300)) + (reduced.factor.log_determinant - prior.log_determinant) / count


def _influence(found: Iterate) -> float:
    """The trace of the influence matrix of the data, by random signs (Hutchinson 1990)."""
    generator = torch.Generator().manual_seed(0)
    matrices, signs = found.reduced.matrices, []
    for source, block in zip(found.system.sources, matrices, strict=True):
        shape = (*block.r.shape, DRAWS)
        random = random_tensor(torch.randint, 0, 2, shape, generator=generator, dtype=torch.float64) * 2 - 1
        signs.append(random * (source.keep[:, :, None] if source.kind == "data" else 0.0))
    fitted = applied(matrices, found.reduced.least(signs))
    return sum(float((a * b).sum()) for a, b in zip(fitted, signs, strict=True)) / DRAWS
