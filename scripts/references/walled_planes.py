"""References for problems on a square with walls: sines and ETDRK4 where unknowns vanish there, cosines and leaps where
nothing flows out.

`python scripts/references/walled_planes.py [NAME ...]` writes problems/references/heat_2d_long.npz,
wave_2d_variable.npz and wave_random_speed.npz, or those named. The stated accuracy is the difference of two resolutions
in both space and time, rounded up. Times are stored ones; between the points of the grid the series is evaluated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from etdrk4 import march
from random_fields import NODES, squared_speed
from scatter import even_points, relative_difference, write_reference
from scipy.fft import dctn, dstn, idctn
from scipy.interpolate import RectBivariateSpline

COUNT = 5000


@dataclass(frozen=True)
class Plane:
    """`solve(modes, steps)` yields the coefficients after every step until `until`; `functions(modes, z)`: (N, modes),
    those of the series at places in [0, 1]. `fine`, `coarse`: modes and steps; `levels`: times that are stored."""

    low: float
    length: float
    until: float
    levels: int
    fine: tuple[int, int]
    coarse: tuple[int, int]
    accuracy: float
    solve: Callable[[int, int], Iterator[np.ndarray]]
    functions: Callable[[int, np.ndarray], np.ndarray]


def sines(modes: int, z: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * np.outer(z, np.arange(1, modes + 1)))


def cosines(modes: int, z: np.ndarray) -> np.ndarray:
    return np.cos(np.pi * np.outer(z, np.arange(modes)))


def heat(modes: int, steps: int) -> Iterator[np.ndarray]:
    """u_t = lap u/1000 + 5 sin(u^2) (1 + 2 sin(pi t/4)) sin(4 pi x) sin(2 pi y): time is carried along as a number."""
    shape, z = (modes, modes), np.arange(1, modes + 1) / (modes + 1)
    number = np.arange(1, modes + 1)
    linear = -1e-3 * np.pi**2 * (number[:, None] ** 2 + number**2)
    place = 5 * np.outer(np.sin(4 * np.pi * z), np.sin(2 * np.pi * z))

    def nonlinear(v: np.ndarray) -> np.ndarray:
        u = dstn(v[:-1].reshape(shape), type=1) / 4
        rate = np.sin(u**2) * (place * (1 + 2 * math.sin(math.pi * v[-1] / 4)))
        return np.append(dstn(rate, type=1) / (modes + 1) ** 2, 1.0)

    start = np.zeros(shape)
    start[3, 2] = 1.0
    for v in march(np.append(start, 0.0), np.append(linear, 0.0), nonlinear, 100.0 / steps, steps):
        yield v[:-1].reshape(shape)


def uneven(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1 + 0.4 * np.sin(3 * x + 1) * np.cos(4 * y) + 0.3 * np.sin(5 * x - 2 * y)


def shoals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear between the rows of a table, along either coordinate."""
    z = np.linspace(-1.0, 1.0, NODES)
    return RectBivariateSpline(z, z, squared_speed(), kx=1, ky=1)(x.ravel(), y.ravel())


def wave(modes: int, steps: int, speed: Callable[..., np.ndarray]) -> Iterator[np.ndarray]:
    """u_tt = c lap u without flux, at rest at first; leaps with the term of fourth order (Shubin & Bell, SIAM J. Sci.
    Stat. Comput. 8 (1987) 135-151). Cosines are even about the walls, and so is the start that contradicts them."""
    x = -1 + 2 * (np.arange(modes)[:, None] + 0.5) / modes
    y = x.T
    c = speed(x, y)
    square = -((np.pi / 2) ** 2) * (np.arange(modes)[:, None] ** 2 + np.arange(modes) ** 2)
    factor = np.where(np.arange(modes) == 0, 1.0, 2.0) / (2 * modes)  # from transforms to coefficients
    scale, dt = factor[:, None] * factor, 5.0 / steps

    def rate(u: np.ndarray) -> np.ndarray:
        return c * idctn(square * dctn(u))

    u = np.exp(-((x + 0.5) ** 2 + y**2) / (2 * 0.3**2))
    before = None
    for _ in range(steps + 1):
        yield scale * dctn(u)
        first = rate(u)
        change = dt**2 * (first + dt**2 / 12 * rate(first))
        before, u = u, u + change / 2 if before is None else 2 * u - before + change


PLANES = {
    "heat_2d_long": Plane(0.0, 1.0, 100.0, 200, (255, 14000), (191, 10000), 1e-5, heat, sines),
    "wave_2d_variable": Plane(-1.0, 2.0, 5.0, 50, (640, 3000), (480, 2400), 1e-4, partial(wave, speed=uneven), cosines),
    "wave_random_speed": Plane(
        -1.0, 2.0, 5.0, 50, (512, 6000), (384, 4500), 1e-3, partial(wave, speed=shoals), cosines
    ),
}


def values(plane: Plane, levels: np.ndarray, places: np.ndarray, modes: int, steps: int) -> np.ndarray:
    """(N,): at the times levels/plane.levels (N,) of the whole and places (N, 2) in [0, 1]."""
    result, every = np.empty(len(levels)), steps // plane.levels
    for n, c in enumerate(plane.solve(modes, steps)):
        here = levels == n // every
        if n % every == 0 and here.any():
            x, y = (plane.functions(modes, z) for z in places[here].T)
            result[here] = np.einsum("nk,kl,nl->n", x, c, y, optimize=True)
    return result


def main() -> None:
    for name in sys.argv[1:] or PLANES:
        plane = PLANES[name]
        t, *z = even_points(COUNT, [(0.0, 1.0)] * 3).T
        levels, places = np.round(t * plane.levels).astype(int), np.stack(z, axis=1)
        fine, coarse = (values(plane, levels, places, *how) for how in (plane.fine, plane.coarse))
        difference = relative_difference(coarse, fine)
        print(f"{name}: difference between two resolutions: {difference:.1e}")
        if difference > plane.accuracy:
            raise SystemExit("the series has not converged")
        x, y = (plane.low + plane.length * places).T
        write_reference(f"{name}.npz", plane.accuracy, t=levels / plane.levels * plane.until, x=x, y=y, u=fine)


if __name__ == "__main__":
    main()
