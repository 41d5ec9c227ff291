"""References for problems/kuramoto-sivashinsky.yaml and its first half: Fourier in space, ETDRK4 in time.

The points lie on stored levels of time; between the points of the grid the Fourier series itself is evaluated. The
solution needs about 80 modes; errors of whatever origin grow about 3000-fold until t = 1, so the stated accuracy comes
from two resolutions in both space and time.

`python scripts/references/kuramoto_sivashinsky.py` writes problems/references/kuramoto_sivashinsky.npz and
kuramoto_sivashinsky_half.npz; with `--verify` it also marches by the classical Runge-Kutta method, which treats all
parts alike, and prints the difference.
"""

from __future__ import annotations

import sys

import numpy as np
from etdrk4 import march
from scatter import even_points, relative_difference, write_reference

ALPHA, BETA, GAMMA = 100 / 16, 100 / 16**2, 100 / 16**4
LEVELS = 400  # of time, until t = 1
FILES = {"kuramoto_sivashinsky.npz": (1.0, 5e-9), "kuramoto_sivashinsky_half.npz": (0.5, 1e-9)}
COUNT = 5000


def start_values(x: np.ndarray) -> np.ndarray:
    return np.cos(x) * (1 + np.sin(x))


def right_side(modes: int):
    """The diagonal of the linear part (modes/2 + 1,), and the nonlinear part as a map of coefficients."""
    k = np.arange(modes // 2 + 1)
    kept = k < modes // 3  # the square is free of aliasing

    def nonlinear(v: np.ndarray) -> np.ndarray:
        return -0.5j * ALPHA * k * kept * np.fft.rfft(np.fft.irfft(v * kept, modes) ** 2)

    return BETA * k**2 - GAMMA * k**4.0, nonlinear


def start(modes: int) -> np.ndarray:
    return np.fft.rfft(start_values(2 * np.pi * np.arange(modes) / modes)).astype(complex)


def at_points(v: np.ndarray, x: np.ndarray, modes: int) -> np.ndarray:
    """The Fourier series with coefficients v (modes/2 + 1,) at x (N,)."""
    phases = np.exp(1j * np.outer(x, np.arange(modes // 2 + 1)))
    phases[:, 1:-1] *= 2
    return (phases @ v).real / modes


def solve(levels: np.ndarray, x: np.ndarray, modes: int, step: float) -> np.ndarray:
    """u at the times levels/LEVELS and places x: each (N,) -> (N,)."""
    every = round(1 / (LEVELS * step))
    linear, nonlinear = right_side(modes)
    u = np.empty(len(x))
    for n, v in enumerate(march(start(modes), linear, nonlinear, step, LEVELS * every)):
        if n % every == 0:
            here = levels == n // every
            u[here] = at_points(v, x[here], modes)
    return u


def runge_kutta(levels: np.ndarray, x: np.ndarray, modes: int = 512, step: float = 2e-6) -> np.ndarray:
    """As `solve`, by the classical Runge-Kutta method for the whole right side; stability limits the step."""
    linear, nonlinear = right_side(modes)
    linear[modes // 3 :] = 0  # these modes are zero at the start, and stay so
    every = round(1 / (LEVELS * step))

    def rate(v: np.ndarray) -> np.ndarray:
        return linear * v + nonlinear(v)

    u, v = np.empty(len(x)), start(modes)
    v[modes // 3 :] = 0
    for level in range(LEVELS + 1):
        here = levels == level
        u[here] = at_points(v, x[here], modes)
        for _ in range(every):
            a = rate(v)
            b = rate(v + step / 2 * a)
            c = rate(v + step / 2 * b)
            v = v + step / 6 * (a + 2 * b + 2 * c + rate(v + step * c))
    return u


def main() -> None:
    points = {}
    for file_name, (until, _) in FILES.items():
        t, x = even_points(COUNT, [(0, until), (0, 2 * np.pi)]).T
        points[file_name] = np.round(t * LEVELS).astype(int), x
    levels, x = (np.concatenate(columns) for columns in zip(*points.values(), strict=True))
    u = solve(levels, x, 1024, 5e-6)
    coarse = solve(levels, x, 512, 1e-5)
    other = runge_kutta(levels, x) if "--verify" in sys.argv[1:] else None
    for i, (file_name, (until, accuracy)) in enumerate(FILES.items()):
        here = slice(i * COUNT, (i + 1) * COUNT)
        difference = relative_difference(coarse[here], u[here])
        print(f"until t = {until}: difference between two resolutions: {difference:.1e}")
        if difference > accuracy:
            raise SystemExit("the Fourier solution has not converged")
        write_reference(file_name, accuracy, t=levels[here] / LEVELS, x=x[here], u=u[here])
        if other is not None:
            print(f"difference from the other method: {relative_difference(other[here], u[here]):.1e}")


if __name__ == "__main__":
    main()
