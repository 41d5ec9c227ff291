"""The data files of `tests/corpus`, and the values in its `expectations.yaml` that no closed form gives.

    python scripts/references/corpus.py

Input: nothing. Output: the CSV files, and the values on standard output. Noise is normal, from fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.integrate import quad, solve_ivp

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "corpus"
Array = np.ndarray


def line(x: Array) -> Array:
    return 1 + x / 2 + np.sin(2 * x) / 2


def decay(t: Array) -> Array:
    return 2 * np.exp(-0.8 * t)


def late(x: Array, t: float = 0.1) -> Array:
    slow, fast = np.exp(-(np.pi**2) / 4 * t), np.exp(-4 * np.pi**2 * t)
    return slow * np.sin(np.pi * x / 2) + 0.7 * fast * np.sin(2 * np.pi * x)


def stiffness(x: Array) -> Array:
    return 3 - 2 * np.tanh((x - 0.6) / 0.04)


def bar(x: Array) -> Array:
    """-(k u')' = 1, u(0) = u(1) = 0: u' = (c - x)/k."""

    def integral(f: Callable, end: float) -> float:
        return quad(f, 0, end, points=[p for p in (0.5, 0.6, 0.7) if p < end] or None, epsabs=1e-13, epsrel=1e-13)[0]

    c = integral(lambda s: s / stiffness(s), 1) / integral(lambda s: 1 / stiffness(s), 1)
    return np.array([integral(lambda s: (c - s) / stiffness(s), end) for end in x])


def write(name: str, header: str, *columns: Array) -> None:
    np.savetxt(CORPUS / f"{name}.csv", np.column_stack(columns), "%.10g", ",", header=header, comments="")


def write_data() -> None:
    noise = np.random.default_rng(20).standard_normal
    x = np.linspace(0, 2, 40)
    write("line", "x,value", x, line(x) + 0.05 * noise(40))
    t = np.linspace(0.1, 3, 30)
    write("decay", "t,value", t, decay(t) + 0.02 * noise(30))
    x = np.linspace(0.04, 1.96, 60)
    write("late", "t,x,value", np.full(60, 0.1), x, late(x) + 0.001 * noise(60))
    x = np.linspace(0.01, 0.99, 100)
    write("bar", "x,value", x, bar(x) + 1e-4 * noise(100))


def heater(x: float, y: float, count: int = 4000) -> float:
    """The temperature of `where-small-heater` by its Fourier series."""
    length, height, flux, low, high = 0.4, 0.1, 1000, 0.213, 0.217
    n = np.arange(1, count + 1)
    k = n * np.pi / length
    amplitude = 2 * flux / (n * np.pi) * (np.cos(k * low) - np.cos(k * high))
    fall = np.exp(-k * y) * (1 - np.exp(-2 * k * (height - y))) / (1 + np.exp(-2 * k * height))
    return 20 + float(np.sum(amplitude * np.sin(k * x) * fall / k))


def curvature_at_the_plate() -> float:
    """f''(0) of Blasius' equation: that of f''(0) = 1, scaled (Toepfer 1912)."""
    end = solve_ivp(lambda s, f: (f[1], f[2], -f[0] * f[2] / 2), (0, 12), (0, 0, 1), "DOP853", rtol=1e-13, atol=1e-13)
    return float(end.y[1, -1] ** -1.5)


def pendulum(t: float) -> float:
    end = solve_ivp(lambda s, q: (q[1], -np.sin(q[0])), (0, t), (2.5, 0), "DOP853", rtol=1e-13, atol=1e-13)
    return float(end.y[0, -1])


if __name__ == "__main__":
    write_data()
    print("heater", heater(0.2, 0.05), heater(0.215, 0.02))
    print("blasius", curvature_at_the_plate())
    print("pendulum", pendulum(7.0), pendulum(10.0))
