"""Functions of small total variation: how many layers there are, where they meet, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.files.text import functions_text
from pinnsolve.inverse.held_out import Linearized
from pinnsolve.inverse.layer_grid import chosen, jumps_of
from pinnsolve.inverse.layered_problem import layered, names_of_layers
from pinnsolve.problem.rough_functions import rough_function

NOISE = 0.004


def bar(folder: Path, k: str = "k", **changes) -> ps.Problem:
    """k u' = 1 from u = 0, k = 2 and 0.5 beyond 0.3, from readings of u with noise."""
    x = np.linspace(0, 1, 60)
    u = np.interp(x, [0, 0.3, 1], [0, 0.15, 1.55]) + NOISE * np.random.default_rng(1).standard_normal(60)
    np.savetxt(folder / "bar.csv", np.column_stack([x, u]), delimiter=",", header="x,m", comments="")
    statement = {
        "name": "bar", "domain": ps.Box(x=(0, 1)), "unknowns": ["u", "k"], "folder": folder,
        "equations": {"flow": f"D({k}*D(u, x), x) = 0"},
        "conditions": {
            "left": ps.Condition(on="x = 0", equation="u = 0"),
            "right": ps.Condition(on="x = 1", equation=f"{k}*D(u, x) = 1"),
        },
        "data": {"readings": ps.Data(file="bar.csv", equation="u = m", noise=NOISE)},
        "regularization": {"k": "total_variation"},
        "exact": {"u": "where(x < 0.3, x/2, 2*x - 0.45)", "k": "where(x < 0.3, 2, 0.5)"},
        "solve": {"tolerance": 0.2},
    }  # fmt: skip
    return ps.Problem(**{**statement, **changes})


def test_a_jump_is_found_within_its_standard_error(tmp_path):
    solution = ps.solve(bar(tmp_path))
    assert solution.result["status"] == "converged" and solution.result["parameters"] == {}
    (jump,) = solution.functions["k"].jumps
    assert abs(jump["at"] - 0.3) < min(0.01, 3 * jump["standard_error"])
    assert jump["from"] == pytest.approx(2, rel=0.05) and jump["to"] == pytest.approx(0.5, rel=0.05)
    assert solution.result["relative_l2_error"]["k"] < min(0.1, solution.result["estimated_error"]["k"])
    x = (np.arange(1000) + 0.5) / 1000
    error = np.abs(solution(x=x)["k"] - np.where(x < 0.3, 2, 0.5))
    assert (error < 2 * solution.standard_deviation("k")(x=x)).mean() > 0.9
    assert "jumps at 0.30" in functions_text(solution.result["functions"])
    solution.save(tmp_path / "run")
    assert ps.load_solution(tmp_path / "run").functions["k"](0.1) == solution.functions["k"](0.1)


def test_a_function_that_is_called_is_stated_by_layers(tmp_path):
    """Also where it stands without its argument, in any text."""
    problem = bar(tmp_path, "k(x)", unknowns={"u": "real", "k": {"of": "x"}}, exact=None,
                  quantities={"least": {"on": "domain", "minimum": "k"}})  # fmt: skip
    rough = rough_function(problem)
    assert not rough.unknown and rough.length == 1
    compiled = layered(problem, rough, (0.25, 0.5), {"k_in_layer_2": 3.0}, 0.1)
    assert compiled.unknowns == ("u",) and len(compiled.materials) == 4 and len(compiled.interfaces) == 2
    guesses = {p.name: p.guess for p in compiled.unknown_parameters}
    assert guesses == dict(zip(names_of_layers(rough, 3), (1.0, 3.0, 1.0), strict=True))
    assert all(p.function == "k" for p in compiled.unknown_parameters)


def test_total_variation_leaves_what_is_flat_flat():
    """Values in layers seen one by one with noise: the jump stays, the noise goes."""
    true = torch.cat([torch.ones(12), 3 * torch.ones(20)]).double()
    noise = 0.1 * torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eye = torch.eye(32, dtype=torch.float64)
    around = Linearized(eye, true + noise, -eye, torch.zeros(32).double(), true + noise, 0.0, 32, ())
    _, found = chosen(around, range(32))
    assert float((found - true).abs().mean()) < 0.7 * float(noise.abs().mean())
    jumps = jumps_of(found, -1.0, 3.0)
    assert len(jumps.edges) <= 3 and min(abs(edge - 0.5) for edge in jumps.edges) < 0.05
    assert (jumps.values[0], jumps.values[-1]) == pytest.approx((1.0, 3.0), abs=0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regularization": {"k": {"seminorm": "total_variation", "weight": 1}}}, "cross-validation"),
        ({"regularization": {"k": "total_variation", "u": "auto"}}, "by itself"),
        ({"unknowns": {"u": "real", "k": {"of": "u"}}, "exact": None}, "one coordinate"),
    ],
)
def test_what_layers_are_not_known_for_is_refused(changes, words, tmp_path):
    with pytest.raises(ProblemError, match=words):
        ps.solve(bar(tmp_path, **changes))
