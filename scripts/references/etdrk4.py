"""Exponential time differencing of fourth order for u' = L u + N(u) with a diagonal L: Cox and Matthews' scheme.

The coefficients are means over a circle in the complex plane, which avoids cancellation. Sources: Cox, Matthews,
J. Comput. Phys. 176 (2002) 430-455; Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214-1233.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CIRCLE_POINTS = 32


def march(
    start: np.ndarray, linear: np.ndarray, nonlinear: Callable[[np.ndarray], np.ndarray], step: float, steps: int
) -> Iterator[np.ndarray]:
    """Yield the coefficients at times 0, step, ..., steps*step.

    `start` and `linear` are (modes,), `linear` real; `nonlinear` maps coefficients to coefficients.
    """
    half, full, q, f1, f2, f3 = _coefficients(linear, step)
    v = start
    yield v
    for _ in range(steps):
        n_v = nonlinear(v)
        a = half * v + q * n_v
        n_a = nonlinear(a)
        b = half * v + q * n_a
        n_b = nonlinear(b)
        c = half * a + q * (2 * n_b - n_v)
        n_c = nonlinear(c)
        v = full * v + f1 * n_v + 2 * f2 * (n_a + n_b) + f3 * n_c
        yield v


def _coefficients(linear: np.ndarray, step: float) -> tuple[np.ndarray, ...]:
    """The factors of the scheme, each (modes,): Kassam and Trefethen, equation (2.5)."""
    angles = np.pi * (np.arange(1, CIRCLE_POINTS + 1) - 0.5) / CIRCLE_POINTS
    z = step * linear[:, None] + np.exp(1j * angles)
    e = np.exp(z)

    def mean(values: np.ndarray) -> np.ndarray:
        return step * values.mean(axis=1).real

    q = mean((np.exp(z / 2) - 1) / z)
    f1 = mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3)
    f2 = mean((2 + z + e * (z - 2)) / z**3)
    f3 = mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3)
    return np.exp(step * linear / 2), np.exp(step * linear), q, f1, f2, f3
