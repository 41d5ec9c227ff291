"""How smooth unknown functions are taken to be: their regularization, with weights given or chosen by the data.

A weight is lambda in (1/N) sum_i (r_i / s_i)^2 + lambda |a|_k^2. Chosen are weights by generalized cross-validation
(Golub, Heath & Wahba, Technometrics 21 (1979) 215-223), every degree of freedom counted 1.4 times, which keeps it from
fitting noise now and then (Kim & Gu, J. R. Stat. Soc. B 66 (2004) 337-356); or by the discrepancy principle (Morozov
1966): the largest weights whose residual is the noise stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pinnsolve.assembly.measurements import DataGroup
from pinnsolve.assembly.regularization import SmoothnessGroup
from pinnsolve.assembly.system import System
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.solvers.schur_complement import Found, Linearization, adjoint, applied

SMOOTHNESS = "smoothness of unknown"  # how the names of its rows begin
FIRST_WEIGHT = 1e-9
FACTOR, LEAST_FACTOR = 10.0, 3.0  # by which weights are changed in the search
SCANNED = (1e-7, 1e-5, 1e-3)
RANGE = (1e-12, 1e4)
SWEEPS = 4
WORTH = {"gcv": 3e-5, "discrepancy": 0.0}  # by how much a criterion must fall to be better
COUNTED = 1.4  # times a degree of freedom of the fit is counted
DRAWS = 32  # for the trace of the influence matrix


@dataclass(frozen=True)
class Smoothness:
    """The seminorm of derivatives of `order` of one unknown (its number), with a `weight`; `choice` is how it is found:
    one of `WORTH`, or None for a weight that is given."""

    unknown: int
    order: int
    weight: float
    choice: str | None

    def group(self, space: Space, unknowns: int) -> SmoothnessGroup:
        return SmoothnessGroup(f"{SMOOTHNESS} {self.unknown}", space, self.unknown, unknowns, self.order)


def scaled(groups: Sequence, smoothness: Sequence[Smoothness], unit: float, count: int) -> None:
    """Sets the weights of the rows, where residuals over their standard deviation are multiplied by `unit`."""
    for group, one in zip(groups, smoothness, strict=True):
        group.weight = unit**2 * count * one.weight


def chosen(
    smoothness: Sequence[Smoothness],
    solved: Callable[[Sequence[Smoothness], Found | None], tuple[System, Found, float]],
) -> list[Smoothness]:
    """The smoothness with weights by their criteria, one after another along powers of ten and then of three.

    `solved` (smoothness, found before) -> (system, found, unit) solves with given weights.
    """
    best = list(smoothness)
    choices = {one.choice for one in best} - {None}
    if not choices:
        return best
    choice = "discrepancy" if "discrepancy" in choices else sorted(choices)[0]
    system, found, unit = solved(best, None)
    value, factor = criterion(choice, system, found, unit), FACTOR
    if all(one.weight == FIRST_WEIGHT for one in smoothness if one.choice):
        before = found
        for weight in SCANNED:  # all together, so that the search begins in the right region
            trial = [replace(one, weight=weight) if one.choice else one for one in smoothness]
            system, before, unit = solved(trial, before)
            now = criterion(choice, system, before, unit)
            if now < value:
                best, value, found = trial, now, before
    for _ in range(SWEEPS):
        moved = False
        for i, one in enumerate(smoothness):
            if one.choice is None:
                continue
            for change in (factor, 1.0 / factor):
                while RANGE[0] < best[i].weight * change < RANGE[1]:
                    trial = [replace(s, weight=s.weight * change) if k == i else s for k, s in enumerate(best)]
                    system, other, unit = solved(trial, found)
                    now = criterion(choice, system, other, unit)
                    if not now < value - WORTH[choice] * abs(value):
                        break
                    best, value, found, moved = trial, now, other, True
        if not moved:
            if factor <= LEAST_FACTOR:
                break
            factor = LEAST_FACTOR
    return best


def criterion(choice: str, system: System, found: Found, unit: float) -> float:
    """What the weights should make small."""
    rows, groups = found.rows, system.groups
    measured = [isinstance(g, DataGroup) for g in groups]
    count = sum(g.count for g in groups if isinstance(g, DataGroup))
    squares = _sum(rows, measured) / unit**2
    if choice == "discrepancy":
        return abs(math.log(max(squares, 1e-300) / count))
    freedom = COUNTED * _influence(found.linearization, groups)
    return count * squares / max(count - freedom, 1.0) ** 2


def _sum(rows, which: Sequence[bool]) -> float:
    return sum(float((group.r**2).sum()) for group, w in zip(rows, which, strict=True) if w)


def _influence(linearization: Linearization, groups: Sequence) -> float:
    """The trace of the influence matrix of the data, by random signs (Hutchinson 1990)."""
    generator = torch.Generator().manual_seed(0)
    signs: list[Tensor] = []
    for group, rows in zip(groups, linearization.matrices, strict=True):
        drawn = torch.randint(0, 2, (*rows.r.shape, DRAWS), generator=generator, dtype=torch.float64) * 2 - 1
        signs.append(drawn * (group.keep[:, :, None] if isinstance(group, DataGroup) else 0.0))
    fitted = applied(
        linearization.matrices, linearization.factor.solve(adjoint(linearization.matrices, signs, linearization.X))
    )
    return sum(float((a * b).sum()) for a, b in zip(fitted, signs, strict=True)) / DRAWS
