"""Functions of space that meet the walls and in which diffusion is diagonal, and a semilinear problem in them.

Products of `wall_functions` of every axis, as many as the degrees allow; what is not linear is taken at Gauss points
and tested with the functions (a Galerkin method; Canuto, Hussaini, Quarteroni & Zang, Spectral Methods: Fundamentals in
Single Domains, section 3.3). All work is done with one matrix per axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
import torch
from torch import Tensor

from pinnsolve.adapt.axis_matrices import AtMirrored, Matrix, Reordered, TestMirrored, along, applied, wave_matrices
from pinnsolve.adapt.phi_functions import acting
from pinnsolve.adapt.semilinear import Semilinear
from pinnsolve.adapt.space_state import OnGrid, Point, State, is_zero, swings_of
from pinnsolve.bases.wall_functions import PERIODIC, PLAIN, Walls, plain_rule, plain_values, wall_functions
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import coordinate_symbol

OVERSAMPLING = 1.3  # points per degree and axis
FAST = 40  # degree from which on products with half of a matrix, or transforms, are worth their calls


@dataclass(frozen=True)
class Functions:
    """Those of one unknown along one axis: `rates` (n,) at which they fade where they diffuse at 1; in `plain`
    functions, (n, q), and what makes coefficients of these, `to_plain`; what makes their `values` and `slopes` at the
    m points of the axis, and `tests` with them."""

    rates: Tensor
    plain: Tensor
    to_plain: Matrix
    values: Matrix
    slopes: Matrix
    tests: Matrix

    @classmethod
    def on(cls, degree: int, walls: Walls, interval: tuple[float, float]) -> Functions:
        found, scale, kind = wall_functions(degree, walls), 2.0 / (interval[1] - interval[0]), walls[0]
        rates, points, weights = scale**2 * found.rates, *plain_rule(degree, kind, OVERSAMPLING)
        to_plain = Reordered(found.plain.argmax(dim=0)) if kind in PLAIN else found.plain.mT
        if kind == PERIODIC and degree >= FAST:
            return cls(rates, found.plain, to_plain, *wave_matrices(found.even - 1, len(points), scale))
        mirrored = found.even is not None and degree >= FAST and kind != PERIODIC
        half = len(points) // 2 if mirrored else len(points)
        tables = plain_values(degree, kind, points[:half])
        values, slopes = tables[0] @ found.plain.mT, scale * tables[1] @ found.plain.mT
        tests = (values * weights[:half, None]).mT.contiguous()
        matrices: tuple[Matrix, ...] = (values, slopes, tests)
        if mirrored:
            n = found.even
            matrices = (
                AtMirrored(values[:, :n], values[:, n:], 1.0),
                AtMirrored(slopes[:, :n], slopes[:, n:], -1.0),
                TestMirrored(tests[:n], tests[n:]),
            )
        return cls(rates, found.plain, to_plain, *matrices)


class ModalSpace:
    """The functions up to the `degrees` of every axis of space, and the problem, `stated`, in them; `grid`: the
    coordinates at its points, as of `OnGrid.at`."""

    def __init__(
        self, intervals: Sequence[tuple[float, float]], stated: Semilinear, rest: OnGrid, start: OnGrid,
        degrees: Sequence[int],
    ):  # fmt: skip
        self.intervals, self.stated, self.degrees = intervals, stated, tuple(degrees)
        made = {
            (axis, walls): Functions.on(p, walls, interval)
            for axis, (p, interval) in enumerate(zip(self.degrees, intervals, strict=True))
            for walls in {of_unknown[axis] for of_unknown in stated.walls}
        }
        self.functions = [[made[axis, walls] for axis, walls in enumerate(one)] for one in stated.walls]
        points = self._points()
        self._rest, self._start, self.grid, self._shape = rest, start, rest.at(points), [len(one) for one in points]

    def _points(self) -> list[Tensor]:
        """(m,) per axis."""
        found = []
        for degree, kind, (low, high) in zip(self.degrees, self.stated.plain, self.intervals, strict=True):
            places, _ = plain_rule(degree, kind, OVERSAMPLING)
            found.append(low + 0.5 * (high - low) * (places + 1.0))
        return found

    @cached_property
    def with_plain(self) -> tuple[list[Matrix], list[Matrix]]:
        """Per axis, what tests with plain functions in some order, and what makes it theirs."""
        axes = zip(self.degrees, self.stated.plain, self.intervals, strict=True)
        functions = [Functions.on(p, (kind, kind), ends) for p, kind, ends in axes]
        return [one.tests for one in functions], [one.to_plain for one in functions]

    @cached_property
    def rates(self) -> State:
        """By unknown, at which its functions grow by themselves; of second order in time matrices (2, 2, ...) by which
        they and their derivatives evolve."""
        stated, result = self.stated, []
        for axes, diffusion, c, b in zip(self.functions, stated.diffusion, stated.growth, stated.damping, strict=True):
            faded = [d * along(one.rates, a, len(axes)) for a, (one, d) in enumerate(zip(axes, diffusion, strict=True))]
            rates = c - sum(faded[1:], faded[0])
            if b is not None:
                zero = torch.zeros_like(rates)
                rates = torch.stack([torch.stack([zero, zero + 1.0]), torch.stack([rates, zero + b])])
            result.append(rates)
        return result

    def _row(self, state: State, unknown: int, order: int) -> Tensor:
        """(n_1, ..., n_d) of an unknown, or its derivative in time."""
        return state[unknown] if self.stated.damping[unknown] is None else state[unknown][order]

    def start(self, time: float) -> Point:
        """The solution at the start."""
        values, state = iter(self._start(self.grid, time)), []
        for unknown, given in enumerate(self.stated.start):
            rows = [self.tested(unknown, next(values)) for _ in given]
            state.append(rows[0] if len(rows) == 1 else torch.stack(rows))
        return self.at(state, time)

    def at(self, state: State, time: float) -> Point:
        """A state with the rest there."""
        return Point(state, self.rest(state, time))

    def rest(self, state: State, time: float) -> State:
        """What the rest adds to the derivative of a state in time."""
        known = dict(self.grid)
        for (unknown, alpha, order), symbol in self._rest.features.items():
            axes = zip(self.functions[unknown], alpha, strict=True)
            matrices = [one.slopes if k else one.values for one, k in axes]
            known[symbol] = applied(matrices, self._row(state, unknown, order))
        result = []
        for unknown, (c, values) in enumerate(zip(state, self._rest(known, time), strict=True)):
            if is_zero(values):
                result.append(torch.zeros_like(c))
                continue
            found = self.tested(unknown, values)
            second = self.stated.damping[unknown] is not None
            result.append(torch.stack([torch.zeros_like(found), found]) if second else found)
        return result

    def tested(self, unknown: int, values: Tensor | float) -> Tensor:
        """The nearest function to values on the grid, or to what broadcasts over it."""
        return self.tested_by([one.tests for one in self.functions[unknown]], values)

    def tested_by(self, tests: Sequence[Matrix], values: Tensor | float) -> Tensor:
        """Values on the grid, or what broadcasts over it, times what tests with functions of every axis."""
        return applied(tests, torch.as_tensor(values, dtype=torch.float64).expand(self._shape))

    def plain(self, point: Point) -> Tensor:
        """(U, q_1, ..., q_d): the solution in plain functions, which all unknowns share."""
        return self.plain_state(point.state)

    def plain_rates(self, point: Point, time: float) -> Tensor:
        """The same of its derivative in time."""
        rates = zip(self.rates, point.state, point.rest, strict=True)
        return self.plain_state([acting(rate, c) + rest for rate, c, rest in rates])

    def plain_state(self, state: State) -> Tensor:
        """The same of a state, or of a change of it."""
        return torch.stack([
            applied([one.to_plain for one in axes], self._row(state, u, 0)) for u, axes in enumerate(self.functions)
        ])  # fmt: skip

    def rms(self, state: State) -> Tensor:
        """(U,) root mean squares of a change of a state, with what comes of one of derivatives in time."""
        found = []
        for c, swings in zip(state, self._swings, strict=True):
            parts = c if swings is None else torch.stack([c[0], swings * c[1]])
            found.append(torch.linalg.vector_norm(parts))
        return torch.stack(found)

    @cached_property
    def _swings(self) -> list[Tensor | None]:
        """By unknown, how far functions swing whose derivative in time is 1."""
        second = [b is not None for b in self.stated.damping]
        return [swings_of(rates[1, 0]) if two else None for rates, two in zip(self.rates, second, strict=True)]

    def size(self, point: Point) -> Tensor:
        """(U,) those of the solution."""
        unknowns = range(len(self.functions))
        return torch.stack([torch.linalg.vector_norm(self._row(point.state, u, 0)) for u in unknowns])

    def from_other(self, other: ModalSpace, point: Point) -> State:
        """The nearest functions to those of a space of other degrees."""
        found = []
        for axes, before, c in zip(self.functions, other.functions, point.state, strict=True):
            counts = [min(a.plain.shape[1], b.plain.shape[1]) for a, b in zip(axes, before, strict=True)]
            plain = applied([one.to_plain for one in before], c)[(..., *(slice(0, n) for n in counts))]
            found.append(applied([one.plain[:, :n] for one, n in zip(axes, counts, strict=True)], plain))
        return found


@dataclass(frozen=True)
class Lifted:
    """The known function that meets what faces ask for, in plain functions."""

    expressions: OnGrid | None  # the function and its derivative in time, by unknown; None where it vanishes
    unknowns: int

    @classmethod
    def nothing(cls, unknowns: int) -> Lifted:
        return cls(None, unknowns)

    @classmethod
    def of(cls, problem: CompiledProblem, axis: int, stated: Semilinear) -> Lifted:
        if all(one == 0 for one in stated.lifted):
            return cls.nothing(len(stated.lifted))
        time = coordinate_symbol(problem.coordinates[axis])
        both = [*stated.lifted, *(sp.diff(one, time) for one in stated.lifted)]
        return cls(OnGrid.of(problem, axis, both), len(stated.lifted))

    def at(self, space: ModalSpace, time: float) -> tuple[Tensor, Tensor] | None:
        """(U, q_1, ..., q_d) each: the function and its derivative in time; None where it vanishes."""
        if self.expressions is None:
            return None
        tests, plain = space.with_plain
        values = self.expressions(space.grid, time)
        found = torch.stack([applied(plain, space.tested_by(tests, value)) for value in values])
        return found[: self.unknowns], found[self.unknowns :]
