"""Reference for problems/find-lorenz.yaml: the Lorenz system by an explicit Runge-Kutta method of order 8.

The accuracy stated is what halving the tolerance from 1e-12 to 1e-13 changes, with a margin. Source: Lorenz, J. Atmos.
Sci. 20 (1963) 130-141; Dormand & Prince's method as in Hairer, Norsett & Wanner, Solving Ordinary Differential
Equations I.

`python scripts/references/lorenz.py` writes problems/references/lorenz.npz.
"""

from __future__ import annotations

import numpy as np
from scatter import even_points, write_reference
from scipy.integrate import solve_ivp

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
START = (-8.0, 7.0, 27.0)
COUNT = 2000
ACCURACY = 1e-10


def trajectory(times: np.ndarray, tolerance: float = 1e-13) -> np.ndarray:
    """(3, N): the three states at increasing times from 0."""

    def velocity(_, state):
        x, y, z = state
        return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z

    end = float(times.max())
    return solve_ivp(velocity, (0, end), START, "DOP853", times, rtol=tolerance, atol=tolerance).y


def main() -> None:
    t = np.sort(even_points(COUNT, [(0.0, 3.0)])[:, 0])
    fine, coarse = trajectory(t), trajectory(t, 1e-12)
    print(f"relative difference: {np.abs(fine - coarse).max() / np.abs(fine).max():.1e}")
    write_reference("lorenz.npz", ACCURACY, t=t, x=fine[0], y=fine[1], z=fine[2])


if __name__ == "__main__":
    main()
