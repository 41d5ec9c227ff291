"""Reference for problems/allen-cahn.yaml: Fourier in space, exponential time differencing of fourth order in time.

The start x**2 cos(pi x) has a kink where the interval closes on itself, so its coefficients fall only as 1/k**2; they
are taken from their closed form, because interpolation on a grid would add the modes that the grid cannot hold.
Diffusion removes the high modes at once. The stated accuracy comes from two resolutions in both space and time.

`python scripts/references/allen_cahn.py` writes problems/references/allen_cahn.npz; with `--verify` it also solves the
equation by Chebyshev collocation on the half interval (the solution is even) with an adaptive implicit Runge-Kutta
method in time (needs SciPy), and prints the difference, which falls with the Chebyshev degree: 1e-9 at 600, 1e-10 at
1000.
"""

from __future__ import annotations

import sys

import numpy as np
from etdrk4 import march
from scatter import even_points, relative_difference, write_reference

DIFFUSIVITY = 1e-4
COUNT = 5000
TIMES = 200  # the points lie on this many levels of time
ACCURACY = 1e-11  # two resolutions agree better than this


def start_values(x: np.ndarray) -> np.ndarray:
    return x**2 * np.cos(np.pi * x)


def start_coefficients(k: np.ndarray) -> np.ndarray:
    """Fourier coefficients of x**2 cos(pi x) on (-1, 1) for wave numbers k >= 0."""

    def moment(m: np.ndarray) -> np.ndarray:  # the integral of x**2 cos(m pi x) from -1 to 1
        safe = np.where(m == 0, 1, m)
        return np.where(m == 0, 2 / 3, 4 * (-1.0) ** np.abs(m) / (safe * np.pi) ** 2)

    return (moment(k - 1) + moment(k + 1)) / 4


def solve(points: np.ndarray, modes: int, step: float) -> np.ndarray:
    """u at points (N, 2) of (level of time, x) -> (N,); level j is the time j/TIMES."""
    k = np.arange(modes // 2 + 1)
    start = start_coefficients(k) * modes * (-1.0) ** k  # of rfft on the grid -1 + 2 i/modes
    levels = points[:, 0].astype(int)
    every = round(1 / (TIMES * step))
    u = np.empty(len(points))

    def nonlinear(v: np.ndarray) -> np.ndarray:
        values = np.fft.irfft(v, modes)
        return np.fft.rfft(5 * (values - values**3))

    linear = -DIFFUSIVITY * (np.pi * k) ** 2
    for n, v in enumerate(march(start.astype(complex), linear, nonlinear, step, TIMES * every)):
        if n % every == 0:
            here = levels == n // every
            phases = np.exp(1j * np.pi * np.outer(points[here, 1] + 1, k))
            phases[:, 1:-1] *= 2
            u[here] = (phases @ v).real / modes
    u[levels == 0] = start_values(points[levels == 0, 1])  # the truncated series is only good to 1e-6 at the kink
    return u


def chebyshev_radau(points: np.ndarray, degree: int = 600) -> np.ndarray:
    """As `solve`, by Chebyshev collocation on 0 < x < 1 with zero slope at both ends, and Radau's method in time."""
    from scipy.integrate import solve_ivp
    from scipy.interpolate import BarycentricInterpolator

    i = np.arange(degree + 1)
    x = (1 - np.cos(np.pi * i / degree)) / 2
    scale = (-1.0) ** i * np.where((i == 0) | (i == degree), 2, 1)
    gaps = x[:, None] - x + np.eye(degree + 1)
    d = np.outer(scale, 1 / scale) / gaps
    d -= np.diag(d.sum(axis=1))
    ends, inner = [0, degree], slice(1, degree)
    from_inner = -np.linalg.solve(d[np.ix_(ends, ends)], d[ends, inner])  # end values that make both slopes zero
    second = (d @ d)[inner]
    laplacian = second[:, inner] + second[:, ends] @ from_inner
    start = start_values(x)[inner]
    result = solve_ivp(
        lambda t, v: DIFFUSIVITY * laplacian @ v + 5 * (v - v**3),
        (0, 1), start, "Radau", np.arange(TIMES + 1) / TIMES, rtol=1e-9, atol=1e-11,
        jac=lambda t, v: DIFFUSIVITY * laplacian + np.diag(5 - 15 * v**2),
    )  # fmt: skip
    u = np.empty(len(points))
    for level in range(TIMES + 1):
        here = points[:, 0].astype(int) == level
        v = result.y[:, level]
        values = np.concatenate([(from_inner @ v)[:1], v, (from_inner @ v)[1:]])
        u[here] = BarycentricInterpolator(x, values, wi=1 / scale)(np.abs(points[here, 1]))
    return u


def main() -> None:
    points = even_points(COUNT, [(0, 1), (-1, 1)])
    points[:, 0] = np.round(points[:, 0] * TIMES)
    u = solve(points, 8192, 1 / 2000)
    difference = relative_difference(solve(points, 4096, 1 / 1000), u)
    print(f"difference between two resolutions: {difference:.1e}")
    if difference > ACCURACY:
        raise SystemExit("the Fourier solution has not converged")
    write_reference("allen_cahn.npz", ACCURACY, t=points[:, 0] / TIMES, x=points[:, 1], u=u)
    if "--verify" in sys.argv[1:]:
        print(f"difference from the Chebyshev method: {relative_difference(chebyshev_radau(points), u):.1e}")


if __name__ == "__main__":
    main()
