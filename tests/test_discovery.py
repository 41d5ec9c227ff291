"""Terms of equations found from data: the right ones, their constants, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch

import pinnsolve as ps
from pinnsolve.compiler.candidates import without
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.errors import PinnsolveError, ProblemError
from pinnsolve.inverse import best_sets as sets
from pinnsolve.inverse.discovery import smallest
from pinnsolve.inverse.held_out import Linearized

RATE, CAPACITY = 1.5, 2.0


def growth(folder: Path, **changes) -> ps.Problem:
    """Readings of the logistic curve u' = 1.5 u - 0.75 u^2 from 0.2, with noise of 0.01."""
    t = np.linspace(0, 5, 40)
    u = CAPACITY / (1 + (CAPACITY / 0.2 - 1) * np.exp(-RATE * t))
    table = np.column_stack([t, u + 0.01 * np.random.default_rng(0).standard_normal(len(t))])
    np.savetxt(folder / "growth.csv", table, delimiter=",", header="t,m", comments="")
    statement = {
        "name": "growth",
        "domain": ps.Box(t=(0, 5)),
        "unknowns": "u",
        "equations": {"growth": "D(u, t) = 0"},
        "discover": {"growth": [1, "u", "u**2", "u**3"]},
        "data": {"readings": ps.Data(file="growth.csv", equation="u = m", noise=0.01)},
        "folder": folder,
        "solve": {"tolerance": 1e-2},
    }
    return ps.Problem(**{**statement, **changes})


def test_terms_of_an_equation_are_found_with_their_constants(tmp_path):
    solution = ps.solve(growth(tmp_path))
    found = solution.result["discovered"]
    assert solution.result["status"] == "converged"
    assert list(found["growth"]) == ["u", "u**2"] and found["dropped"] == ["1 in growth", "u**3 in growth"]
    for term, true in {"u": RATE, "u**2": -RATE / CAPACITY}.items():
        one = found["growth"][term]
        assert abs(one["value"] - true) < 3 * one["standard_error"] < 0.1 * abs(true)
    assert solution.parameters == {}  # the file has none
    solution.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    assert again.result["discovered"]["growth"]["u"]["value"] == found["growth"]["u"]["value"]
    # an answer of the same problem is where the next begins
    assert ps.solve(growth(tmp_path), start=again).result["discovered"]["growth"].keys() == found["growth"].keys()


def test_an_equation_that_has_all_its_terms_gets_none(tmp_path):
    equation = {"growth": f"D(u, t) = {RATE}*u - {RATE / CAPACITY}*u**2"}
    result = ps.solve(growth(tmp_path, equations=equation)).result
    assert result["discovered"]["growth"] == {} and len(result["discovered"]["dropped"]) == 4


def test_what_the_file_knows_and_does_not_know_stands_beside_candidates(tmp_path):
    """A named constant is kept, and has its own place in the report."""
    equation, rate = {"growth": "D(u, t) = rate*u"}, {"rate": {"guess": 1}}
    stated = growth(tmp_path, equations=equation, unknown_parameters=rate, discover={"growth": ["u**2", "u**3"]})
    result = ps.solve(stated).result
    assert result["parameters"]["rate"]["value"] == pytest.approx(RATE, rel=0.05)
    assert list(result["discovered"]["growth"]) == ["u**2"]


def test_the_same_is_stated_with_sympy(tmp_path):
    t = ps.coordinates("t")
    u = ps.unknown("u", t)
    plain = growth(tmp_path)
    candidates = {"growth": [1, u, u**2, u**3]}
    stated = growth(tmp_path, unknowns=[u], equations={"growth": sp.Eq(u.diff(t), 0)}, discover=candidates)
    assert stated.spec.discover == plain.spec.discover
    assert "discover" in plain.spec.to_yaml()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discover": {"grow": ["u"]}}, "did you mean `growth`"),
        ({"discover": {"growth": ["u", "u"]}}, "given twice"),
        ({"discover": {"growth": ["u", "v"]}}, "unknown name `v`"),
        ({"data": None, "conditions": {"start": ps.Condition(on="t = 0", equation="u = 1")}}, "there are none"),
        ({"equations": {"growth": {"equations": ["D(u, t) = 0", "u = 1"]}}}, "several equations"),
    ],
)
def test_discoveries_that_make_no_sense_are_refused(tmp_path, changes, words):
    with pytest.raises(ProblemError, match="discover") as caught:
        growth(tmp_path, **changes)
    assert words in str(caught.value)


def test_a_method_that_cannot_find_terms_is_refused(tmp_path):
    with pytest.raises(PinnsolveError, match="terms are found from data by polynomials on cells"):
        ps.solve(growth(tmp_path), method="lsgd")


def test_terms_taken_away_leave_nothing_behind(tmp_path):
    compiled = compile_problem(growth(tmp_path, discover={"growth": ["D(u, t, t)", "u"]}))
    assert compiled.order == 2
    left = without(compiled, ["D(u, t, t) in growth", "u in growth"])
    assert left.order == 1 and left.terms[0].linear and not left.unknown_parameters


def random_least_squares(count: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(count, k, generator=generator, dtype=torch.float64) for k in (columns, 1))


def test_best_sets_leave_least_of_all_of_their_size():
    A, y = random_least_squares(30, 6)
    found = sets.best_sets(A.T @ A, A.T @ y[:, 0], [1, 2, 3, 4, 5])  # the first is always there
    assert [len(one) for one in found] == [0, 1, 2, 3, 4, 5]

    def left(chosen) -> float:
        columns = A[:, [0, *chosen]]
        return float(torch.linalg.norm(y - columns @ torch.linalg.lstsq(columns, y).solution))

    for one in found:
        others = torch.combinations(torch.arange(1, 6), len(one)).tolist() if one else [[]]
        assert left(one) <= min(map(left, others)) * (1 + 1e-12)


def test_held_out_residuals_are_those_of_fits_without_their_group():
    A, y = random_least_squares(20, 4)
    groups = torch.arange(20).reshape(10, 2)
    nothing, pairs = torch.zeros(4).double(), [(groups, torch.zeros(10, 2, 2).double())]
    around = Linearized(A.T @ A, A.T @ y[:, 0], -A, y[:, 0], nothing, 0.0, 20, pairs)
    squares = around.held_out([0, 2])
    for rows, square in zip(groups, squares, strict=True):
        rest = [i for i in range(20) if i not in rows]
        theta = torch.linalg.lstsq(A[rest][:, [0, 2]], y[rest]).solution
        assert float(square) == pytest.approx(float(((y[rows] - A[rows][:, [0, 2]] @ theta) ** 2).sum()), rel=1e-8)


def test_the_smallest_set_that_foretells_as_well_as_any_is_chosen():
    noise, other = torch.rand(2, 100, generator=torch.Generator().manual_seed(0))
    assert smallest([noise + 1, noise + 0.1 * (other - other.mean()), noise]) == 1
    assert smallest([noise + 1, noise + 1, noise]) == 2
