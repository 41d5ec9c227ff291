"""One step in time by exponentials: diffusion exactly, the rest by a Runge-Kutta method of fourth order.

Krogstad, Generalized integrating factor methods for stiff PDEs, J. Comput. Phys. 203 (2005) 72-88 (ETD4RK-B). With the
rest at the end of the step in place of that in its last stage it is a method of third order, so that the difference
tells the error of a step: for nothing, since the next step begins with it (Balac & Mahe, Embedded Runge-Kutta scheme
for step-size control in the interaction picture method, Comput. Phys. Commun. 184 (2013) 1211-1219).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pinnsolve.adapt.modal_space import ModalSpace
from pinnsolve.adapt.phi_functions import acting, phi, phi_of_matrices
from pinnsolve.adapt.space_state import Point, State
from pinnsolve.adapt.wave_space import WaveSpace

ORDER = 4  # at which the error that it tells falls with the length of a step
FOURTH = (1.0, -4.0, 6.0, -4.0, 1.0)  # weights of the fourth difference
KEPT = 4  # lengths of steps whose factors are kept
Space = ModalSpace | WaveSpace


@dataclass(frozen=True)
class Factors:
    """Of one part of a state, for steps of one length: what its functions are multiplied by over half of a step and the
    whole one, and what the rest is at its start (0), in the stages a, b and d, and at its end. For every function a
    number, or a matrix where several evolve together."""

    half: Tensor
    whole: Tensor
    start_in_a: Tensor
    start_in_b: Tensor
    a_in_b: Tensor
    start_in_d: Tensor
    b_in_d: Tensor
    start_in_end: Tensor
    ab_in_end: Tensor
    d_in_end: Tensor

    @classmethod
    def of(cls, rates: Tensor, dt: float, coupled: bool) -> Factors:
        """Of functions that grow at these rates, or evolve `coupled` by such matrices, (b, b, ...)."""
        found = phi_of_matrices if coupled else phi
        (whole, one, two, three), (half, half_one, half_two, _) = found(dt * rates), found(0.5 * dt * rates)
        return cls(
            half=half, whole=whole,
            start_in_a=0.5 * dt * half_one,
            start_in_b=dt * (0.5 * half_one - half_two), a_in_b=dt * half_two,
            start_in_d=dt * (one - 2.0 * two), b_in_d=2.0 * dt * two,
            start_in_end=dt * (one - 3.0 * two + 4.0 * three), ab_in_end=dt * (2.0 * two - 4.0 * three),
            d_in_end=dt * (4.0 * three - two),
        )  # fmt: skip


class ExponentialStepper:
    """Steps in a space."""

    def __init__(self, space: Space):
        self.space = space
        self._factors: dict[float, list[Factors]] = {}

    def factors(self, dt: float) -> list[Factors]:
        """By part of a state."""
        if dt not in self._factors:
            if len(self._factors) >= KEPT:
                del self._factors[next(iter(self._factors))]
            axes = len(self.space.degrees)
            self._factors[dt] = [Factors.of(rates, dt, rates.dim() > axes) for rates in self.space.rates]
        return self._factors[dt]

    def moved(self, point: Point, dt: float) -> State:
        """By how much the rest at a point moves the state over a time."""
        return [acting(f.start_in_a, r) for f, r in zip(self.factors(2.0 * dt), point.rest, strict=True)]

    def in_time(self, points: Sequence[Point], dt: float) -> Tensor:
        """(U,) about the rms of the error of two steps twice as long over five points, a step of `dt` between two each,
        by how the rest changes in time along the solution.

        The method takes a parabola through the start, the middle and the end of a step; by Simpson's rule it misses the
        fourth difference over 180. Of a rest that depends on time alone, stages tell nothing.
        """
        rests = zip(*(point.rest for point in points), strict=True)
        fourth = [sum(weight * r for weight, r in zip(FOURTH, own, strict=True)) for own in rests]
        moved = [acting(f.start_in_a, own) for f, own in zip(self.factors(dt), fourth, strict=True)]
        return self.space.rms(moved) * (8.0 / 180.0)  # of four steps, of each of which that moves over half

    def step(self, start: Point, time: float, dt: float) -> tuple[Point, Tensor]:
        """The end of a step, and (U,) the rms of its error."""
        rest, x = self.space.rest, acting
        parts = list(zip(self.factors(dt), start.state, start.rest, strict=True))
        middle, end = time + 0.5 * dt, time + dt
        a = [x(f.half, c) + x(f.start_in_a, r) for f, c, r in parts]
        at_a = rest(a, middle)
        b = [x(f.half, c) + x(f.start_in_b, r) + x(f.a_in_b, n) for (f, c, r), n in zip(parts, at_a, strict=True)]
        at_b = rest(b, middle)
        d = [x(f.whole, c) + x(f.start_in_d, r) + x(f.b_in_d, n) for (f, c, r), n in zip(parts, at_b, strict=True)]
        at_d = rest(d, end)
        state = [
            x(f.whole, c) + x(f.start_in_end, r) + x(f.ab_in_end, n_a + n_b) + x(f.d_in_end, n_d)
            for (f, c, r), n_a, n_b, n_d in zip(parts, at_a, at_b, at_d, strict=True)
        ]
        at_end = self.space.at(state, end)
        off = [x(f.d_in_end, n_d - n) for (f, *_), n_d, n in zip(parts, at_d, at_end.rest, strict=True)]
        return at_end, self.space.rms(off)
