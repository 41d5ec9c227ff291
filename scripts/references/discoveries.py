"""Readings from which terms of equations, and functions in them, are to be found; each draw of the noise has its seed.

The solutions are by methods unlike ours: an adaptive integrator for ordinary differential equations, Cole-Hopf by
quadrature for Burgers, Chebyshev collocation with Radau's method for reaction and diffusion.

`python scripts/references/discoveries.py` writes the draws with seed 0 to problems/data/*.csv, and the solutions
without noise to problems/references/*.npz.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from burgers import cole_hopf
from polynomials import chebyshev_nodes, interpolation, second_derivative_without_flux
from scatter import PROBLEMS, write_reference
from scipy.integrate import solve_ivp

Columns = dict[str, np.ndarray]
Rate = Callable[[np.ndarray], np.ndarray]
NU = 0.1  # of Burgers' equation
DIFFUSIVITY, DEGREE = 0.01, 60  # of the reaction, and of the polynomials in space


def lotka_volterra(seed: int, count: int = 31, noise: float = 0.005) -> Columns:
    """x' = x - x y, y' = -y + x y from (1.5, 1), to time 10."""
    t = np.linspace(0, 10, count)
    solved = solve_ivp(
        lambda t, z: [z[0] - z[0] * z[1], -z[1] + z[0] * z[1]], (0, 10), [1.5, 1.0], "DOP853", t, rtol=1e-12, atol=1e-12
    )
    x, y = solved.y + noise * np.random.default_rng(seed).standard_normal((2, count))
    return {"t": t, "prey_counted": x, "predators_counted": y}


def burgers(seed: int, count: int = 200, noise: float = 0.01) -> Columns:
    """Scattered values of Burgers' equation; the noise is relative to their root mean square."""
    random = np.random.default_rng(seed)
    t, x = random.random(count), 2 * random.random(count) - 1
    u = cole_hopf(t, x, nu=NU)
    return {"t": t, "x": x, "measured": u + noise * np.sqrt((u**2).mean()) * random.standard_normal(count)}


def logistic(u: np.ndarray) -> np.ndarray:
    """The rate of the reaction."""
    return u * (1 - u)


def reaction(seed: int, count: int = 200, noise: float = 0.01, rate: Rate = logistic, until: float = 5.0) -> Columns:
    """Scattered values of u_t = 0.01 u_xx + f(u) on (0, 1) without flux at the ends, from a bump; relative noise."""
    random = np.random.default_rng(seed)
    t, x = until * random.random(count), random.random(count)
    nodes = chebyshev_nodes(DEGREE, 0.0, 1.0)
    second, from_inner = second_derivative_without_flux(nodes)
    laplacian = DIFFUSIVITY * second
    solved = solve_ivp(
        lambda _, v: laplacian @ v + rate(v), (0, until), start(nodes[1:-1]), "Radau", np.sort(t),
        rtol=1e-9, atol=1e-10,
    )  # fmt: skip
    u = np.empty(count)
    for number, column in zip(np.argsort(t), solved.y.T, strict=True):
        whole = np.concatenate([[from_inner[0] @ column], column, [from_inner[1] @ column]])
        u[number] = (interpolation(nodes, x[number : number + 1]) @ whole)[0]
    return {"t": t, "x": x, "measured": u + noise * np.sqrt((u**2).mean()) * random.standard_normal(count)}


def start(x: np.ndarray) -> np.ndarray:
    """Where the reaction begins: 0.05 to 0.45, flat at the ends."""
    return 0.05 + 0.4 * np.sin(np.pi * x) ** 4


def forchheimer(x: np.ndarray, source: float) -> np.ndarray:
    """(N,) p with -v' = -source and |p'| = v + v^2 of the flux v, zero at both ends of (0, 1)."""
    most, v = source / 2, source * np.abs(0.5 - x)
    return (most**2 / 2 + most**3 / 3 - v**2 / 2 - v**3 / 3) / source


def flux_law(noise: float = 0.01, count: int = 60) -> dict[int, Columns]:
    """By source, readings of a pressure with relative noise."""
    random, x, found = np.random.default_rng(0), (np.arange(count) + 0.5) / count, {}
    for source in SOURCES:
        p = forchheimer(x, source)
        found[source] = {"x": x, "measured": p + noise * np.sqrt((p**2).mean()) * random.standard_normal(count)}
    return found


def write(path: Path, columns: Columns) -> None:
    """A CSV file with seven digits."""
    rows = [",".join(f"{v:.7g}" for v in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8", newline="\n")


FILES = {"lotka_volterra.csv": lotka_volterra, "burgers_200_noisy.csv": burgers, "reaction.csv": reaction}
ACCURACIES = {"lotka_volterra": 1e-10, "burgers_200_noisy": 1e-9, "reaction": 1e-7}  # of integrators and quadrature
UNKNOWNS = {"measured": "u", "prey_counted": "x", "predators_counted": "y"}
EXACT_POINTS, EXACT_SEED = 3000, 1
SOURCES = {1: "weak", 2: "moderate", 4: "strong"}  # of the three experiments with one flux law


def write_data() -> None:
    """The draws with seed 0."""
    for name, made in FILES.items():
        write(PROBLEMS / "data" / name, made(0))
        print(name)
    for source, columns in flux_law().items():
        write(PROBLEMS / "data" / f"flux_law_{source}.csv", columns)


def write_solutions() -> None:
    """The same functions without noise, at other points."""
    for name, made in FILES.items():
        columns = made(EXACT_SEED, EXACT_POINTS, 0.0)
        stem = Path(name).stem
        write_reference(
            f"discover_{stem}.npz", ACCURACIES[stem], **{UNKNOWNS.get(key, key): v for key, v in columns.items()}
        )
    x = (np.arange(EXACT_POINTS) + 0.5) / EXACT_POINTS
    write_reference("flux_law.npz", 1e-14, x=x, **{name: forchheimer(x, f) for f, name in SOURCES.items()})


if __name__ == "__main__":
    write_data()
    write_solutions()
