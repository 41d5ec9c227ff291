"""The corpus: every file loads, and every truth in it is one, by sympy and numpy alone.

Residuals of equations and conditions are taken at points drawn here; where a solution has a kink or a jump, what must
hold across it is written down below by hand. A wrong truth would be worse than none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from exact_residuals import derivative, evaluate, worst

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.files.yaml_reader import load_yaml
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import load_spec

CORPUS = Path(__file__).resolve().parent / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.yaml") if path.stem != "expectations")
EXPECTATIONS = load_yaml(CORPUS / "expectations.yaml").data
ROUNDING = 1e-9  # of a residual, next to its largest summand


@cache
def load(name: str):
    """The problem and its terms; a test of one that is refused for a reason that is right has nothing to see."""
    expectation = EXPECTATIONS.get(name, {})
    try:
        problem = build_problem(load_spec(CORPUS / f"{name}.yaml"))
    except ProblemError as refusal:
        words = [*expectation.get("refused", ()), *expectation.get("or_refused", ())]
        if any(word in str(refusal) for word in words):
            pytest.skip("refused")
        raise
    return problem, compile_problem(problem)


def has_exact(name: str) -> bool:
    return "\nexact:" in (CORPUS / f"{name}.yaml").read_text(encoding="utf-8")


def true_parameters(name: str) -> dict[str, float]:
    return EXPECTATIONS.get(name, {}).get("parameters", {})


@pytest.mark.parametrize("name", [n for n in NAMES if has_exact(n)])
def test_the_exact_solution_leaves_no_residual(name):
    problem, compiled = load(name)
    if set(problem.exact) != set(problem.unknowns):
        pytest.skip("the rest of the solution is in the script that makes the data")
    found = worst(problem, compiled, dict(problem.exact), true_parameters(name))
    assert {term: r for term, r in found.items() if not r < ROUNDING} == {}


# name: unknown, a place on the interface, the direction across, orders of derivatives that are continuous, and the
# factor of the first derivative on either side whose product with it is continuous as well
INTERFACES = {
    "point-hung-string": ("w", {"x": 0.61}, {"x": 1}, (0,), None),
    "point-beam-on-supports": ("w", {"x": 0.8}, {"x": 1}, (0, 1, 2), None),
    "periodic-stripes": ("w", {"x": 0.4, "y": 0.75}, {"y": 1}, (0,), (5, 1, 1)),
    "periodic-laminate": ("w", {"x": 0.5}, {"x": 1}, (0,), (4, 1, 1)),
    "heat-three-layers": ("T", {"x": 2}, {"x": 1}, (0,), (10, 1 / 2, 0)),
    "inclusion-pore": ("u", {"x": 1.37 + 0.024, "y": 0.58 + 0.032}, {"x": 0.6, "y": 0.8}, (0,), (1 / 50, 1, 0)),
    "inclusion-heated-wire": ("T", {"x": -0.42 + 0.03, "y": 0.31 + 0.04}, {"x": 0.6, "y": 0.8}, (0, 1), None),
    "pulse-two-doses": ("c", {"t": 17.8}, {"t": 1}, (0,), None),
    "pulse-train": ("c", {"t": 4}, {"t": 1}, (0,), None),
    "pulse-heated-rod": ("u", {"t": 0.773, "x": 0.3}, {"t": 1}, (0,), None),
}
STEP = 1e-7


@pytest.mark.parametrize("name", sorted(INTERFACES))
def test_a_solution_with_a_kink_fulfils_what_holds_across_it(name):
    """Values, slopes or fluxes are the same on both sides; of a flux k*(D(w, x) + mean), `mean` is the third number."""
    unknown, place, across, orders, factors = INTERFACES[name]
    exact = load(name)[0].exact[unknown]

    def beside(order: int, side: int) -> float:
        slope = exact
        for _ in range(order):
            slope = sum(n * derivative(slope, (c,), (1,)) for c, n in across.items())
        at = {c: np.array([v + side * STEP * across.get(c, 0)]) for c, v in place.items()}
        return float(evaluate(slope, at)[0])

    size = 1 + abs(beside(1, 1)) + abs(beside(2, 1))
    for order in orders:
        assert beside(order, -1) == pytest.approx(beside(order, 1), abs=10 * STEP * size)
    if factors:
        before, after, mean = factors
        assert before * (beside(1, -1) + mean) == pytest.approx(after * (beside(1, 1) + mean), abs=10 * STEP * size)


def test_shocks_travel_at_the_speed_of_their_jump():
    """Rankine and Hugoniot: the jump of the flux over that of the density."""
    for name, unknown, flux, speed, at in (
        ("weak-shock-of-two-states", "u", lambda u: u**2 / 2, 1.25, 0.2),
        ("weak-traffic-jam", "rho", lambda r: r * (1 - r), 0.1, 0.4),
    ):
        exact = load(name)[0].exact[unknown]
        for t in (0.1, 0.3):
            place = at + speed * t
            left, right = (evaluate(exact, {"t": np.array([t]), "x": np.array([place + s])})[0] for s in (-1e-6, 1e-6))
            assert (flux(left) - flux(right)) / (left - right) == pytest.approx(speed)


def test_the_pendulum_swings_as_the_elliptic_function_says():
    """sin(q/2) = k cd(t), k = sin(2.5/2)."""
    import mpmath

    k = mpmath.sin(1.25)
    for one in EXPECTATIONS["ode-pendulum"]["value"]:
        cd = mpmath.ellipfun("cd", float(one["at"]["t"]), m=k**2)
        assert float(2 * mpmath.asin(k * cd)) == pytest.approx(one["q"], abs=1e-9)


def test_every_file_has_a_truth_or_an_expectation():
    assert len(NAMES) >= 100
    assert {n for n in NAMES if not has_exact(n)} <= set(EXPECTATIONS) <= set(NAMES)
    for name in NAMES:
        assert f"name: {name}\n" in (CORPUS / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_data_files_are_those_of_the_script(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(CORPUS.parents[1] / "scripts" / "references"))
    import corpus

    monkeypatch.setattr(corpus, "CORPUS", tmp_path)
    corpus.write_data()
    files = sorted(path.name for path in CORPUS.glob("*.csv"))
    assert files == sorted(path.name for path in tmp_path.iterdir())
    for file in files:
        ours, again = (np.genfromtxt(root / file, delimiter=",", skip_header=1) for root in (CORPUS, tmp_path))
        np.testing.assert_allclose(ours, again, rtol=1e-5, atol=1e-12)
