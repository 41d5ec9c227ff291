"""Reference for problems/fisher-measured-growth.yaml: Chebyshev collocation in space, Radau's method in time.

The growth rate is the formula that the rows of problems/data/growth.csv come from; the file is written, too. The stated
accuracy comes from two degrees in space and two tolerances in time.

`python scripts/references/fisher.py` writes problems/references/fisher.npz and problems/data/growth.csv.
"""

from __future__ import annotations

import numpy as np
from polynomials import chebyshev_nodes, interpolation, second_derivative_without_flux
from scatter import PROBLEMS, even_points, relative_difference, write_reference
from scipy.integrate import solve_ivp

COUNT, TIMES, ROWS = 3000, 160, 40
LENGTH, UNTIL, DIFFUSIVITY = 4.0, 4.0, 0.1
ACCURACY = 1e-8


def growth(u: np.ndarray) -> np.ndarray:
    return u * (1 - u) * (1 + 0.3 * u)


def solve(points: np.ndarray, degree: int, tolerance: float) -> np.ndarray:
    """u at points (N, 2) of (level of time, x) -> (N,); level j is the time UNTIL*j/TIMES."""
    x = chebyshev_nodes(degree, 0.0, LENGTH)
    second, from_inner = second_derivative_without_flux(x)
    laplacian = DIFFUSIVITY * second
    result = solve_ivp(
        lambda t, v: laplacian @ v + growth(v),
        (0, UNTIL), np.exp(-4 * x[1:-1] ** 2) / 2, "Radau", np.linspace(0, UNTIL, TIMES + 1),
        rtol=tolerance, atol=tolerance, jac=lambda t, v: laplacian + np.diag(1 - 1.4 * v - 0.9 * v**2),
    )  # fmt: skip
    u = np.empty(len(points))
    for level in range(TIMES + 1):
        here = points[:, 0].astype(int) == level
        v = result.y[:, level]
        outer = from_inner @ v
        u[here] = interpolation(x, points[here, 1]) @ np.concatenate([outer[:1], v, outer[1:]])
    return u


def write_rows() -> None:
    """The table of the growth rate."""
    u = np.linspace(0.0, 1.1, ROWS)
    rows = np.stack([u, growth(u)], axis=1)
    np.savetxt(PROBLEMS / "data" / "growth.csv", rows, "%.12g", ",", header="density,rate", comments="")


def main() -> None:
    write_rows()
    points = even_points(COUNT, [(0, UNTIL), (0, LENGTH)])
    points[:, 0] = np.round(points[:, 0] * TIMES / UNTIL)
    values = solve(points, 80, 1e-11)
    difference = relative_difference(solve(points, 60, 1e-9), values)
    print(f"difference between two resolutions: {difference:.1e}")
    if difference > ACCURACY:
        raise SystemExit("the solution has not converged")
    write_reference("fisher.npz", ACCURACY, t=points[:, 0] * UNTIL / TIMES, x=points[:, 1], u=values)


if __name__ == "__main__":
    main()
