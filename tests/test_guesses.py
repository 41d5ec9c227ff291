"""Several first guesses: each leads to a solution of its own, and which are the same is said."""

from __future__ import annotations

import json

import pytest

import pinnsolve as ps
from pinnsolve.problem.build import build_problem, by_guess
from pinnsolve.spec.spec import spec_from_dict

MEMBRANE = {
    "name": "membrane",
    "coordinates": {"x": [0, 1]},
    "unknowns": "c",
    "definitions": {"k": "1/(1 + 9*mean(c)**4/(0.2 + mean(c)**4))"},
    "equations": {"filling": "-D(k*D(c, x), x) = 2"},
    "conditions": {"sides": {"on": "boundary", "equation": "c = 0"}},
    "quantities": {"held": {"on": "domain", "mean": "c"}},
    "guess": [{"c": 0}, {"c": "3*x*(1 - x)"}, {"c": "10*x*(1 - x)"}, {"c": "9.9*x*(1 - x)"}],
}


def root(low: float, high: float) -> float:
    """The mean m with 12 k(m) m = 2 between two others, by bisection: c is a parabola."""

    def excess(m: float) -> float:
        return 12 * m / (1 + 9 * m**4 / (0.2 + m**4)) - 2

    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excess(low) * excess(middle) <= 0 else (middle, high)
    return low


def test_every_guess_leads_to_the_solution_near_it(tmp_path):
    solution = ps.solve(build_problem(spec_from_dict(MEMBRANE)))
    found = solution.result["solutions"]
    for entry, ends in zip(found, [(0.1, 0.3), (0.3, 0.6), (1, 2), (1, 2)], strict=True):
        assert entry["status"] == "converged"
        assert entry["quantities"]["held"]["value"] == pytest.approx(root(*ends), rel=1e-6)
    assert [entry.get("same_as") for entry in found] == [None, None, None, 3]
    assert "4 guesses led to 3 different solutions" in solution.result["message"]
    assert len(solution.others) == 3
    solution.save(tmp_path)
    second = ps.load_solution(tmp_path / "solution-2")
    assert second(x=0.5) == pytest.approx(solution.others[0](x=0.5))
    assert len(json.loads((tmp_path / "result.json").read_text())["solutions"]) == 4


def test_a_list_of_guesses_is_written_as_it_was_read():
    problem = build_problem(spec_from_dict(MEMBRANE))
    text = problem.spec.to_yaml()
    assert text.count("x*(1 - x)") == 3
    one = build_problem(spec_from_dict({**MEMBRANE, "guess": {"c": 1}}))
    assert not one.other_guesses and len(by_guess(one)) == 1


@pytest.mark.parametrize(
    ("guess", "words"),
    [([], "the list of guesses is empty"), ([{"c": 1}, {"d": 1}], "`d` is not an unknown"), ([{"c": "c"}], "`c`")],
)
def test_what_is_wrong_with_guesses_is_said(guess, words):
    with pytest.raises(ps.ProblemError) as error:
        build_problem(spec_from_dict({**MEMBRANE, "guess": guess}))
    assert words in str(error.value)


def test_both_folds_of_a_flux_that_depends_on_a_mean():
    """At a fold the linearized problem has a solution, too (Moore & Spence, SIAM J. Numer. Anal. 17 (1980) 567-576).

    With u = 6 m x (1 - x), the supply is 12 m k(m), whose extrema are the folds.
    """
    responsive = {
        "name": "responsive",
        "coordinates": {"x": [0, 1]},
        "unknowns": ["u", "v"],
        "unknown_parameters": {"supply": {"guess": 30}},
        "definitions": {
            "k(m)": "1 + 4/(1 + exp(8*(m - 1)))",
            "slope(m)": "-32*exp(8*(m - 1))/(1 + exp(8*(m - 1)))**2",
        },
        "equations": {
            "flux": "-k(mean(u))*D(u, x, x) = supply",
            "fold": "k(mean(u))*D(v, x, x) + slope(mean(u))*mean(v)*D(u, x, x) = 0",
        },
        "conditions": {
            "walls": {"on": "boundary", "equations": ["u = 0", "v = 0"]},
            "size": {"on": "domain", "mean": "v", "equals": 1},
        },
        "guess": [{"u": "5*x*(1 - x)", "v": "6*x*(1 - x)"}, {"u": "9*x*(1 - x)", "v": "6*x*(1 - x)"}],
        "solve": {"tolerance": 1e-8},
    }
    first = ps.solve(build_problem(spec_from_dict(responsive)))
    folds = [one.result["parameters"]["supply"]["value"] for one in (first, *first.others)]
    assert folds == pytest.approx([41.66655661302, 19.24369150245], rel=1e-9)
