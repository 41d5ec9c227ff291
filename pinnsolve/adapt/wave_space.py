"""Waves in a periodic box, and a problem whose linear part has constant coefficients in them.

The linear part makes of every wave a multiple of itself, or of those of several unknowns a matrix of them; the rest is
taken on a grid by fast transforms. What keeps a constraint is projected away wave by wave, and gives the multiplier
(Canuto, Hussaini, Quarteroni & Zang, Spectral Methods: Evolution to Complex Geometries, section 3.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from pinnsolve.adapt.axis_matrices import along
from pinnsolve.adapt.modal_space import OVERSAMPLING
from pinnsolve.adapt.phi_functions import acting
from pinnsolve.adapt.space_state import OnGrid, Point, State, is_zero, swings_of
from pinnsolve.adapt.wave_form import Operator, WaveForm
from pinnsolve.bases.wall_functions import PERIODIC, plain_rule
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.language.symbols import MultiIndex


@dataclass(frozen=True)
class WaveExpressions:
    """Those of a form, by entry: the `rest`, the `start`, the derivatives in time of the rest that is constrained,
    `later`; and the `level` of the multiplier with its derivative in time."""

    rest: OnGrid
    start: OnGrid
    later: OnGrid | None
    level: OnGrid | None

    @classmethod
    def of(cls, problem: CompiledProblem, axis: int, form: WaveForm) -> WaveExpressions:
        rest, start = (OnGrid.of(problem, axis, e) for e in (form.rest, form.start))
        if form.multiplier is None:
            return cls(rest, start, None, None)
        later, level = OnGrid.of(problem, axis, form.multiplier.rest_rates), form.multiplier.level
        return cls(rest, start, later, None if level is None else OnGrid.of(problem, axis, level[1:]))


class WaveSpace:
    """All waves up to half the `degrees` of every axis of space, and the problem, `form`, in them.

    A function is the real part of sum_k h_k z_k exp(i k.x), x from the middle of the box, with wave numbers of the last
    axis from 0 on and h_k = sqrt(2), but 1 where that is 0: the mean of its square is sum_k |z_k|^2. `grid`: the
    coordinates at its points, as of `OnGrid.at`.
    """

    def __init__(
        self, intervals: Sequence[tuple[float, float]], form: WaveForm, expressions: WaveExpressions,
        degrees: Sequence[int],
    ):  # fmt: skip
        self.intervals, self.form, self.degrees, self._expressions = intervals, form, tuple(degrees), expressions
        self.most = [p // 2 for p in self.degrees]  # the highest wave number of every axis
        places = [plain_rule(p, PERIODIC, OVERSAMPLING)[0] for p in self.degrees]
        self._counts = [len(one) for one in places]
        ends = zip(places, intervals, strict=True)
        self.grid = expressions.rest.at([low + 0.5 * (high - low) * (one + 1.0) for one, (low, high) in ends])
        self._tables: dict[MultiIndex, Tensor] = {}
        parts = {entry: (number, row) for number, own in enumerate(form.groups) for row, entry in enumerate(own)}
        self._part = [parts[entry] for entry in range(len(form.entries))]

    # -- waves ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _waves(self) -> list[Tensor]:
        """Per axis (n,) the wave numbers of [-1, 1] over pi: 0, 1, ..., and, but for the last axis, those below 0."""
        found = [torch.cat([torch.arange(m + 1), torch.arange(-m, 0)]) for m in self.most[:-1]]
        return [one.to(torch.float64) for one in (*found, torch.arange(self.most[-1] + 1))]

    @cached_property
    def _height(self) -> Tensor:
        """(n_d,) h_k along the last axis."""
        return torch.sqrt(self._waves[-1].clamp_max(1.0) + 1.0)

    @cached_property
    def _shift(self) -> Tensor:
        """(n_1, ..., n_d) exp(i k.x) at the first point of the grid."""
        return self._at([1.0 / count - 1.0 for count in self._counts])

    def _at(self, place: Sequence[float]) -> Tensor:
        """(n_1, ..., n_d) exp(i k.x) at a place of [-1, 1]^d."""
        parts = [
            along(torch.pi * k * s, a, len(place)) for a, (k, s) in enumerate(zip(self._waves, place, strict=True))
        ]
        phase = sum(parts[1:], parts[0])
        return torch.polar(torch.ones_like(phase), phase)

    def symbol(self, operator: Operator) -> Tensor:
        """(n_1, ..., n_d): by what an operator multiplies every wave."""
        return sum((c * self._powers(alpha) for alpha, c in operator.items()), torch.zeros_like(self._shift))

    def _powers(self, alpha: MultiIndex) -> Tensor:
        found = torch.ones_like(self._shift)
        for axis, (k, waves, (low, high)) in enumerate(zip(alpha, self._waves, self.intervals, strict=True)):
            if k:
                found = found * along((2.0j * torch.pi / (high - low) * waves) ** k, axis, len(alpha))
        return found

    def on_grid(self, z: Tensor, alpha: MultiIndex) -> Tensor:
        """A derivative of a function at the points of the grid."""
        if alpha not in self._tables:
            self._tables[alpha] = self._powers(alpha) * self._shift / self._height
        z = z * self._tables[alpha]
        for axis, (m, count) in enumerate(zip(self.most[:-1], self._counts, strict=False)):
            wide = z.new_zeros([count if a == axis else n for a, n in enumerate(z.shape)])
            wide.narrow(axis, 0, m + 1).copy_(z.narrow(axis, 0, m + 1))
            wide.narrow(axis, count - m, m).copy_(z.narrow(axis, m + 1, m))
            z = torch.fft.ifft(wide, dim=axis, norm="forward")
        return torch.fft.irfft(z, n=self._counts[-1], norm="forward")

    def tested(self, values: Tensor | float) -> Tensor:
        """The nearest function to values on the grid, or to what broadcasts over it."""
        on_grid = torch.as_tensor(values, dtype=torch.float64).expand(self._counts)
        z = torch.fft.rfft(on_grid, norm="forward").narrow(-1, 0, self.most[-1] + 1)
        for axis, (m, count) in enumerate(zip(self.most[:-1], self._counts, strict=False)):
            z = torch.fft.fft(z, dim=axis, norm="forward")
            z = torch.cat([z.narrow(axis, 0, m + 1), z.narrow(axis, count - m, m)], dim=axis)
        return z * self._test

    @cached_property
    def _test(self) -> Tensor:
        return (self._shift.conj() * self._height).resolve_conj()

    # -- states --------------------------------------------------------------------------------------------------------

    @cached_property
    def rates(self) -> State:
        """By group of entries, what multiplies their waves in the derivative in time."""
        found = []
        for entries in self.form.groups:
            rows = [[self.symbol(self.form.linear.get((i, j), {})) for j in entries] for i in entries]
            if len(entries) == 1:
                one = rows[0][0]
                found.append(one if bool(one.imag.any()) else one.real.contiguous())
            else:
                found.append(torch.stack([torch.stack(row) for row in rows]))
        return found

    def entry(self, state: State, number: int) -> Tensor:
        """(n_1, ..., n_d) of the entry of that number."""
        part, row = self._part[number]
        return state[part] if len(self.form.groups[part]) == 1 else state[part][row]

    def _together(self, by_entry: Sequence[Tensor]) -> State:
        groups = [[by_entry[entry] for entry in own] for own in self.form.groups]
        return [own[0] if len(own) == 1 else torch.stack(own) for own in groups]

    def start(self, time: float) -> Point:
        """The solution at the start."""
        found = [self.tested(value) for value in self._expressions.start(self.grid, time)]
        return self.at(self._together(self._projected(found)[0]), time)

    def at(self, state: State, time: float) -> Point:
        """A state with the rest there, and the multiplier."""
        for part in state:
            self._make_real(part)
        found, multiplier = self._projected(self._tested_rest(state, time))
        if multiplier is None:
            return Point(state, self._together(found))
        return Point(state, self._together(found), (self._levelled(multiplier, self._level(time, 0)),))

    def _make_real(self, part: Tensor) -> None:
        """Takes away what rounding adds to waves along the other axes alone that no real function has: they might grow
        without the rest, which sees nothing of them."""
        line, axes = part[..., 0], tuple(range(1 - len(self.degrees), 0))
        mirrored = torch.roll(line.flip(axes), (1,) * len(axes), axes) if axes else line
        line.copy_(0.5 * (line + mirrored.conj()))

    def rest(self, state: State, time: float) -> State:
        """What the rest adds to the derivative of a state in time."""
        return self._together(self._projected(self._tested_rest(state, time))[0])

    def _tested_rest(self, state: State, time: float) -> list[Tensor]:
        rest = self._expressions.rest
        return self._all_tested(rest(self._known(rest, state, None), time))

    def _all_tested(self, values: Sequence[Tensor | float]) -> list[Tensor]:
        return [torch.zeros_like(self._shift) if is_zero(value) else self.tested(value) for value in values]

    def _known(self, expressions: OnGrid, state: State, rates: State | None) -> Mapping:
        """What expressions hold, at the grid; `rates`: the derivative of the state in time."""
        known = dict(self.grid)
        for (unknown, alpha, k), symbol in expressions.features.items():
            evolves = (unknown, k) in self.form.entries
            entry = self.form.entries.index((unknown, k if evolves else k - 1))
            known[symbol] = self.on_grid(self.entry(state if evolves else rates, entry), alpha)
        return known

    def _derivative(self, point: Point) -> State:
        return [acting(rates, c) + r for rates, c, r in zip(self.rates, point.state, point.rest, strict=True)]

    # -- constraints ---------------------------------------------------------------------------------------------------

    @cached_property
    def _constraint(self) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """By entry, the gradient of a multiplier, and the divergence over that of the gradient; 0 where that is 0."""
        multiplier = self.form.multiplier
        gradient, divergence = (
            {entry: self.symbol(operator) for entry, operator in part.items()}
            for part in (multiplier.gradient, multiplier.divergence)
        )
        both = sum(divergence[entry] * one for entry, one in gradient.items() if entry in divergence)
        inverse = torch.where(both != 0, 1.0 / torch.where(both != 0, both, 1.0), 0.0)
        return gradient, {entry: one * inverse for entry, one in divergence.items()}

    def _projected(self, by_entry: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """What is left of a derivative in time, or of a start, that a constraint allows; and the multiplier that makes
        it so."""
        if self.form.multiplier is None:
            return by_entry, None
        gradient, divergence = self._constraint
        multiplier = -sum(part * by_entry[entry] for entry, part in divergence.items())
        found = [one + gradient[entry] * multiplier if entry in gradient else one for entry, one in enumerate(by_entry)]
        return found, multiplier

    def _level(self, time: float, order: int) -> float:
        """What is given of the multiplier at a place, or its derivative in time."""
        level = self._expressions.level
        return 0.0 if level is None else float(torch.as_tensor(level(self.grid, time)[order]))

    def _levelled(self, multiplier: Tensor, given: float) -> Tensor:
        """The multiplier with its mean such that its value where that is given is right; without one, with none."""
        level = self.form.multiplier.level
        if level is None:
            return multiplier
        ends = zip(level[0], self.intervals, strict=True)
        there = self._at([2.0 * (x - low) / (high - low) - 1.0 for x, (low, high) in ends]) * self._height
        multiplier = multiplier.clone()
        zero = (0,) * multiplier.dim()
        multiplier[zero] = 0.0
        multiplier[zero] = given - (multiplier * there).real.sum()
        return multiplier

    # -- in plain functions --------------------------------------------------------------------------------------------

    def plain(self, point: Point) -> Tensor:
        """(U, q_1, ..., q_d): the solution in plain functions, which all unknowns share."""
        return self._plain(point.state, point.others)

    def plain_rates(self, point: Point, time: float) -> Tensor:
        """The same of its derivative in time."""
        rates = self._derivative(point)
        if self.form.multiplier is None:
            return self._plain(rates, ())
        expressions = self._expressions.later
        later = self._all_tested(expressions(self._known(expressions, point.state, rates), time))
        return self._plain(rates, (self._levelled(self._projected(later)[1], self._level(time, 1)),))

    def plain_state(self, state: State) -> Tensor:
        """The same of a state, or of a change of it, without a multiplier."""
        return self._plain(state, () if self.form.multiplier is None else (torch.zeros_like(self._shift),))

    def _plain(self, state: State, others: Sequence[Tensor]) -> Tensor:
        return torch.stack([self._waves_to_plain(z) for z in self._of_unknowns(state, others)])

    def _of_unknowns(self, state: State, others: Sequence[Tensor]) -> list[Tensor]:
        """By unknown, its coefficients."""
        found = {unknown: self.entry(state, i) for i, (unknown, k) in enumerate(self.form.entries) if k == 0}
        if self.form.multiplier is not None:
            (found[self.form.multiplier.unknown],) = others
        return [found[unknown] for unknown in sorted(found)]

    def _waves_to_plain(self, z: Tensor) -> Tensor:
        """(q_1, ..., q_d) real: a constant, then a cosine and a sine of every wave number, for every axis."""
        for axis, m in enumerate(self.most[:-1]):
            above, below = z.narrow(axis, 1, m), z.narrow(axis, m + 1, m).flip(axis)
            pairs = torch.stack([above + below, 1j * (above - below)], dim=axis + 1).flatten(axis, axis + 1)
            z = torch.cat([z.narrow(axis, 0, 1), math.sqrt(0.5) * pairs], dim=axis)
        above = z.narrow(-1, 1, self.most[-1])
        return torch.cat([z.real.narrow(-1, 0, 1), torch.stack([above.real, -above.imag], dim=-1).flatten(-2)], dim=-1)

    def rms(self, state: State) -> Tensor:
        """(U,) root mean squares of a change of a state: what comes of one of derivatives in time is in the measure of
        the unknown, too. 0 of a multiplier."""
        found = torch.zeros(self.form.unknowns, dtype=torch.float64)
        for i, (unknown, k) in enumerate(self.form.entries):
            z = self.entry(state, i)
            found[unknown] += torch.linalg.vector_norm(z * self._swings[i] if k else z) ** 2
        return torch.sqrt(found)

    @cached_property
    def _swings(self) -> dict[int, Tensor]:
        """By entry of a derivative in time, how far a wave swings that moves at 1."""
        found = {}
        for i, (unknown, k) in enumerate(self.form.entries):
            if k:
                found[i] = swings_of(self.symbol(self.form.linear.get((i, self.form.entries.index((unknown, 0))), {})))
        return found

    def size(self, point: Point) -> Tensor:
        """(U,) those of the solution."""
        return torch.stack([torch.linalg.vector_norm(z) for z in self._of_unknowns(point.state, point.others)])

    def from_other(self, other: WaveSpace, point: Point) -> State:
        """The same of a space of other degrees: waves are added, or left out."""
        found = []
        for part in point.state:
            first = part.dim() - len(self.degrees)
            shape = [*part.shape[:first], *(len(k) for k in self._waves)]
            mine = part.new_zeros(shape)
            common = [min(a, b) for a, b in zip(self.most, other.most, strict=True)]
            for signs in product((1, -1), repeat=len(common) - 1):
                here = (..., *(_side(m, sign) for m, sign in zip(common, (*signs, 1), strict=True)))
                mine[here] = part[here]
            found.append(mine)
        return found


def _side(most: int, sign: int) -> slice:
    """The waves from 0 to `most`, or those below 0, along an axis."""
    return slice(0, most + 1) if sign > 0 else slice(-most, None) if most else slice(0, 0)
