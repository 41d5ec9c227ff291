"""Complex unknowns: what is read, what becomes of it, and solutions beside exact ones."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import sympy as sp

import pinnsolve as ps
from pinnsolve.errors import ProblemError
from pinnsolve.language.complex_numbers import PartsError, parts, vanishes
from pinnsolve.output.export import export
from pinnsolve.problem.build import build_problem
from pinnsolve.results.evaluation import evaluate_csv
from pinnsolve.spec.spec import spec_from_dict
from pinnsolve.verification.manufactured import with_manufactured

WAVE = {
    "name": "wave",
    "coordinates": {"x": [0, 1]},
    "unknowns": {"psi": "complex"},
    "parameters": {"k": 5},
    "equations": {"helmholtz": "D(psi, x, x) + k**2*psi = 0"},
    "conditions": {
        "left": {"on": "x = 0", "equation": "psi = 1"},
        "right": {"on": "x = 1", "equation": "Dn(psi) = i*k*psi"},
    },
    "exact": {"psi": "exp(i*k*x)"},
    "solve": {"tolerance": 1e-7},
}


def problem_of(**changes):
    keys = {**WAVE, **changes}
    return build_problem(spec_from_dict({key: value for key, value in keys.items() if value is not None}))


@pytest.fixture(scope="module")
def wave():
    return ps.solve(problem_of())


# -- complex arithmetic -----------------------------------------------------------------------------------------

A, B = sp.symbols("a b", real=True)
Z = A + sp.I * B


@pytest.mark.parametrize(
    "expression",
    [
        Z**3,
        1 / Z**2,
        sp.exp(Z) * Z,
        sp.exp(sp.I * A * B),
        sp.sin(Z) + sp.cos(2 * Z),
        sp.tan(Z),
        sp.sinh(Z) * sp.cosh(Z),
        sp.tanh(Z),
        sp.log(Z),
        sp.sqrt(Z),
        Z**Z,
        sp.Piecewise((Z, A < 1), (Z**2, True)),
        A * B,
    ],
)
def test_parts_are_those_of_the_value(expression):
    at = {A: 0.7, B: -0.4}
    value = complex(expression.subs(at).evalf())
    one, two = (complex(part.subs(at).evalf()) for part in parts(expression))
    assert one.imag == pytest.approx(0, abs=1e-14)
    assert two.imag == pytest.approx(0, abs=1e-14)
    assert complex(one.real, two.real) == pytest.approx(value, rel=1e-12)


def test_parts_that_would_be_endless_are_refused_at_once():
    e = Z
    for _ in range(60):
        e = sp.exp(e)
    with pytest.raises(PartsError, match="too large"):
        parts(e)


def test_zero_is_told_without_expanding():
    assert vanishes((A + B) ** 2 - A**2 - 2 * A * B - B**2)
    assert vanishes(sp.sin(A) ** 2 + sp.cos(A) ** 2 - 1)
    assert not vanishes(A * sp.Float(1e-12))
    assert not vanishes((A + B) ** 16 * (A - B) ** 16 * (A + 2) ** 15 - A**47)
    assert not vanishes(sp.Function("table")(A))


def test_functions_without_a_rule_are_refused():
    with pytest.raises(PartsError, match="asin"):
        parts(sp.asin(Z))


# -- what is read -----------------------------------------------------------------------------------------------


def test_a_complex_equation_is_two_real_ones():
    problem = problem_of()
    assert problem.unknowns == ("psi_re", "psi_im")
    assert problem.complex_unknowns == ("psi",)
    assert [len(s.residuals) for s in problem.statements] == [2, 2, 2]
    assert set(problem.exact) == {"psi_re", "psi_im"}


def test_a_real_equation_beside_it_stays_one():
    problem = problem_of(
        unknowns={"psi": "complex", "n": "real"},
        equations={"helmholtz": "D(psi, x, x) + n*psi = 0", "density": "n = abs(psi)**2 + re(psi*conj(psi))"},
        exact=None,
    )
    assert problem.unknowns == ("psi_re", "psi_im", "n")
    assert [len(s.residuals) for s in problem.of_kind("equation")] == [2, 1]


def test_the_file_that_is_written_reads_the_same():
    spec = problem_of().spec
    assert "unknowns:\n  psi: complex" in spec.to_yaml()
    assert build_problem(spec_from_dict({**WAVE})).spec == spec


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknowns": {"psi": "imaginary"}}, "not one of real, complex"),
        ({"parameters": {"k": 5, "i": 1}}, "`i` is the imaginary unit"),
        ({"parameters": {"k": 5, "psi_re": 1}}, "`psi_re` is a parameter already|`psi_re` is the real part of `psi`"),
        ({"parameters": {"k": "5*i"}}, "unknown name `i`"),
        ({"equations": {"e": "max(psi, 0) = 0"}}, "the argument of `max` is a real number"),
        ({"equations": {"e": "where(psi > 0, 1, 0)*psi = 0"}}, "what is compared is a real number"),
        ({"quantities": {"q": {"integral": "psi"}}}, "a quantity is a real number"),
        ({"unknowns": "psi"}, "unknown name `i`"),
    ],
)
def test_what_cannot_be_complex_is_told(changes, words):
    with pytest.raises(ProblemError, match=words):
        problem_of(**changes)


def test_i_is_a_name_like_others_where_nothing_is_complex():
    problem = problem_of(
        unknowns="psi",
        parameters={"i": 2, "re": 3},
        equations={"e": "D(psi, x, x) = i*re"},
        conditions={"ends": {"on": "boundary", "equation": "psi = 0"}},
        exact=None,
    )
    assert problem.unknowns == ("psi",)


# -- solutions --------------------------------------------------------------------------------------------------


def test_a_wave_is_complex_in_numpy(wave):
    x = np.linspace(0, 1, 9)
    assert wave.result["status"] == "converged"
    assert set(wave.result["relative_l2_error"]) == set(wave.result["estimated_error"]) == {"psi"}
    np.testing.assert_allclose(wave.psi(x=x), np.exp(5j * x), atol=1e-6)
    np.testing.assert_array_equal(wave(x=x), wave.psi(x=x))
    np.testing.assert_allclose(wave.psi_im(x=x), wave.psi(x=x).imag, rtol=0, atol=1e-14)
    np.testing.assert_allclose(wave.derivative("psi", "x")(x=x), 5j * np.exp(5j * x), atol=1e-5)
    with pytest.raises(AttributeError):
        wave.phi  # noqa: B018


def test_files_have_both_parts(wave, tmp_path):
    wave.save(tmp_path / "run")
    again = ps.load_solution(tmp_path / "run")
    np.testing.assert_array_equal(again.psi(x=0.3), wave.psi(x=0.3))
    export(wave, tmp_path / "wave.npz", points=5)
    with np.load(tmp_path / "wave.npz") as arrays:
        assert set(arrays.files) == {"x", "psi_re", "psi_im"}
        np.testing.assert_array_equal(arrays["psi_re"] + 1j * arrays["psi_im"], wave(x=np.linspace(0, 1, 5)))
    export(wave, tmp_path / "wave.vtu", points=5)
    (tmp_path / "points.csv").write_text("x\n0.25\n")
    text = evaluate_csv(wave, tmp_path / "points.csv", ["abs(psi)", "D(psi, x)/(i*k)"])
    (row,) = csv.DictReader(io.StringIO(text))
    assert [*row] == ["x", "psi_re", "psi_im", "abs(psi)", "re(D(psi, x)/(i*k))", "im(D(psi, x)/(i*k))"]
    assert float(row["abs(psi)"]) == pytest.approx(1, abs=1e-6)
    assert float(row["im(D(psi, x)/(i*k))"]) == pytest.approx(np.sin(1.25), abs=1e-5)


def test_figures_show_both_parts_and_the_modulus(wave):
    from pinnsolve.figures.samples import sample
    from pinnsolve.pipeline import truth

    samples = sample(wave, truth(problem_of()))
    assert set(samples.values) == set(samples.exact) == {"psi_re", "psi_im", "|psi|"}
    from pinnsolve.figures.figures import error_figure, solution_figure

    assert len(solution_figure(samples).axes) == 3
    assert len(error_figure(samples).axes) == 1


def test_an_error_counts_by_the_whole_however_small_a_part_is():
    """The imaginary part is a millionth: what it lacks is small beside the real one."""
    solution = ps.solve(
        problem_of(
            equations={"source": "D(psi, x, x) = -sin(x)*(1 + 1e-6*i*sin(40*x))"},
            conditions={"left": {"on": "boundary", "equation": "psi = 0"}},
            exact=None,
            solve={"tolerance": 1e-3},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.result["unknown_coefficients"] <= 2 * 13
    json.dumps(solution.result["estimated_error"])


def test_nonlinear_in_time():
    """i psi_t + psi_xx + 2 |psi|^2 psi = 0 with its soliton."""
    soliton = "exp(i*(0.5*x + 0.75*t))/cosh(x - t)"
    solution = ps.solve(
        problem_of(
            coordinates={"t": [0, 0.3], "x": [-2, 2]},
            equations={"nls": "i*D(psi, t) + D(psi, x, x) + 2*abs(psi)**2*psi = 0"},
            conditions={
                "start": {"on": "t = 0", "equation": "psi = soliton"},
                "sides": {"on": ["x = -2", "x = 2"], "equation": "psi = soliton"},
            },
            definitions={"soliton": soliton},
            exact={"psi": "soliton"},
            solve={"tolerance": 1e-4},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["psi"] < 1e-4


def test_periodic_in_space():
    solution = ps.solve(
        problem_of(
            coordinates={"t": [0, 0.2], "x": [0, "2*pi"]},
            equations={"free": "i*D(psi, t) = -D(psi, x, x)"},
            conditions={"start": {"on": "t = 0", "equation": "psi = exp(2*i*x)"}, "around": {"periodic": "x"}},
            exact={"psi": "exp(2*i*x - 4*i*t)"},
            solve={"tolerance": 1e-4},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["psi"] < 1e-4


def test_a_number_found_from_complex_data(tmp_path):
    x = np.linspace(0, 1, 21)
    lines = ["x,a,b", *(f"{s},{np.cos(5 * s)},{np.sin(5 * s)}" for s in x)]
    (tmp_path / "measured.csv").write_text("\n".join(lines))
    spec = spec_from_dict(
        {
            **WAVE,
            "parameters": {},
            "unknown_parameters": {"k": {"guess": 4, "bounds": [1, 8]}},
            "data": {"probes": {"file": "measured.csv", "equation": "psi = a + i*b", "noise": 1e-5}},
            "exact": {},
        },
        tmp_path,
    )
    solution = ps.solve(build_problem(spec))
    assert solution.result["parameters"]["k"]["value"] == pytest.approx(5, abs=1e-4)
    assert solution.standard_deviation("psi")(x=0.5) >= 0


def test_an_interface_of_a_coefficient_that_jumps():
    """k psi' goes on where k jumps, in both parts: psi = i (a + b x) on either side."""
    solution = ps.solve(
        problem_of(
            equations={"flow": "D((1 + where(x < 0.5, 0, 2))*i*D(psi, x), x) = 0"},
            conditions={
                "left": {"on": "x = 0", "equation": "psi = 0"},
                "right": {"on": "x = 1", "equation": "psi = 1 + 2*i"},
            },
            exact={"psi": "(1 + 2*i)*where(x < 0.5, 1.5*x, 0.5 + 0.5*x)"},
        )
    )
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["psi"] < 1e-7


# -- in Python --------------------------------------------------------------------------------------------------


def test_sympy_says_the_same():
    x, k = ps.coordinates("x"), sp.Symbol("k")
    psi = ps.unknown("psi", x, complex=True)
    problem = ps.Problem(
        name="wave",
        domain=ps.Box(x=(0, 1)),
        unknowns=psi,
        parameters={k: 5},
        equations={"nonlinear": sp.Eq(sp.diff(psi, x, 2) + sp.Abs(psi) ** 2 * psi, sp.conjugate(psi))},
        conditions={"ends": ps.Condition(on="boundary", equation=sp.Eq(psi, sp.I))},
        exact={psi: sp.exp(sp.I * k * x)},
    )
    assert problem.spec.equations["nonlinear"].equations == ("psi*abs(psi)**2 + D(psi, x, x) = conj(psi)",)
    assert problem.spec.exact == {"psi": "exp(k*x*i)"} or problem.spec.exact == {"psi": "exp(i*k*x)"}
    assert problem.unknowns == ("psi_re", "psi_im")


def test_derivatives_of_real_and_imaginary_parts():
    x = ps.coordinates("x")
    psi = ps.unknown("psi", x, complex=True)
    problem = ps.Problem(
        name="parts",
        domain=ps.Box(x=(0, 1)),
        unknowns={"psi": "complex"},
        equations={"one": sp.Eq(sp.Derivative(sp.re(psi) * sp.im(psi), x) + psi.diff(x, 2), 0)},
        conditions={"ends": ps.Condition(on="boundary", equation=sp.Eq(psi, 0))},
    )
    assert "D(re(psi)*im(psi), x)" in problem.spec.equations["one"].equations[0]


def test_a_complex_function_is_manufactured():
    problem = with_manufactured(problem_of(exact=None), {"psi": "exp(i*x)*(1 + x)"})
    x = sp.Symbol("x", real=True)
    assert problem.exact["psi_im"].subs(x, 0.5) == pytest.approx(1.5 * np.sin(0.5))
    assert ps.solve(problem).result["relative_l2_error"]["psi"] < 1e-6
    with pytest.raises(ProblemError, match="`n` is real"):
        both = {"psi": "complex", "n": "real"}
        equations = {"one": "D(psi, x, x) + n*psi = 0", "two": "n = re(psi)"}
        with_manufactured(problem_of(unknowns=both, equations=equations, exact=None), {"n": "i*x"})
