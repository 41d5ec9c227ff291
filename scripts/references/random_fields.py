"""The random fields of the PINNacle collection, made anew: tables of the same kinds from stated seeds.

The collection draws a conductivity, a wave speed and the materials of many subdomains at random and hands them out as
files. Ours are drawn here, so that anybody can make them again: Gaussian fields whose amplitudes fall with the square
of the wave number, as theirs do, and numbers for each subdomain from the ranges that the collection states.

`python scripts/references/random_fields.py` writes problems/data/random_conductivity.csv, random_speed.csv and
subdomains.csv, the same bytes each time. The seeds are 0, 1 and 2, for no reason but their order.
"""

from __future__ import annotations

import numpy as np
from scatter import PROBLEMS, write_table

NODES = 33  # along each side of the tables of fields
MODES = 8  # the largest wave number along each coordinate, in full waves over the square
SPEEDS = (1.0, 12.0)  # the square of the speed where the field is negative, and positive
BLOCKS = np.array([-8.0, -4.0, 0.0, 4.0, 8.0])  # middles of the subdomains along each coordinate, 4 wide


def gaussian_field(seed: int) -> np.ndarray:
    """(NODES, NODES): mean zero, mean square one, at even places from side to side of a square, with its period."""
    random = np.random.default_rng(seed)
    z = 2 * np.pi * np.arange(NODES) / (NODES - 1)
    field = np.zeros((NODES, NODES))
    for k in range(-MODES, MODES + 1):
        for l in range(-MODES, MODES + 1):
            sine, cosine = random.standard_normal(2)
            if k or l:
                phase = k * z[:, None] + l * z
                field += (sine * np.sin(phase) + cosine * np.cos(phase)) / (k**2 + l**2)
    field -= field[:-1, :-1].mean()
    return field / np.sqrt(np.mean(field[:-1, :-1] ** 2))


def conductivity() -> np.ndarray:
    """(NODES, NODES): log-normal, positive."""
    return np.exp(gaussian_field(0))


def squared_speed() -> np.ndarray:
    """(NODES, NODES): one of two values."""
    return np.where(gaussian_field(1) > 0, SPEEDS[1], SPEEDS[0])


def subdomains() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conductivity, even source and height of a bump, each (5, 5): over five decades, and normal numbers."""
    random = np.random.default_rng(2)
    shape = (len(BLOCKS), len(BLOCKS))
    return 10.0 ** random.uniform(-2.0, 3.0, shape), random.standard_normal(shape), random.standard_normal(shape)


def write_fields() -> None:
    """Write the three tables, a row for each place."""
    for name, low, high, column, field in (
        ("random_conductivity.csv", 0.0, 1.0, "k", conductivity()),
        ("random_speed.csv", -1.0, 1.0, "c", squared_speed()),
    ):
        z = np.linspace(low, high, NODES)
        x, y = np.meshgrid(z, z, indexing="ij")
        write_table(PROBLEMS / "data" / name, 9, x=x.ravel(), y=y.ravel(), **{column: field.ravel()})
    x, y = np.meshgrid(BLOCKS, BLOCKS, indexing="ij")
    a, even, bump = subdomains()
    columns = {"a": a, "even": even, "bump": bump}
    rows = {name: values.ravel() for name, values in columns.items()}
    write_table(PROBLEMS / "data" / "subdomains.csv", 9, x=x.ravel(), y=y.ravel(), **rows)


if __name__ == "__main__":
    write_fields()
