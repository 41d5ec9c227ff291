"""Triangle waves and their squares: POUnets on residual networks against residual networks, both adapted.

TRI(x) = 2 |f x - floor(f x + 1/2)| - 1 lies between -1 and 0. It has 2 f linear pieces on [0, 1]; its square, smooth
where TRI is zero, has f quadratic ones. So f = 2^(p-1) and f = 2^p make 2^p pieces of either.

Networks are 4 x 2^p wide and 8 deep, partitions 2^p, degree 1 or 2 (the talk, "Piecewise smooth functions"). Three
ways:

- `residual network`: its W functions adapted by LSGD;
- `two-phase LSGD`: the POUnet by Algorithm 2;
- `placed`: the POUnet with partitions placed by values, then Levenberg-Marquardt on the readout's offsets and sharpness
  (varpro), with points added where the error between the points is largest.

Errors are relative L2 norms over [0, 1] by Gauss quadrature graded towards the kinks, not at the points of the fit.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from common import SEEDS, figure, main, median_and_range, regression, save, solve, values, write_table
from torch import Tensor

from pinnsolve.bases import Basis, make_basis
from pinnsolve.solvers import LSGD, Outcome, VarPro
from pinnsolve.solvers.lsgd import Penalty
from pinnsolve.solvers.partition_placement import placed

PENALTY = Penalty(size=1e-3, factor=0.9, stagnation=20)
RATE = {1: 0.005, 2: 0.005, 3: 0.005, 4: 0.003, 5: 0.002}
MOVES = ("readout.offsets", "readout.sharpness")
BETWEEN = 0.2  # the rows of a round are solved to this share of the error that was found between them
ADDED = 1e-3  # share of the squared error that makes a candidate a new point
CANDIDATES = 20_000
WAYS = ("residual network", "two-phase LSGD", "placed")


def wave(x: Tensor, p: int, power: int) -> Tensor:
    """TRI^power of 2^p pieces at x (N, 1): (N,)."""
    y = power * 2 ** (p - 1) * x[:, 0]
    return (2 * (y - torch.floor(y + 0.5)).abs() - 1) ** power


class Target:
    """A wave with its points, and the quadrature by which errors are measured."""

    def __init__(self, p: int, power: int, points: int):
        self.p, self.power = p, power
        self.x = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
        kinks = np.arange(2**p + 1) / 2**p
        near = 2.0 ** -np.arange(8, 40)
        ends = np.concatenate([np.linspace(0, 1, 2049), *(kinks + side * d for d in near for side in (1, -1))])
        ends = np.unique(ends.clip(0, 1))
        nodes, factors = np.polynomial.legendre.leggauss(4)
        half, middle = 0.5 * np.diff(ends), 0.5 * (ends[1:] + ends[:-1])
        self.nodes = torch.from_numpy((middle[:, None] + half[:, None] * nodes).ravel())[:, None]
        self.factors = torch.from_numpy((half[:, None] * factors).ravel())

    def __call__(self, x: Tensor) -> Tensor:
        return wave(x, self.p, self.power)

    def fit(self, x: Tensor | None = None):
        x = self.x if x is None else x
        return regression(x, self(x), [0.0], [1.0])

    def basis(self, kind: str, seed: int) -> Basis:
        settings = {"kind": kind, "width": 4 * 2**self.p, "depth": 8, "activation": "relu"}
        if kind == "pou_resnet":
            settings |= {"partitions": 2**self.p, "degree": self.power}
        return make_basis(settings, [0.0], [1.0], seed)

    def error(self, found: Outcome) -> float:
        exact = self(self.nodes)
        off = values(found.best.basis, found.best.state, self.nodes) - exact
        return float(((self.factors * off**2).sum() / (self.factors * exact**2).sum()).sqrt())


def two_phases(target: Target, seed: int, steps: int) -> tuple[Outcome, Outcome]:
    """Algorithm 2: what each phase ends with."""
    rate, fit = RATE[target.p], target.fit()
    first = solve(LSGD(steps=steps, learning_rate=rate, penalty=PENALTY), fit, target.basis("pou_resnet", seed))
    return first, solve(LSGD(steps=steps, learning_rate=rate), fit, first.best.basis, first.best.state)


def placed_and_sharpened(target: Target, seed: int, steps: int, rounds: int) -> tuple[Outcome, Outcome]:
    """The POUnet after placement, and the best of the rounds by the error between the points of each."""
    start = target.basis("pou_resnet", seed)
    start = placed(start, target.x, target(target.x), steps, RATE[target.p])
    found = first = solve(LSGD(steps=0), target.fit(), start)
    generator = torch.Generator().manual_seed(seed)
    x, best, least = target.x, first, float("inf")
    for _ in range(rounds + 1):
        candidates, shares = squares_between(target, x, found, generator)
        between = float(shares.sum().sqrt())
        if between < least:
            best, least = found, between
        x = torch.cat([x, candidates[shares > ADDED * shares.sum()]]).sort(dim=0).values
        enough = max((BETWEEN * between) ** 2, 1e-28)
        solver = VarPro(steps=20, moves=MOVES, enough=enough)
        found = solve(solver, target.fit(x), found.best.basis, found.best.state)
    return first, best


def squares_between(target: Target, x: Tensor, found: Outcome, generator) -> tuple[Tensor, Tensor]:
    """Midpoints of the points and random candidates (M, 1), and what each stands for of the squared error (M,)."""
    middle, random = 0.5 * (x[1:] + x[:-1]), torch.rand(CANDIDATES, 1, generator=generator, dtype=torch.float64)
    lengths = torch.cat([x[1:, 0] - x[:-1, 0], torch.full((CANDIDATES,), 1 / CANDIDATES, dtype=torch.float64)])
    candidates = torch.cat([middle, random])
    off = values(found.best.basis, found.best.state, candidates) - target(candidates)
    shares = lengths * off**2
    largest = shares.topk(min(200, len(shares))).indices  # few at a time: the next round sees what is left
    return candidates[largest], shares[largest]


def solve_all(target: Target, seed: int, steps: int, rounds: int) -> dict[str, tuple[Outcome, Outcome, float]]:
    """Per way: after the first phase (itself where there is none), at the end, seconds."""
    ways = {
        "residual network": lambda: (
            (solve(LSGD(steps=2 * steps, learning_rate=RATE[target.p]), target.fit(), target.basis("resnet", seed)),)
            * 2
        ),
        "two-phase LSGD": lambda: two_phases(target, seed, steps),
        "placed": lambda: placed_and_sharpened(target, seed, 2 * steps, rounds),
    }
    results = {}
    for way, run in ways.items():
        start = time.perf_counter()
        results[way] = (*run(), time.perf_counter() - start)
    return results


def compute(quick: bool, folder: Path, powers: tuple[int, ...] = (1, 2)) -> list[dict]:
    rows = []
    for power in powers:
        shown = {}
        for p in (2,) if quick else (1, 2, 3, 4, 5):
            target = Target(p, power, 129 if quick else 513 if p < 4 else 1025)
            steps = 100 if quick else 500 if p < 4 else 300
            for seed in range(1 if quick or p > 3 else SEEDS):
                results = solve_all(target, seed, steps, 4 if quick else 20)
                rows += [row_of(target, seed, way, result) for way, result in results.items()]
                shown.setdefault(p, (target, results))
                print(*(f"{row['way']} {row['error']:.1e} in {row['seconds']:.0f} s;" for row in rows[-3:]), flush=True)
            write_table(folder / "waves.csv", rows)
            name = kind_of(power)
            draw_waves(shown, folder / f"waves-{name}.png")
            draw_partitions(shown, folder / f"waves-{name}-partitions.png")
    return summary(rows)


def kind_of(power: int) -> str:
    return "triangle" if power == 1 else "quadratic"


def row_of(target: Target, seed: int, way: str, result: tuple[Outcome, Outcome, float]) -> dict:
    first, last, seconds = result
    return {
        "wave": kind_of(target.power), "p": target.p, "way": way, "seed": seed,
        "error_after_phase_1": target.error(first), "error": target.error(last),
        "rms_on_points": last.best.loss**0.5, "seconds": seconds,
    }  # fmt: skip


def summary(rows: list[dict]) -> list[dict]:
    """Median and range over seeds, and the residual network's median over the POUnet's."""
    result = []
    for wave_name, p in dict.fromkeys((row["wave"], row["p"]) for row in rows):
        errors = {w: [r["error"] for r in rows if (r["wave"], r["p"], r["way"]) == (wave_name, p, w)] for w in WAYS}
        ratio = float(np.median(errors["residual network"]) / np.median(errors["placed"]))
        texts = {way: median_and_range(found) for way, found in errors.items()}
        result.append({"wave": wave_name, "p": p, **texts, "ratio": ratio})
    return result


def draw_waves(shown: dict, path: Path) -> None:
    """The wave of most pieces, whole and on [0.5, 0.625], and the errors of the three ways."""
    drawn, axes = figure(1, 3)
    target, results = shown[max(shown)]
    whole, zoom = (torch.linspace(a, b, 1500, dtype=torch.float64)[:, None] for a, b in ((0, 1), (0.5, 0.625)))
    for axis, x in zip(axes[0], (whole, zoom), strict=False):
        axis.plot(x[:, 0], target(x), color="black", linewidth=2, label="wave")
        for way, color in zip(("residual network", "placed"), ("tab:green", "tab:orange"), strict=True):
            best = results[way][1].best
            name = "POUnet, placed" if way == "placed" else way
            axis.plot(x[:, 0], values(best.basis, best.state, x), color=color, linewidth=1, label=name)
        axis.set_title(f"{kind_of(target.power)} wave, p = {target.p}", fontsize=9)
    for way, color in zip(WAYS, ("tab:green", "tab:blue", "tab:orange"), strict=True):
        best = results[way][1].best
        off = (values(best.basis, best.state, whole) - target(whole)).abs().clamp_min(1e-17)
        axes[0, 2].semilogy(whole[:, 0], off, color=color, linewidth=0.6, label=way)
    axes[0, 2].set_title("size of the error", fontsize=9)
    axes[0, 1].legend(fontsize=7)
    axes[0, 2].legend(fontsize=7)
    save(drawn, path)


def draw_partitions(shown: dict, path: Path) -> None:
    """Partitions of two and of eight pieces: after each phase of Algorithm 2, after placement and at the end."""
    drawn, axes = figure(2, 4, 3.2, 1.9)
    x = torch.linspace(0, 1, 1200, dtype=torch.float64)[:, None]
    for row, p in enumerate((min(shown), min(3, max(shown)))):
        target, results = shown[p]
        stages = [*results["two-phase LSGD"][:2], *results["placed"][:2]]
        names = ("phase 1", "phase 2", "placed", "placed, at the end")
        for column, (stage, name) in enumerate(zip(stages, names, strict=True)):
            axes[row, column].plot(x[:, 0], stage.best.basis.partition(x), linewidth=1)
            axes[row, column].set_title(f"p = {p}: {name}, error {target.error(stage):.0e}", fontsize=8)
    save(drawn, path)


if __name__ == "__main__":
    main(__doc__, compute)
