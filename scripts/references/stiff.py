"""References for problems/robertson.yaml and problems/van-der-pol.yaml: stiff equations by implicit Runge-Kutta.

Radau IIA of order 5 with the Jacobian matrix given; the accuracy stated is what a tolerance ten times as large changes,
with a margin. Sources: Robertson in Walsh (ed.), Numerical Analysis: An Introduction, Academic Press 1966, 178-182; van
der Pol, Philos. Mag. 2 (1926) 978-992; Hairer & Wanner, Solving Ordinary Differential Equations II, sections IV.1 and
IV.8.

`python scripts/references/stiff.py` writes problems/references/robertson.npz and van_der_pol.npz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scatter import even_points, write_reference
from scipy.integrate import solve_ivp

MU = 1000.0
RATES = (0.04, 1e4, 3e7)
ENDS = {"robertson": 1e5, "van_der_pol": 2000.0}
COUNT = 2000
ACCURACY = {"robertson": 1e-10, "van_der_pol": 1e-9}
TOLERANCE = 1e-12


def robertson(times: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """(3, N): the three shares at increasing times from 0."""
    slow, back, fast = RATES

    def velocity(_, state):
        a, b, c = state
        first, second, third = slow * a, back * b * c, fast * b**2
        return second - first, first - second - third, third

    def jacobian(_, state):
        _, b, c = state
        return [[-slow, back * c, back * b], [slow, -back * c - 2 * fast * b, -back * b], [0, 2 * fast * b, 0]]

    return _radau(velocity, jacobian, (1.0, 0.0, 0.0), times, tolerance, 1e-6)


def van_der_pol(times: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """(2, N): the oscillator and its velocity at increasing times from 0."""

    def velocity(_, state):
        y, v = state
        return v, MU * (1 - y**2) * v - y

    def jacobian(_, state):
        y, v = state
        return [[0, 1], [-2 * MU * y * v - 1, MU * (1 - y**2)]]

    return _radau(velocity, jacobian, (2.0, 0.0), times, tolerance, 1e-2)


def _radau(
    velocity: Callable, jacobian: Callable, start: Sequence[float], times: np.ndarray, tolerance: float, small: float
) -> np.ndarray:
    """States (n, N); `small`: how small a state may be that still counts relative to itself."""
    span = (0, float(times.max()))
    return solve_ivp(velocity, span, start, "Radau", times, jac=jacobian, rtol=tolerance, atol=small * tolerance).y


def main() -> None:
    for name, solve in (("robertson", robertson), ("van_der_pol", van_der_pol)):
        t = np.sort(even_points(COUNT, [(0.0, ENDS[name])])[:, 0])
        fine, coarse = solve(t), solve(t, 10 * TOLERANCE)
        differences = np.linalg.norm(fine - coarse, axis=1) / np.linalg.norm(fine, axis=1)
        print(f"{name}: relative differences {differences}")
        columns = dict(zip("abc", fine, strict=True)) if name == "robertson" else {"y": fine[0]}
        write_reference(f"{name}.npz", ACCURACY[name], t=t, **columns)


if __name__ == "__main__":
    main()
