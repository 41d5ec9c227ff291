"""What is known of an inverse problem at one state: the solution, the parameters, how wrong they may be, and what the
data say of them.

Both ways to solve one end with it: the levels of `all_at_once`, and the marches of `reduced_space`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.assembly.linear_system import Bounds
from pinnsolve.assembly.measurements import DataRows, Measurements
from pinnsolve.assembly.reduced_data import ReducedData
from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.schur_complement import inverse
from pinnsolve.assembly.system import units
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.inverse.regularization_choice import Smoothness

NEGLIGIBLE, INFORMED = 0.1, 0.75  # of the noise; share of the information that must come from the data
LIGHT = 0.03  # weight of the data below which their noise no longer enters the equations
QUIET = 1e-3  # of the tolerance: smaller noise needs no weighing
NOISIER = 1.5  # times the stated noise
DISTANCES = 4e6  # between residuals at a time
MOST_BESIDE = 100_000  # residuals among which neighbours are sought
SYSTEMATIC, MOST_COMPARED = 5.0, 1000  # standard deviations of a correlation; residuals compared with their neighbours


@dataclass(frozen=True)
class Fit:
    """`spread`: rms residual of the data in standard deviations, per degree of freedom; `information` (P, P): what the
    data say of the parameters, and what is known besides, in these units, and its `inverse`; `share`: how much of all
    information that is, where it is least; `floor`: the rms residual of the equations over that of the data, both in
    the unit of the unknowns; `noise`: the rms residual of the data, relative to them; `count`: of measured values;
    `weight`: of the data; `taken`: the degrees of freedom of the data that the parameters take, fewer than there are of
    them where something is known of them besides."""

    spread: float
    information: Tensor
    inverse: Tensor
    share: float
    floor: float
    noise: float
    count: int
    weight: float
    taken: float

    @property
    def visible(self) -> float:
        """The error of discretization, relative to the solution, that noise would let be seen."""
        return NEGLIGIBLE * self.noise / math.sqrt(self.count)

    @property
    def standard_errors(self) -> Tensor:
        return self.spread * torch.diagonal(self.inverse).clamp_min(0).sqrt()


def fit_of(
    measurements: Measurements,
    bounds: Bounds,
    squares: float,
    information: Tensor,
    prior: Tensor | None = None,
) -> Fit:
    """The fit from the sum of squares of the residuals of all measurements, in standard deviations.

    `information`: of the data; `prior`: (P, P) what is known of the parameters besides.
    """
    count, whole = measurements.count, information if prior is None else information + prior
    inverted = inverse(whole, bounds.size)
    taken = float(len(information)) if prior is None else float(torch.trace(inverted @ information))
    spread = math.sqrt(squares / max(count - taken, 1.0))
    relative = spread * min(measurements.relative.values())
    return Fit(spread, whole, inverted, 1.0, 0.0, relative, count, measurements.weight, taken)


@dataclass(frozen=True)
class Answer:
    """The solution c (C, U, n) on its space, with its error and size (U,); the parameters with theirs (P,).

    The errors are those of discretization. `data_moved`: rms change of the data's residuals by the correction, in
    standard deviations; `left`: share of the residual that the correction left. `sensitivity` (P, C, U, n): the
    derivatives of c by the parameters; `drawn(seed)`: (K, C, U, n) functions whose squares add up to the variance that
    unit noise gives the solution with the parameters held, and how many degrees of freedom of the data that takes.
    `settled`: whether finer cells are not expected to leave more open. `discretization`: a finer space with the
    coefficients (C, U, n') of the error of discretization there, where it is at hand.
    """

    space: Space
    c: Tensor
    error: Tensor
    size: Tensor
    parameters: Tensor
    parameter_error: Tensor
    fit: Fit
    smoothness: Sequence[Smoothness]  # of unknown functions, with the weights that were chosen
    data: Sequence[DataRows | ReducedData]
    data_moved: float
    residuals: Callable[
        [], Iterable[tuple[Tensor, Tensor]]
    ]  # of the data: points (N, d) along the unit box, and values (N,)
    left: float
    sensitivity: Tensor
    drawn: Callable[[int], tuple[Tensor, float]]
    converged: bool
    loss: float
    terms: Mapping[str, float]
    rank: Mapping[str, float]
    points: Mapping[str, int]
    weights: Mapping[str, float]
    method: str
    phase: str
    slabs: int = 0
    settled: bool = True
    discretization: tuple[Space, Tensor] | None = None

    @property
    def relative(self) -> Tensor:
        """(U,) the error of discretization relative to the unknowns; see `system.units`."""
        return self.error / units(self.size, self.error)

    @property
    def worst(self) -> float:
        return float(self.relative.max())

    @property
    def parameters_off(self) -> float:
        """The largest error of discretization of a parameter, relative to it."""
        relative = self.parameter_error / self.parameters.abs().clamp_min(1e-300)
        return float(relative.max()) if len(relative) else 0.0

    def finished(self, tolerance: float, regularized: bool = False) -> bool:
        """Whether discretization no longer matters: below the tolerance, or far below what noise causes."""
        fit = self.fit
        if not (self.converged and self.settled):
            return False
        small = self.parameter_error <= tolerance * self.parameters.abs()
        light = fit.weight <= LIGHT and fit.share >= INFORMED
        # where the data's residual is no error of discretization, it is noise, which the solution must not follow
        quiet = self.data_moved >= 0.5 * fit.spread or fit.noise <= QUIET * tolerance
        if bool(small.all()) and self.worst <= tolerance and (light or (quiet and not regularized)):
            return True
        hidden = self.parameter_error <= NEGLIGIBLE * fit.standard_errors
        if regularized and self.worst > max(tolerance, NEGLIGIBLE * fit.noise):
            return False
        return light and bool((small | hidden).all()) and self.data_moved <= NEGLIGIBLE * fit.spread


def residuals_of(
    problem: CompiledProblem, groups: Sequence[DataRows | ReducedData], state: State
) -> Iterator[tuple[Tensor, Tensor]]:
    """The `residuals` of an answer, from the measurements of the groups at a state."""
    low, high = (torch.tensor([ends[i] for ends in problem.intervals]) for i in (0, 1))
    for group in groups:
        for x, left in group.readings(state):
            yield (x - low) / (high - low), left


def is_explained(answer: Answer, measurements: Measurements, tolerance: float) -> bool:
    """Whether the answer leaves no more of the data than discretization, or their noise: that stated, or what looks
    like noise."""
    if answer.fit.noise <= tolerance or answer.fit.spread <= 2.0 * answer.data_moved:
        return True
    if measurements.stated and not measurements.robust:
        return answer.fit.spread <= NOISIER
    return not any(_alike(x, r) for x, r in answer.residuals())


def _alike(x: Tensor, r: Tensor) -> bool:
    """Whether residuals (N,) are correlated with those nearest to them, at points (N, d) along the unit box.

    That of independent ones is about normal with variance 1 / N, somewhat more as neighbours may be mutual (a rank-one
    case of Moran's I: Biometrika 37 (1950) 17-23).
    """
    every = max(1, len(x) // MOST_BESIDE)
    x, r = x[::every], r[::every]
    chosen = torch.arange(0, len(x), max(1, len(x) // MOST_COMPARED))
    nearest = torch.cat([_nearest(x, some) for some in chosen.split(max(1, int(DISTANCES // len(x))))])
    scale = float((r**2).mean())
    correlation = float((r[chosen] * r[nearest]).mean()) / scale if scale > 0 else 0.0
    return correlation > SYSTEMATIC / math.sqrt(len(chosen))


def _nearest(x: Tensor, chosen: Tensor) -> Tensor:
    """(K,) the numbers of the points x (N, d) that are nearest to those chosen (K,), themselves apart."""
    away = torch.cdist(x[chosen], x)
    away[torch.arange(len(chosen)), chosen] = math.inf
    return away.argmin(dim=1)
