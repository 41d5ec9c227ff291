"""The data files of problems/: readings made from exact or classical solutions, with noise where the problem states it.

`python scripts/references/measurements.py` writes problems/data/*.csv, the same bytes each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from burgers import cole_hopf
from lorenz import trajectory
from scatter import PROBLEMS, even_points, write_table


def franke(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Franke's function, Mathematics of Computation 38 (1982) 181-200."""
    return (
        0.75 * np.exp(-((9 * x - 2) ** 2 + (9 * y - 2) ** 2) / 4)
        + 0.75 * np.exp(-((9 * x + 1) ** 2) / 49 - (9 * y + 1) / 10)
        + 0.5 * np.exp(-((9 * x - 7) ** 2 + (9 * y - 3) ** 2) / 4)
        - 0.2 * np.exp(-((9 * x - 4) ** 2) - (9 * y - 7) ** 2)
    )


def write(file_name: str, digits: int, **columns: np.ndarray) -> None:
    write_table(PROBLEMS / "data" / file_name, digits, **columns)


def main() -> None:
    x, y = even_points(1000, [(0, 1), (0, 1)]).T.round(6)
    write("franke.csv", 12, x=x, y=y, height=franke(x, y))

    random = np.random.default_rng(1)
    t = np.linspace(0, 10, 60).round(4)
    position = np.exp(-0.1 * t) * np.cos(np.sqrt(4 - 0.01) * t)
    write("oscillator.csv", 6, t=t, position=position + 0.05 * random.standard_normal(60))

    random = np.random.default_rng(2)
    t, x = even_points(200, [(0, 1), (0, 1)]).T.round(4)
    temperature = np.exp(-0.3 * np.pi**2 * t) * np.sin(np.pi * x)
    write("heat_probes.csv", 6, t=t, x=x, measured=temperature + 0.01 * random.standard_normal(200))

    t, x = np.tile(np.linspace(0.025, 1, 40), 5), np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 40)
    temperature = np.exp(-0.3 * np.pi**2 * t) * np.sin(np.pi * x)
    write(
        "heat_five_probes.csv", 6, t=t, x=x, measured=temperature + 0.01 * np.random.default_rng(0).standard_normal(200)
    )
    burgers()
    times = np.linspace(0, 3, 100)
    write("lorenz.csv", 14, t=times, **dict(zip(("x_m", "y_m", "z_m"), trajectory(times), strict=True)))
    conductivities()
    with np.load(Path(__file__).resolve().parents[2] / "problems" / "references" / "cavity.npz") as file:
        chosen = np.random.default_rng(0).permutation(len(file["x"]))[:500]
        write("cavity_velocities.csv", 10, x=file["x"][chosen], y=file["y"][chosen],
              u_m=file["u"][chosen], v_m=file["v"][chosen])  # fmt: skip
    thermometers()
    inclusion()


def burgers() -> None:
    """Scattered values of the solution of problems/burgers.yaml, as they are and with noise of 1 % of their spread."""
    for count in (500, 2000):
        random = np.random.default_rng(0)
        t, x = random.random(count).round(6), (2 * random.random(count) - 1).round(6)
        u = cole_hopf(t, x)
        write(f"burgers_{count}.csv", 14, t=t, x=x, measured=u)
        write(f"burgers_{count}_noisy.csv", 6, t=t, x=x, measured=u + 0.0062 * random.standard_normal(count))


def conductivities() -> None:
    """2500 readings of u with noise 0.1: of -div(a grad u) = f on a grid, and of u_t = div(a grad u) + f scattered."""
    random = np.random.default_rng(0)
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, 1, 50), np.linspace(0, 1, 50)))
    u = np.sin(np.pi * x) * np.sin(np.pi * y)
    write("conductivity.csv", 6, x=x, y=y, measured=u + 0.1 * random.standard_normal(2500))
    random = np.random.default_rng(0)
    x, y, t = (
        (2 * random.random(2500) - 1).round(6),
        (2 * random.random(2500) - 1).round(6),
        random.random(2500).round(6),
    )
    u = np.exp(-t) * np.sin(np.pi * x) * np.sin(np.pi * y)
    write("conductivity_in_time.csv", 6, t=t, x=x, y=y, measured=u + 0.1 * random.standard_normal(2500))


def thermometers() -> None:
    """Two thermometers in a wall whose surface is heated and cooled periodically; see problems/wall-heat-flux.yaml."""
    t, depth = np.tile(np.linspace(0, 2, 100).round(4), 2), np.repeat([0.2, 0.5], 100)
    kappa, omega = np.sqrt(np.pi), 2 * np.pi
    z = kappa * (1 - depth)
    u = np.cos(omega * t) * np.cosh(z) * np.cos(z) - np.sin(omega * t) * np.sinh(z) * np.sin(z)
    write("thermometers.csv", 6, t=t, x=depth, measured=u + 0.02 * np.random.default_rng(0).standard_normal(200))


def inclusion() -> None:
    """u' = 1/k with k = 1, and 3 between 0.4 and 0.6; noise of 0.5 % of the largest value."""
    random = np.random.default_rng(0)
    x = np.sort(random.random(200)).round(4)
    u = np.interp(x, [0, 0.4, 0.6, 1], np.cumsum([0, 0.4, 0.2 / 3, 0.4]))
    write("inclusion.csv", 6, x=x, measured=u + 0.0043 * random.standard_normal(200))


if __name__ == "__main__":
    main()
