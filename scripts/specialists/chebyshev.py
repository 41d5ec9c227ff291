"""Chebyshev collocation on a box, for problems with values given on the walls.

The matrix of the second derivative of each axis is diagonalized once, after which the Laplacian costs a few products of
small matrices (fast diagonalization: Lynch, Rice, Thomas, Numerische Mathematik 6 (1964) 185-199). Linear equations in
time are then solved exactly in time, nonlinear ones by SciPy's explicit Runge-Kutta method of eighth order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from polynomials import chebyshev_nodes, differentiation, interpolation
from scipy.integrate import solve_ivp

from specialists import Field, Specialist, at_levels


@dataclass(frozen=True)
class Line:
    """An axis: nodes (n + 1,), second derivative (n + 1, n + 1), and the eigensystem of its inner part (n - 1)."""

    nodes: np.ndarray
    second: np.ndarray
    rates: np.ndarray
    modes: np.ndarray
    inverse: np.ndarray

    @property
    def inner(self) -> np.ndarray:
        return self.nodes[1:-1]

    def modes_at(self, x: np.ndarray) -> np.ndarray:
        """The eigenfunctions, zero at both ends, at x (N,): (N, n - 1)."""
        return interpolation(self.nodes, x)[:, 1:-1] @ self.modes


def line(degree: int, low: float = 0.0, high: float = 1.0) -> Line:
    nodes = chebyshev_nodes(degree, low, high)
    d = differentiation(nodes)
    second = d @ d
    rates, modes = np.linalg.eig(second[1:-1, 1:-1])  # real, negative and distinct
    return Line(nodes, second, rates.real, modes.real, np.linalg.inv(modes.real))


def expanded(lines: list[Line], values: np.ndarray) -> np.ndarray:
    """Inner values of a function -> its coefficients in the eigenfunctions of all axes."""
    for axis, one in enumerate(lines):
        values = np.moveaxis(np.tensordot(one.inverse, values, (1, axis)), 0, axis)
    return values


def inner_grid(lines: list[Line]) -> list[np.ndarray]:
    return np.meshgrid(*(one.inner for one in lines), indexing="ij")


def laplacian_rates(lines: list[Line], factors=None) -> np.ndarray:
    """The eigenvalues of the sum of second derivatives, each with its factor."""
    factors = factors or [1] * len(lines)
    axes = np.meshgrid(*(f * one.rates for f, one in zip(factors, lines, strict=True)), indexing="ij")
    return sum(axes)


# -- steady ---------------------------------------------------------------------------------------------------


def elliptic(source, shift: float, box: list[tuple[float, float]]):
    """laplacian(u) + shift*u = source, zero on the walls."""

    def solve(degree: int, times: np.ndarray) -> Field:
        lines = [line(degree, *ends) for ends in box]
        u = expanded(lines, source(*inner_grid(lines))) / (laplacian_rates(lines) + shift)

        def at(points: np.ndarray) -> dict[str, np.ndarray]:
            modes = [one.modes_at(x) for one, x in zip(lines, points.T, strict=True)]
            letters = "abc"[: len(lines)]
            factors = ",".join(f"n{letter}" for letter in letters)
            return {"u": np.einsum(f"{letters},{factors}->n", u, *modes, optimize=True)}

        return at

    return solve


def poisson_2d() -> Specialist:
    def source(x, y):
        return -2 * np.pi**2 * np.sin(np.pi * x) * np.sin(np.pi * y)

    return Specialist("Chebyshev collocation", tuple(range(6, 33, 2)), elliptic(source, 0, [(0, 1)] * 2))


def helmholtz_2d() -> Specialist:
    def source(x, y):
        return (1 - 17 * np.pi**2) * np.sin(np.pi * x) * np.sin(4 * np.pi * y)

    return Specialist("Chebyshev collocation", tuple(range(12, 49, 2)), elliptic(source, 1, [(-1, 1)] * 2))


def helmholtz_4pi() -> Specialist:
    k = 4 * np.pi

    def source(x, y):
        return -(k**2) * np.sin(k * x) * np.sin(k * y)

    return Specialist("Chebyshev collocation", tuple(range(12, 49, 2)), elliptic(source, k**2, [(0, 1)] * 2))


def poisson_3d() -> Specialist:
    def source(x, y, z):
        squares = (y * z) ** 2 + (x * z) ** 2 + (x * y) ** 2 - 3 * np.pi**2
        sines = [np.sin(np.pi * s) for s in (x, y, z)]
        cosines = [np.cos(np.pi * s) for s in (x, y, z)]
        mixed = (
            y * z * cosines[0] * sines[1] * sines[2]
            + x * z * sines[0] * cosines[1] * sines[2]
            + x * y * sines[0] * sines[1] * cosines[2]
        )
        return np.exp(x * y * z) * (squares * sines[0] * sines[1] * sines[2] + 2 * np.pi * mixed)

    return Specialist("Chebyshev collocation", tuple(range(8, 31, 2)), elliptic(source, 0, [(0, 1)] * 3))


# -- linear in time -------------------------------------------------------------------------------------------


def wave_1d() -> Specialist:
    def solve(degree: int, times: np.ndarray) -> Field:
        axis = line(degree)
        start = axis.inverse @ (np.sin(np.pi * axis.inner) + np.sin(4 * np.pi * axis.inner) / 2)
        frequencies = 2 * np.sqrt(-axis.rates)
        turns = dict(zip(times, np.cos(np.outer(times, frequencies)) * start, strict=True))

        def at(points: np.ndarray) -> dict[str, np.ndarray]:
            return {"u": (axis.modes_at(points[:, 1]) * np.array([turns[t] for t in points[:, 0]])).sum(axis=1)}

        return at

    return Specialist("Chebyshev collocation, exact in time", tuple(range(12, 49, 2)), solve, levels=100)


def heat_2d_multiscale() -> Specialist:
    def solve(degree: int, times: np.ndarray) -> Field:
        lines = [line(degree), line(degree // 3)]
        x, y = inner_grid(lines)
        start = expanded(lines, np.sin(20 * np.pi * x) * np.sin(np.pi * y))
        rates = laplacian_rates(lines, [1 / (500 * np.pi) ** 2, 1 / np.pi**2])
        fields = {t: start * np.exp(rates * t) for t in times}

        def values(field: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
            modes = [one.modes_at(points[:, i + 1]) for i, one in enumerate(lines)]
            return [np.einsum("ab,na,nb->n", field, *modes, optimize=True)]

        return at_levels(fields, ("u",), values)

    return Specialist("Chebyshev collocation, exact in time", tuple(range(36, 91, 6)), solve, levels=50)


# -- nonlinear in time ----------------------------------------------------------------------------------------


def second_order(box: tuple[float, float], start, walls, force):
    """u_tt = u_xx + force(t, x, u): `start(x)` gives u and u_t, `walls(t)` the values at both ends."""

    def solve(resolution: tuple[int, float], times: np.ndarray) -> Field:
        degree, tolerance = resolution
        nodes = chebyshev_nodes(degree, *box)
        d = differentiation(nodes)
        inner = slice(1, -1)
        second = (d @ d)[inner]
        rows, ends, x = second[:, inner], second[:, [0, -1]], nodes[inner]

        def rate(t: float, y: np.ndarray) -> np.ndarray:
            u, u_t = y[: degree - 1], y[degree - 1 :]
            return np.concatenate([u_t, rows @ u + ends @ walls(t) + force(t, x, u)])

        y = solve_ivp(
            rate, (times[0], times[-1]), np.concatenate(start(x)), "DOP853", times, rtol=tolerance, atol=tolerance
        ).y
        sides = np.array([walls(t) for t in times])
        fields = {t: np.concatenate([s[:1], v[: degree - 1], s[1:]]) for t, v, s in zip(times, y.T, sides, strict=True)}

        def at(points: np.ndarray) -> dict[str, np.ndarray]:
            values = np.array([fields[t] for t in points[:, 0]])
            return {"u": (interpolation(nodes, points[:, 1]) * values).sum(axis=1)}

        return at

    return solve


def sine_gordon() -> Specialist:
    speed = 0.5
    steepness = 1 / np.sqrt(1 - speed**2)

    def kink(t, x):
        return 4 * np.arctan(np.exp(steepness * (x - speed * t)))

    def start(x):
        return kink(0, x), -2 * speed * steepness / np.cosh(steepness * x)

    solve = second_order(
        (-5, 5), start, lambda t: kink(t, np.array([-5.0, 5.0])), lambda t, x, u: -np.sin(u)
    )  # fmt: skip
    ladder = ((24, 1e-4), (32, 1e-6), (40, 1e-7), (48, 1e-8), (56, 1e-9), (64, 1e-10), (80, 1e-12))
    return Specialist("Chebyshev collocation, DOP853 in time", ladder, solve, levels=100)


def klein_gordon() -> Specialist:
    def swing(t, x):
        return x * np.cos(5 * np.pi * t) + (x * t) ** 3

    def force(t, x, u):
        source = -25 * np.pi**2 * x * np.cos(5 * np.pi * t) + 6 * t * x**3 - 6 * x * t**3 + swing(t, x) ** 3
        return source - u**3

    solve = second_order((0, 1), lambda x: (x, 0 * x), lambda t: swing(t, np.array([0.0, 1.0])), force)
    ladder = ((6, 1e-5), (6, 1e-7), (8, 1e-9), (8, 1e-11), (10, 1e-13))
    return Specialist("Chebyshev collocation, DOP853 in time", ladder, solve, levels=100)
