"""References for problems on a periodic square: Fourier in space, ETDRK4 in time.

`python scripts/references/periodic_planes.py [NAME ...]` writes problems/references/shear_layer.npz, burgers_2d.npz and
gray_scott.npz, or those named. The stated accuracy is the difference of two resolutions in both space and time, rounded
up. The points lie on stored levels of time; between the points of the grid the Fourier series itself is evaluated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from etdrk4 import march
from planes import at_points, wave_numbers
from scatter import even_points, relative_difference, write_reference

LEVELS, COUNT = 50, 5000

Fields = list[np.ndarray]


@dataclass(frozen=True)
class Flow:
    """u' = L u + N(u) on a square from `low`, `length` wide, until `until`; `fine`, `coarse`: modes and steps.

    `stated(modes)` gives the coefficients at first, the symbols L, N of coefficients, and what the unknowns are made
    of them, each a list of (modes, modes/2 + 1).
    """

    unknowns: tuple[str, ...]
    low: float
    length: float
    until: float
    fine: tuple[int, int]
    coarse: tuple[int, int]
    accuracy: float
    stated: Callable[[int], tuple[Fields, Fields, Callable[[Fields], Fields], Callable[[Fields], Fields]]]


def grid(modes: int, low: float, length: float) -> tuple[np.ndarray, np.ndarray]:
    x = low + length * np.arange(modes) / modes
    return x[:, None] + 0 * x, x + 0 * x[:, None]


def vortices(modes: int, nu: float, start: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]):
    """Vorticity on a square 2 pi wide, whose velocity at first is `start(x, y)`; the velocity follows from its stream
    function, whose mean does not move."""
    length = 2 * math.pi
    k, l, kept = wave_numbers(modes, length)
    square = k**2 + l**2
    inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0)
    u, v = (np.fft.rfft2(f) for f in start(*grid(modes, 0.0, length)))

    def velocity(w):
        return 1j * l * inverse * w, -1j * k * inverse * w

    def product(a, b):
        return kept * np.fft.rfft2(np.fft.irfft2(kept * a, (modes, modes)) * np.fft.irfft2(kept * b, (modes, modes)))

    def nonlinear(fields):
        (w,) = fields
        u, v = velocity(w)
        return [-product(u, 1j * k * w) - product(v, 1j * l * w)]

    def unknowns(fields):
        u, v = velocity(fields[0])
        one, two = (product(u, 1j * k * a) + product(v, 1j * l * a) for a in (u, v))
        p = inverse * (1j * k * one + 1j * l * two)
        p[0, 0] -= modes**2 * np.fft.irfft2(p, (modes, modes))[0, 0]  # none at the corner
        return [u, v, p]

    return [1j * k * v - 1j * l * u], [-nu * square], nonlinear, unknowns


def shear_layer(modes: int):
    return vortices(modes, 0.01, lambda x, y: (np.tanh(15 * np.sin(y) / math.pi), 0.05 * np.sin(x)))


def burgers(modes: int):
    nu, length = 0.01, 4.0
    x, y = (math.pi / 2 * a for a in grid(modes, 0.0, length))
    k, l, kept = wave_numbers(modes, length)
    u = 0.5 * (np.sin(x) * np.cos(y) + np.cos(y) / 2)
    v = 0.5 * (np.cos(x) * np.sin(y) - np.sin(x) / 3)

    def nonlinear(fields):
        values = [np.fft.irfft2(kept * f, (modes, modes)) for f in fields]
        result = []
        for f in fields:
            along, across = (np.fft.irfft2(1j * kept * n * f, (modes, modes)) for n in (k, l))
            result.append(-1.0 * kept * np.fft.rfft2(values[0] * along + values[1] * across))
        return result

    return [np.fft.rfft2(u), np.fft.rfft2(v)], [-nu * (k**2 + l**2)] * 2, nonlinear, list


def gray_scott(modes: int):
    b, d, length = 0.04, 0.1, 2.0
    x, y = grid(modes, -1.0, length)
    k, l, _ = wave_numbers(modes, length)
    u = 1 - np.exp(-80 * ((x + 0.05) ** 2 + (y + 0.02) ** 2))
    v = np.exp(-80 * ((x - 0.05) ** 2 + (y - 0.02) ** 2))
    one = np.zeros((modes, modes // 2 + 1))
    one[0, 0] = modes**2

    def nonlinear(fields):
        u, v = (np.fft.irfft2(f, (modes, modes)) for f in fields)
        reaction = np.fft.rfft2(u * v**2)
        return [b * one - reaction, reaction]

    square = k**2 + l**2
    return [np.fft.rfft2(u), np.fft.rfft2(v)], [-1e-5 * square - b, -5e-6 * square - d], nonlinear, list


FLOWS = {
    "shear_layer": Flow(("u", "v", "p"), 0.0, 2 * math.pi, 1.0, (256, 1000), (192, 600), 1e-7, shear_layer),
    "burgers_2d": Flow(("u", "v"), 0.0, 4.0, 1.0, (256, 1000), (192, 600), 1e-7, burgers),
    "gray_scott": Flow(("u", "v"), -1.0, 2.0, 200.0, (512, 1600), (432, 1200), 1e-4, gray_scott),
}


def states(flow: Flow, modes: int, steps: int) -> Iterator[Callable[[], Fields]]:
    """After none and every one of the steps, what gives the coefficients of the unknowns."""
    start, linear, nonlinear, unknowns = flow.stated(modes)
    shape, parts = start[0].shape, len(start)

    def apart(v: np.ndarray) -> Fields:
        return list(v.reshape(parts, *shape))

    def rate(v: np.ndarray) -> np.ndarray:
        return np.concatenate([f.ravel() for f in nonlinear(apart(v))])

    first = np.concatenate([f.ravel() for f in start]).astype(complex)
    symbols = np.concatenate([np.broadcast_to(f, shape).ravel() for f in linear])
    for v in march(first, symbols, rate, flow.until / steps, steps):
        yield lambda v=v: unknowns(apart(v))


def solve(flow: Flow, levels: np.ndarray, points: np.ndarray, modes: int, steps: int) -> Fields:
    """The unknowns at the times levels/LEVELS (N,) of the whole and places (N, 2): each (N,)."""
    result = [np.empty(len(levels)) for _ in flow.unknowns]
    every = steps // LEVELS
    for n, state in enumerate(states(flow, modes, every * LEVELS)):
        if n % every == 0:
            here = levels == n // every
            for values, coefficients in zip(result, state(), strict=True):
                values[here] = at_points(coefficients, *points[here].T, flow.low, flow.length)
    return result


def main() -> None:
    for name in sys.argv[1:] or FLOWS:
        flow = FLOWS[name]
        box = [(0.0, 1.0), *[(flow.low, flow.low + flow.length)] * 2]
        t, *places = even_points(COUNT, box).T
        levels, points = np.round(t * LEVELS).astype(int), np.stack(places, axis=1)
        fine, coarse = (solve(flow, levels, points, *how) for how in (flow.fine, flow.coarse))
        difference = max(relative_difference(a, b) for a, b in zip(coarse, fine, strict=True))
        print(f"{name}: difference between two resolutions: {difference:.1e}")
        if difference > flow.accuracy:
            raise SystemExit("the Fourier solution has not converged")
        columns = dict(zip(flow.unknowns, fine, strict=True))
        x, y = places
        write_reference(f"{name}.npz", flow.accuracy, t=levels / LEVELS * flow.until, x=x, y=y, **columns)


if __name__ == "__main__":
    main()
