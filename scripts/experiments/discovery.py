"""Terms of equations, and functions in them, found from data: over draws of the noise, how often and how well.

Each draw solves one of problems/discover-lotka-volterra.yaml, discover-burgers.yaml and find-the-reaction.yaml with
readings of its own (scripts/references/discoveries.py), from seed 0 on, none left out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import ROOT, figure, main, save, write_table

import pinnsolve as ps
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import spec_from_dict

sys.path.insert(0, str(ROOT / "scripts" / "references"))
import discoveries

TERMS = {
    "discover-lotka-volterra": {"prey": {"x": 1.0, "x*y": -1.0}, "predators": {"y": -1.0, "x*y": 1.0}},
    "discover-burgers": {"momentum": {"u*D(u, x)": -1.0, "D(u, x, x)": discoveries.NU}},
}
READINGS = {
    "discover-lotka-volterra": ("lotka_volterra.csv", discoveries.lotka_volterra),
    "discover-burgers": ("burgers_200_noisy.csv", discoveries.burgers),
    "find-the-reaction": ("reaction.csv", discoveries.reaction),
}


def solved(name: str, readings: Callable[[int], dict[str, np.ndarray]], seed: int) -> tuple[ps.Solution, float]:
    """The solution of a problem with the readings of a seed, and the seconds that it took."""
    stated = dict(parse_yaml((ROOT / "problems" / f"{name}.yaml").read_text()).data)
    del stated["reference"]  # what is looked at is what was found
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").mkdir()
        discoveries.write(Path(folder) / "data" / READINGS[name][0], readings(seed))
        problem = build_problem(spec_from_dict(stated, folder))
        start = time.perf_counter()
        return ps.solve(problem), time.perf_counter() - start


def terms(name: str, draws: int) -> dict:
    """How often a discovery finds the right terms, and how far its constants are off."""
    right, errors, scores, seconds = 0, [], [], []
    for seed in range(draws):
        solution, took = solved(name, READINGS[name][1], seed)
        found = solution.result["discovered"]
        seconds.append(took)
        if not all(found[equation].keys() == true.keys() for equation, true in TERMS[name].items()):
            continue
        right += 1
        pairs = [(found[e][t], value) for e, true in TERMS[name].items() for t, value in true.items()]
        errors.append([abs(one["value"] / value - 1) for one, value in pairs])
        scores += [abs(one["value"] - value) / one["standard_error"] for one, value in pairs]
    return {
        "problem": name, "draws": draws, "right": right, "median error": float(np.median(errors)),
        "largest error": float(np.max(errors)), "within two standard errors": float((np.array(scores) < 2).mean()),
        "seconds": float(np.median(seconds)),
    }  # fmt: skip


def michaelis(u: np.ndarray) -> np.ndarray:
    """A rate that saturates."""
    return 0.8 * u / (0.2 + u) * (1 - u)


def allee(u: np.ndarray) -> np.ndarray:
    """A rate of both signs."""
    return 4 * u * (1 - u) * (u - 0.3)


def functions(rate: Callable[[np.ndarray], np.ndarray], draws: int, axes) -> dict:
    """How far a rate is off, relative to it, and where it lies within twice its deviation; drawn is the first draw."""
    errors, covered, seconds = [], [], []
    for seed in range(draws):
        solution, took = solved("find-the-reaction", lambda s: discoveries.reaction(s, rate=rate), seed)
        f = solution.functions["f"]
        u = f.at["u"]
        off = f.values - rate(u)
        if not seed:
            axes.fill_between(u, off - 2 * f.deviations, off + 2 * f.deviations, alpha=0.3, linewidth=0)
            axes.plot(u, off)
            axes.axhline(0, color="black", linewidth=0.5)
            axes.set(title=rate.__name__, xlabel="u", ylabel="found - true, twice the deviation")
        errors.append(float(np.sqrt((off**2).mean() / (rate(u) ** 2).mean())))
        covered.append(float((np.abs(off) <= 2 * f.deviations).mean()))
        seconds.append(took)
    return {
        "problem": f"find-the-reaction, {rate.__name__}", "draws": draws,
        "right": sum(error <= 0.01 for error in errors), "median error": float(np.median(errors)),
        "largest error": float(np.max(errors)), "within two standard errors": float(np.mean(covered)),
        "seconds": float(np.median(seconds)),
    }  # fmt: skip


def compute(quick: bool, folder: Path) -> list[dict]:
    """All rows; of functions, `right` counts those that are off by 1 % at most."""
    rates = (discoveries.logistic,) if quick else (discoveries.logistic, michaelis, allee)
    drawn, ((*panels,),) = figure(1, len(rates))
    rows = [
        terms("discover-lotka-volterra", 2 if quick else 20),
        terms("discover-burgers", 1 if quick else 10),
        *(functions(rate, 1 if quick else 10, axes) for rate, axes in zip(rates, panels, strict=True)),
    ]
    save(drawn, folder / "discovery.png")
    write_table(folder / "discovery.csv", rows)
    return rows


if __name__ == "__main__":
    main(__doc__, compute)
