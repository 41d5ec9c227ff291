"""Reference for problems/lorenz.yaml: the Lorenz system to t = 20 by Taylor series with 40 digits.

Two trajectories part by a factor of about 1e8 over this time, so that double precision would leave eight digits at
the end. The coefficients of the series follow from the equations by a recurrence (Jorba & Zou, Experimental
Mathematics 14 (2005) 99-117). The accuracy stated is what another order and step change, with a margin, and that of
the stored numbers.

`python scripts/references/lorenz_chaos.py` writes problems/references/lorenz_chaos.npz.
"""

from __future__ import annotations

import numpy as np
from mpmath import mp, mpf
from scatter import even_points, write_reference

START = (-8, 7, 27)
END, COUNT = 20.0, 2000
ACCURACY = 1e-12


def series(state: tuple, order: int) -> list[list]:
    """The Taylor coefficients of the three unknowns, by order."""
    sigma, rho, beta = mpf(10), mpf(28), mpf(8) / 3
    x, y, z = ([value] for value in state)
    for n in range(order):
        xz = mp.fsum(x[k] * z[n - k] for k in range(n + 1))
        xy = mp.fsum(x[k] * y[n - k] for k in range(n + 1))
        x.append(sigma * (y[n] - x[n]) / (n + 1))
        y.append((rho * x[n] - xz - y[n]) / (n + 1))
        z.append((xy - beta * z[n]) / (n + 1))
    return [x, y, z]


def trajectory(times: np.ndarray, order: int, steps: int) -> np.ndarray:
    """(3, N): the unknowns at increasing times."""
    state, found = tuple(map(mpf, START)), np.empty((3, len(times)))
    step = mpf(END) / steps
    for number in range(steps):
        coefficients = series(state, order)
        low = float(number * step)
        here = (times >= low) & (times < float((number + 1) * step)) if number < steps - 1 else times >= low
        for i in here.nonzero()[0]:
            since = mpf(float(times[i])) - number * step
            found[:, i] = [float(mp.polyval(c[::-1], since)) for c in coefficients]
        state = tuple(mp.polyval(c[::-1], step) for c in coefficients)
    return found


def main() -> None:
    mp.dps = 40
    t = np.sort(even_points(COUNT, [(0.0, END)])[:, 0])
    fine, coarse = trajectory(t, 40, 1000), trajectory(t, 32, 800)
    print(f"relative difference: {np.abs(fine - coarse).max() / np.abs(fine).max():.1e}")
    write_reference("lorenz_chaos.npz", ACCURACY, t=t, x=fine[0], y=fine[1], z=fine[2])


if __name__ == "__main__":
    main()
