"""One step in time by exponentials: diffusion exactly, the rest by a Runge-Kutta method of fourth order.

Krogstad, Generalized integrating factor methods for stiff PDEs, J. Comput. Phys. 203 (2005) 72-88 (ETD4RK-B). With the
rest at the end of the step in place of that in its last stage it is a method of third order, so that the difference
tells the error of a step: for nothing, since the next step begins with it (Balac & Mahe, Embedded Runge-Kutta scheme
for step-size control in the interaction picture method, Comput. Phys. Commun. 184 (2013) 1211-1219).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pinnsolve.adapt.modal_space import ModalSpace, State, rms

ORDER = 4  # at which the error that it tells falls with the length of a step
TERMS = 18  # of the series of the functions of exponentials, near zero
KEPT = 4  # lengths of steps whose factors are kept


@dataclass(frozen=True)
class Factors:
    """Of one unknown, for steps of one length: what its functions are multiplied by over half of a step and the whole
    one, and what the rest is at its start (0), in the stages a, b and d, and at its end."""

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
    def of(cls, rates: Tensor, dt: float) -> Factors:
        """Of functions that grow at these rates."""
        z, h = dt * rates, 0.5 * dt * rates
        (one, two, three), (half_one, half_two, _) = phi(z), phi(h)
        return cls(
            half=torch.exp(h), whole=torch.exp(z),
            start_in_a=0.5 * dt * half_one,
            start_in_b=dt * (0.5 * half_one - half_two), a_in_b=dt * half_two,
            start_in_d=dt * (one - 2.0 * two), b_in_d=2.0 * dt * two,
            start_in_end=dt * (one - 3.0 * two + 4.0 * three), ab_in_end=dt * (2.0 * two - 4.0 * three),
            d_in_end=dt * (4.0 * three - two),
        )  # fmt: skip


def phi(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """phi_k(z) = int_0^1 exp((1 - s) z) s^(k - 1) / (k - 1)! ds for k = 1, 2, 3.

    By their series near zero, else by phi_(k + 1) = (phi_k - 1 / k!) / z (Hochbruck & Ostermann, Exponential
    integrators, Acta Numerica 19 (2010) 209-286).
    """
    near = z.abs() < 1.0
    small, large = torch.where(near, z, 0.0), torch.where(near, 1.0, z)
    one = torch.expm1(large) / large
    two = (one - 1.0) / large
    three = (two - 0.5) / large
    series = []
    for k in (1, 2, 3):
        total = torch.zeros_like(z)
        for j in reversed(range(TERMS)):
            total = total * small + 1.0 / math.factorial(j + k)
        series.append(total)
    return tuple(torch.where(near, s, direct) for s, direct in zip(series, (one, two, three), strict=True))


@dataclass(frozen=True)
class Point:
    """A state, and the rest there."""

    state: State
    rest: State


class ExponentialStepper:
    """Steps in a space."""

    def __init__(self, space: ModalSpace):
        self.space = space
        self._factors: dict[float, list[Factors]] = {}

    def factors(self, dt: float) -> list[Factors]:
        """By unknown."""
        if dt not in self._factors:
            if len(self._factors) >= KEPT:
                del self._factors[next(iter(self._factors))]
            self._factors[dt] = [Factors.of(rates, dt) for rates in self.space.rates]
        return self._factors[dt]

    def at(self, state: State, time: float) -> Point:
        return Point(state, self.space.rest(state, time))

    def step(self, start: Point, time: float, dt: float) -> tuple[Point, Tensor]:
        """The end of a step, and (U,) the rms of its error."""
        rest = self.space.rest
        parts = list(zip(self.factors(dt), start.state, start.rest, strict=True))
        middle, end = time + 0.5 * dt, time + dt
        a = [f.half * c + f.start_in_a * r for f, c, r in parts]
        at_a = rest(a, middle)
        b = [f.half * c + f.start_in_b * r + f.a_in_b * n for (f, c, r), n in zip(parts, at_a, strict=True)]
        at_b = rest(b, middle)
        d = [f.whole * c + f.start_in_d * r + f.b_in_d * n for (f, c, r), n in zip(parts, at_b, strict=True)]
        at_d = rest(d, end)
        state = [
            f.whole * c + f.start_in_end * r + f.ab_in_end * (n_a + n_b) + f.d_in_end * n_d
            for (f, c, r), n_a, n_b, n_d in zip(parts, at_a, at_b, at_d, strict=True)
        ]
        at_end = rest(state, end)
        off = [f.d_in_end * (n_d - n) for (f, *_), n_d, n in zip(parts, at_d, at_end, strict=True)]
        return Point(state, at_end), rms(off)
