"""An independent look at a solution: by how much it misses every equation and condition, at points no solve has used.

Input: a compiled problem, a solution, points of every term. Output: for every residual the mean of its absolute value,
relative to the parts that make it up. A residual L u - f is made of the products of its linearization, c_alpha D^alpha
u, and of f; none of them counts for less than it does where D^alpha u is the unknown over a power of the lengths of the
domain (or, in a condition, as large as it is on average in the domain), so that conditions such as u = 0 have a size.

Means of absolute values are taken, not of squares, and each cell has points of its own. So a residual counts by its
integral: that of a kink in a cell of any size is the jump of the slope, of the size of the parts, whereas what is left
at a corner that ever smaller cells approach fades with their size. Where solutions are right, the shares were between
0.1 and 20 times the error (1600 in a front in time) in 45 problems; where none exists, or Newton's method has stopped
short of one, they were above 0.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pinnsolve.assembly.row_source import State
from pinnsolve.assembly.rows import Assembly, TermRows, points_at_once
from pinnsolve.assembly.system import shared, units
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.estimate.defect_correction import Approximation
from pinnsolve.estimate.fresh_points import SEED, count_for, points_in_cells
from pinnsolve.language.symbols import Feature, MultiIndex
from pinnsolve.runtime import random_tensor

ON_AVERAGE = 1000  # points at which derivatives are averaged over the domain


@dataclass(frozen=True)
class Missed:
    """`share`: mean absolute residual over the mean size of its parts; `place`: (d,) where it is missed most.

    `name`: of the term, or of what is continuous; `kind`: `equation`, `condition` or `continuity`; `number`: which of
    the residuals of the term, or the order of the derivative; `rounding`: what rounding may explain
    of the share; `size`: the mean size of the parts.
    """

    name: str
    kind: str
    number: int
    share: float
    place: tuple[float, ...]
    rounding: float
    size: float


@dataclass(frozen=True)
class Look:
    """What the look needs of a solution; `x`: (N, d) points of the domain over which sizes are averaged.

    With `around`, the `solution` is one of the equations linearized there, without anything given.
    """

    problem: CompiledProblem
    solution: Approximation
    x: Tensor
    around: Approximation | None = None

    @cached_property
    def _values(self) -> Tensor:
        """(U, N) of the unknowns."""
        return self.solution.values(self.x)

    @cached_property
    def sizes(self) -> Tensor:
        """(U,) rms of the unknowns; of one that is nothing but rounding, that of the largest."""
        rms = self._values.square().mean(dim=1).sqrt()
        rms = shared(rms, self.problem.groups)
        return units(rms, rms)

    @cached_property
    def rounding(self) -> Mapping[str, float]:
        """Per unknown, what rounding alone makes of its relative error: two units in the last place of its values.

        Of those that are determined up to a constant, the rest is what counts.
        """
        values = self._values
        varies = [name in self.problem.undetermined_constants for name in self.problem.unknowns]
        mean = torch.where(torch.tensor(varies, device=values.device), values.mean(dim=1), 0.0)
        size = shared((values - mean[:, None]).square().mean(dim=1).sqrt(), self.problem.groups)
        ratio = values.abs().amax(dim=1) / units(size, size)
        ratio = torch.nan_to_num(ratio, nan=1.0, posinf=1.0).clamp_min(1.0)
        return dict(zip(self.problem.unknowns, (2 * torch.finfo(values.dtype).eps * ratio).tolist(), strict=True))

    @cached_property
    def averages(self) -> Mapping[MultiIndex, Tensor]:
        """(U,) mean absolute values over the domain, of the derivatives that conditions hold."""
        features = [f for t in self.problem.terms if t.kind == "condition" for f in t.features if f.operator is None]
        return self.averages_of(sorted({f.alpha for f in features}))

    def averages_of(self, alphas: Sequence[MultiIndex]) -> Mapping[MultiIndex, Tensor]:
        """(U,) per derivative: mean absolute values over the domain."""
        if missing := [alpha for alpha in alphas if alpha not in self._averages]:
            basis, c = self.solution.basis, self.solution.state.coefficients
            tables = basis.combined(self.x[:ON_AVERAGE], missing, c)
            self._averages.update({alpha: values.abs().mean(dim=1) for alpha, values in tables.items()})
        return {alpha: self._averages[alpha] for alpha in alphas}

    @cached_property
    def _averages(self) -> dict[MultiIndex, Tensor]:
        """Those found so far."""
        return {}

    def least(self, unknown: int, alpha: MultiIndex) -> float:
        """What a derivative of an unknown counts at least."""
        lengths = (high - low for low, high in self.problem.intervals)
        size = float(self.sizes[unknown])
        return size / math.prod(length**k for length, k in zip(lengths, alpha, strict=True))

    def at(self, rows: TermRows, weights: Tensor) -> list[Missed]:
        """What is missed of every residual of a term at points that stand for shares `weights` (N,) of its region."""
        r, sizes, noise = self._residuals(rows)
        result = []
        for number in range(len(r)):
            size = sizes[number]
            # where a residual has no value, all of it is missed
            missed = torch.where(r[number].isfinite(), r[number].abs(), size)
            whole = float((weights * size).sum())
            share, rounding = (float((weights * part).sum()) for part in (missed, noise[number]))
            place = rows.points.x[0][int((weights * missed).argmax())].tolist()
            relative = [0.0 if part == 0 else part / max(whole, 1e-300) for part in (share, rounding)]
            result.append(Missed(rows.term.name, rows.term.kind, number, relative[0], tuple(place), relative[1], whole))
        return result

    def _residuals(self, rows: TermRows) -> tuple[Tensor, Tensor, Tensor]:
        """(R, N) each: the residuals of a term, the sizes of their parts, and what rounding may make of those."""
        basis, state = self.solution.basis, self.solution.state
        block = points_at_once(basis.held)
        parts = []
        for start in range(0, rows.points.count, block):
            some = TermRows(rows.term, rows.points.select(slice(start, start + block)), self.problem, 1.0)
            values = some.combined(basis, state)
            if self.around is None:
                r, linearizations = some.linearized(values, state)
                given = some.residuals({f: torch.zeros_like(v) for f, v in values.items()}, without_integrals(state))
            else:
                at = some.combined(self.around.basis, self.around.state)
                linearizations = some.coefficients_of(at, self.around.state)
                r = torch.stack([applied(item, values) for item in linearizations])
                given = torch.zeros_like(r)
            sizes, noise = _known(given.abs()), torch.zeros_like(given)
            for number, coefficients in enumerate(linearizations):
                self._add_parts(coefficients, values, some.points.x[0], sizes[number], noise[number])
                for name, integral in some.integrals(state).items():
                    sizes[number] += _known(torch.as_tensor(coefficients.get(name, 0.0)) * integral).abs()
            parts.append((r, sizes, noise))
        r, sizes, noise = (torch.cat(one, dim=1) for one in zip(*parts, strict=True))
        return r, sizes, noise

    def _add_parts(self, coefficients: Mapping, values: Mapping[Feature, Tensor], x: Tensor, sizes, noise) -> None:
        """Adds the products of a linearization to the sizes (N,) of its parts, and their rounding to the noise (N,)."""
        least, eps = torch.zeros_like(sizes), torch.finfo(sizes.dtype).eps
        for f, c in coefficients.items():
            if not isinstance(f, Feature):
                continue
            c = _known(torch.as_tensor(c).abs().to(sizes)).expand(len(sizes))
            sizes += _known(c * values[f].abs())
            if f.operator is not None:
                continue
            number = self.problem.unknowns.index(f.unknown)
            at_least = self.least(number, f.alpha)
            if f.alpha in self.averages:
                at_least = max(at_least, float(self.averages[f.alpha][number]))
            least = torch.maximum(least, c * at_least)
            noise += eps * c * float(self.sizes[number]) * self._growth(x, f.alpha)
        sizes += least

    def _growth(self, x: Tensor, alpha: MultiIndex) -> Tensor | float:
        """By what derivatives of polynomials may exceed their values (V. A. Markov's inequality), (N,) at points."""
        if not any(alpha) or not isinstance(self.solution.basis, PouCells):
            return 1.0
        space = self.solution.basis.space
        h = space.cells.size[space.cells.locate(x)]
        factors = [(2.0 * p**2 / h[:, a]) ** k for a, (p, k) in enumerate(zip(space.degrees, alpha, strict=True)) if k]
        return math.prod(factors[1:], start=factors[0])


def without_integrals(state: State) -> State:
    """The state where integrals are taken to be zero."""
    return State(state.coefficients, state.parameters)


def applied(coefficients: Mapping, values: Mapping[Feature, Tensor]) -> Tensor:
    """(N,): the products of a linearization, summed."""
    like = next(iter(values.values()))
    parts = [c * values[f] for f, c in coefficients.items() if isinstance(f, Feature)]
    return sum(parts, torch.zeros_like(like))


def _known(values: Tensor) -> Tensor:
    return torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def looked_at(look: Look, check: Assembly) -> list[Missed]:
    """What a solution misses of every equation and condition; of data, which are noisy, nothing is said.

    `check`: terms at random points that no solve has used. Equations on cells are looked at in every cell.
    """
    problem, solution, generator = look.problem, look.solution, torch.Generator().manual_seed(SEED)
    result: list[Missed] = []
    for rows in check.terms:
        if rows.term.data_file is not None:
            continue
        some = random_tensor(torch.randperm, rows.points.count, generator=generator)[: count_for(solution.basis)]
        points, weights = rows.points.select(some), torch.full((len(some),), 1.0 / max(len(some), 1)).to(look.x)
        fills = all(piece.fills for piece in rows.term.region.pieces)
        if fills and isinstance(solution.basis, PouCells) and solution.basis.space.cells.count > 1:
            points, weights = points_in_cells(solution.basis, rows.term, problem)
        if points.count:
            result += look.at(TermRows(rows.term, points, problem, 1.0), weights)
    return result
