"""Ranges of parameters: what a file says of them, members and their interpolation, and what is never claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pinnsolve as ps
from pinnsolve.bases.newton import interpolation_matrix, leja_points, margin, newton_polynomials, points_of
from pinnsolve.bases.over_ranges import OverRanges
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.ranges import solve as range_solve
from pinnsolve.ranges import team
from pinnsolve.ranges.common_cells import common_cells
from pinnsolve.ranges.fit import Fit, first_indices
from pinnsolve.ranges.member import SolvedMember
from pinnsolve.results.evaluation import evaluate_csv
from pinnsolve.results.solution import Solution

FIN = """\
name: fin
coordinates: {x: [0, 1]}
unknowns: T
parameters: {m: {range: [0.5, 4], spacing: log}, square: m**2}
equations: {balance: "D(T, x, x) = square*T"}
conditions:
  root: {on: "x = 0", equation: "T = 1"}
  tip: {on: "x = 1", equation: "D(T, x) = 0"}
exact: {T: cosh(m*(1 - x))/cosh(m)}
quantities: {tip: {at: {x: 1}, value: T}}
solve: {tolerance: 1e-4}
"""


WAVE = """\
name: wave
coordinates: {x: [0, 1]}
unknowns: {psi: complex}
parameters: {k: {range: [1, 2]}}
equations: {helmholtz: "D(psi, x, x) + k**2*psi = 0"}
conditions:
  left: {on: "x = 0", equation: "psi = 1"}
  right: {on: "x = 1", equation: "D(psi, x) - i*k*psi = 0"}
exact: {psi: exp(i*k*x)}
solve: {tolerance: 1e-3}
"""
CHANNEL = """\
name: channel
coordinates: {y: [0, 1]}
unknowns: u
parameters: {rate: {range: [1, 2]}}
unknown_parameters: {drive: {guess: 1}}
equations: {balance: "D(u, y, y) = -drive"}
conditions:
  walls: {on: boundary, equation: "u = 0"}
  rate: {on: domain, integral: u, equals: rate}
solve: {tolerance: 1e-3}
"""
BRATU = """\
name: bratu
coordinates: {x: [0, 1]}
unknowns: u
parameters: {a: {range: [1.9, 2.1]}}
equations: {fuel: "D(u, x, x) + a*exp(u) = 0"}
conditions: {walls: {on: boundary, equation: "u = 0"}}
guess: [{u: 0}, {u: 12*x*(1 - x)}]
solve: {tolerance: 1e-3}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fin.yaml"
    path.write_text(FIN)
    return path


@pytest.fixture(scope="module")
def solution(tmp_path_factory):
    path = tmp_path_factory.mktemp("fin") / "fin.yaml"
    path.write_text(FIN)
    return ps.solve(ps.load(path))


# -- what a file says -------------------------------------------------------------------------------------------------


def test_a_range_is_read_and_written(file, tmp_path):
    problem = ps.load(file)
    spanned = problem.ranges["m"]
    assert (spanned.low, spanned.high, spanned.log) == (0.5, 4, True)
    assert problem.parameters == pytest.approx({"m": math.sqrt(2), "square": 2})
    again = tmp_path / "again.yaml"
    again.write_text(problem.spec.to_yaml())
    assert ps.load(again).ranges == problem.ranges
    assert spanned.value(0) == 0.5 and spanned.value(1) == 4


def test_a_range_in_python():
    x, m = ps.coordinates("x m")
    T = ps.unknown("T", x)
    problem = ps.Problem(
        name="fin",
        domain=ps.Box(x=(0, 1)),
        unknowns=T,
        parameters={m: ps.Range(0.5, 4, spacing="log")},
        equations={"balance": "D(T, x, x) = m**2*T"},
        conditions={"ends": ps.Condition(on="boundary", equation="T = 1")},
    )
    assert problem.ranges["m"].log and problem.ranges["m"].high == 4


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("{range: [4, 0.5]}", "the interval is empty"),
        ("{range: [0, 1], spacing: log}", "positive ends"),
        ("{range: [1, 2], spacing: lgo}", "did you mean `log`"),
        ("{rnge: [1, 2]}", "did you mean `range`"),
        ("{spacing: log}", "the key is missing"),
        ("{range: 3}", "an interval is expected"),
    ],
)
def test_wrong_ranges_are_told(tmp_path, stated, words):
    path = tmp_path / "wrong.yaml"
    path.write_text(FIN.replace("{range: [0.5, 4], spacing: log}", stated))
    with pytest.raises(ps.ProblemError) as told:
        ps.load(path)
    assert words in "\n".join(map(str, told.value.diagnostics))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("x: [0, 1]", "x: [0, m]", "the domain changes with the range of `m`"),
        ("square: m**2", "square: 1/(m - 0.5)", "where m = 0.5: a division by zero"),
        ("exact:", "reference: {file: r.csv}\nexact:", "does not go with ranges"),
    ],
)
def test_what_has_to_hold_for_all_values(tmp_path, old, new, words):
    (tmp_path / "r.csv").write_text("x,T\n0,1\n1,1\n")
    path = tmp_path / "wrong.yaml"
    path.write_text(FIN.replace(old, new))
    with pytest.raises(ps.ProblemError) as told:
        ps.load(path)
    assert words in "\n".join(map(str, told.value.diagnostics))


# -- interpolation ----------------------------------------------------------------------------------------------------


def test_newton_polynomials_on_leja_points():
    y = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    tables = newton_polynomials(y, 24, 1)
    assert float(tables[0].abs().max()) < 1 + 1e-3  # a surplus is the most that it contributes
    at_points = newton_polynomials(leja_points(24), 24, 0)[0].T
    torch.testing.assert_close(at_points.triu(1), torch.zeros_like(at_points), atol=1e-12, rtol=0)
    slope = (tables[0, :8, 2:] - tables[0, :8, :-2]) / (y[2:] - y[:-2])
    torch.testing.assert_close(slope, tables[1, :8, 1:-1], atol=1e-4, rtol=1e-4)


def test_a_sparse_set_holds_its_polynomials():
    indices = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0)]
    assert margin(indices) == [(0, 3), (1, 2), (2, 1), (4, 0)]
    places = 2 * torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1

    def polynomial(y):
        return 1 + y[:, 0] - y[:, 1] ** 2 + 2 * y[:, 0] * y[:, 1] + y[:, 0] ** 3

    fit = Fit()
    for index in indices:
        fit = fit.with_member(index, None, polynomial(points_of([index]))[None])
    torch.testing.assert_close(fit.at(places)[:, 0, 0], polynomial(places))
    assert torch.equal(interpolation_matrix(indices).triu(1), torch.zeros(7, 7, dtype=torch.float64))


X = torch.linspace(0, 1, 40, dtype=torch.float64)


def wall(y):
    k, h = 10 ** (0.5 * (1 + y[0])), 100 ** (0.5 * (1 + y[1]))
    return 1 - h / (h + k) * X


def moving_front(y):
    return torch.tanh((X - 0.5 - 0.2 * y[1]) / (0.1 * 20 ** (0.5 * (1 + y[0]))))


def front(y):
    return torch.tanh((X - 0.5) / (0.02 * 100 ** (0.5 * (1 + y[0]))))


@pytest.mark.parametrize(
    ("function", "ranges", "tolerance"), [(wall, 2, 1e-4), (moving_front, 2, 1e-2), (front, 1, 1e-4)]
)
def test_surpluses_tell_how_wrong_the_interpolant_is(function, ranges, tolerance):
    """Also where a front moves with one parameter and is steep at one end of another."""
    fit, indices = Fit(), first_indices(ranges)
    while not fit.indices or float(fit.of_interpolation.max()) > tolerance:
        for index in indices:
            fit = fit.with_member(index, None, function(points_of([index])[0])[None])
        indices = fit.next_indices(4)
        assert len(fit.indices) < 160
    places = 2 * torch.rand(200, ranges, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) - 1
    truth = torch.stack([function(y)[None] for y in places])
    error = ((fit.at(places) - truth).norm(dim=2) / truth.norm(dim=2)).max()
    assert error < float(fit.of_interpolation.max())


# -- bases ------------------------------------------------------------------------------------------------------------


def cells_basis(parts, degree):
    lower, upper = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    return PouCells(uniform_cells(lower, upper, parts), (degree, degree), lower, upper)


RANGES = [(1.0, 4.0, True), (0.0, 2.0, False)]
INDICES = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1)]


def points_over_ranges(count):
    generator = torch.Generator().manual_seed(3)
    unit = torch.rand(count, 4, dtype=torch.float64, generator=generator)
    return torch.cat([unit[:, :2], 1 + 3 * unit[:, 2:3], 2 * unit[:, 3:]], dim=1)


def test_shared_cells_and_members_of_their_own_agree():
    basis = cells_basis([2, 3], 3)
    shared = OverRanges([basis], INDICES, RANGES)
    apart = OverRanges([basis] * len(INDICES), INDICES, RANGES)
    c = torch.rand(2, shared.width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = points_over_ranges(60)
    alphas = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 1), (0, 0, 2, 0)]
    one, two = shared.combined(x, alphas, c), apart.combined(x, alphas, c)
    tables = shared.derivatives(x, alphas)
    for alpha in alphas:
        torch.testing.assert_close(one[alpha], two[alpha])
        torch.testing.assert_close(one[alpha], c @ tables[alpha].T)
    again = OverRanges.restore(apart.settings(), apart.hidden, apart.lower, apart.upper)
    torch.testing.assert_close(again.combined(x, alphas[:1], c)[alphas[0]], two[alphas[0]], rtol=0, atol=0)


def test_points_at_one_value_and_at_many_agree():
    generator = torch.Generator().manual_seed(3)
    cells = uniform_cells(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0]), [2, 1])
    inner = PouCells(cells.split(torch.tensor([True, False]), torch.tensor([[True, True]] * 2)), (3, 2), *cells.box)
    basis = OverRanges([inner], [(0,), (1,), (2,)], [(0.5, 4.0, True)])
    c = torch.randn(2, basis.width, generator=generator, dtype=torch.float64)
    x = torch.rand(40, 2, generator=generator, dtype=torch.float64)
    alphas = [(0, 0, 0), (1, 0, 0), (0, 2, 1)]
    same = torch.cat([x, torch.full((40, 1), 1.3, dtype=torch.float64)], dim=1)
    mixed = torch.cat([same, torch.tensor([[0.5, 0.5, 2.0]], dtype=torch.float64)])
    one, many = basis.combined(same, alphas, c), basis.combined(mixed, alphas, c)
    tables = basis.derivatives(same, alphas)
    for alpha in alphas:
        torch.testing.assert_close(one[alpha], many[alpha][:, :40])
        torch.testing.assert_close(one[alpha], c @ tables[alpha].T)


def test_derivatives_by_parameters():
    basis = OverRanges([cells_basis([1, 1], 2)], INDICES, RANGES)
    c = torch.rand(1, basis.width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x, h = points_over_ranges(20), 1e-5
    x[:, 2] = x[:, 2].clamp(1.1, 3.9)
    zero, first, second = (0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 2, 0)
    step = torch.tensor([0, 0, h, 0], dtype=torch.float64)
    for low, high in ((zero, first), (first, second)):
        slope = (basis.combined(x + step, [low], c)[low] - basis.combined(x - step, [low], c)[low]) / (2 * h)
        torch.testing.assert_close(slope, basis.combined(x, [high], c)[high], rtol=1e-6, atol=1e-7)


def test_members_on_common_cells():
    """Polynomials on different cells are put onto cells that hold them all."""
    problem = compile_problem(
        ps.Problem(
            name="box",
            domain=ps.Box(x=(0, 1), y=(0, 1)),
            unknowns="u",
            equations={"e": "laplacian(u) = 1"},
            conditions={"c": ps.Condition(on="boundary", equation="u = 0")},
        )
    )
    generator = torch.Generator().manual_seed(4)
    members = []
    for parts in ([1, 2], [4, 1]):
        basis = cells_basis(parts, 3)
        c = torch.rand(1, basis.width, dtype=torch.float64, generator=generator)
        members.append(Solution("m", ("x", "y"), ((0, 1), (0, 1)), None, ("u",), basis, c))
    found = common_cells(problem, members, torch.full((2, 1), 1e-9, dtype=torch.float64))
    assert found.basis.space.cells.count == 16 and float(found.missed.max()) < 1e-9
    x = torch.rand(100, 2, dtype=torch.float64, generator=generator)
    for k, member in enumerate(members):
        ours = found.basis.combined(x, [(0, 0)], found.coefficients.reshape(2, -1)[k : k + 1])[0, 0]
        torch.testing.assert_close(ours, member.basis.combined(x, [(0, 0)], member.coefficients)[0, 0])


# -- whole solves -----------------------------------------------------------------------------------------------------


def fin(x, m):
    return np.cosh(m * (1 - x)) / np.cosh(m)


def test_a_solution_is_a_function_of_the_range(solution):
    result = solution.result
    assert result["status"] == "converged"
    assert result["relative_l2_error"]["T"] <= result["estimated_error"]["T"] <= 1e-4
    assert solution.coordinates == ("x", "m") and solution.intervals[1] == (0.5, 4)
    m = np.geomspace(0.5, 4, 30)
    np.testing.assert_allclose(solution(x=0.7, m=m), fin(0.7, m), rtol=3e-4)
    slope = solution.derivative("T", "m")(x=1.0, m=2.0)
    assert slope == pytest.approx(-math.sinh(2) / math.cosh(2) ** 2, rel=1e-3)
    uses = [member["use"] for member in result["members"]]
    assert uses.count("held out") == 4 and uses.count("interpolated") >= 5
    with pytest.raises(ps.SolutionError, match=r"m = 5\.0 lies outside"):
        solution(x=0.5, m=5)


def test_it_is_saved_evaluated_and_drawn(solution, tmp_path):
    folder = solution.save(tmp_path / "run")
    again = ps.load_solution(folder)
    np.testing.assert_array_equal(again(x=0.3, m=[1.0, 3.0]), solution(x=0.3, m=[1.0, 3.0]))
    (tmp_path / "points.csv").write_text("m,x\n2,0.5\n1,1\n")
    lines = evaluate_csv(again, tmp_path / "points.csv", ["D(T, m)", "square*T"]).splitlines()
    assert lines[0] == 'm,x,T,"D(T, m)",square*T'
    values = [float(cell) for cell in lines[1].split(",")]
    assert values[2] == pytest.approx(fin(0.5, 2), rel=1e-3) and values[4] == pytest.approx(4 * values[2])
    table = (folder / "quantities.csv").read_text().splitlines()
    assert table[0] == "m,tip,tip_error"
    row = [float(cell) for cell in table[1].split(",")]
    assert row[:2] == pytest.approx([0.5, fin(1, 0.5)], rel=1e-3)
    assert again.plot().axes


def test_a_solution_that_is_good_enough_is_kept(file, solution, monkeypatch):
    monkeypatch.setattr(team, "solve_here", None)  # nothing is solved
    assert ps.solve(ps.load(file), start=solution) is solution


def test_processes_give_the_same(file, solution, monkeypatch):
    monkeypatch.setattr(team, "WORTH_STARTING", 0.0)
    monkeypatch.setattr(team, "processors", lambda: 2)
    other = ps.solve(ps.load(file))
    assert torch.equal(other.coefficients, solution.coefficients)


def test_a_complex_wave_over_a_range(tmp_path):
    path = tmp_path / "wave.yaml"
    path.write_text(WAVE)
    result = ps.solve(path).result
    assert result["status"] == "converged" and list(result["estimated_error"]) == ["psi"]
    assert result["relative_l2_error"]["psi"] < 1e-3


def test_every_guess_is_one_over_the_range(tmp_path):
    path = tmp_path / "bratu.yaml"
    path.write_text(BRATU)
    low = ps.solve(path)
    (high,) = low.others
    assert low(x=0.5, a=2.0) == pytest.approx(0.3289524, abs=1e-4)
    assert high(x=0.5, a=2.0) == pytest.approx(2.8955313, abs=1e-3)
    assert "2 guesses led to 2 different solutions" in low.result["message"]


def test_constants_that_conditions_determine_are_found_over_a_range(tmp_path):
    path = tmp_path / "channel.yaml"
    path.write_text(CHANNEL)
    result = ps.solve(path).result
    assert result["status"] == "converged"
    for member in result["members"]:
        rate = member["parameters"]["rate"]
        assert member["quantities"]["drive"]["value"] == pytest.approx(12 * rate, rel=1e-6)


@pytest.mark.parametrize(("stated", "log"), [("[1, 10]", True), ("[1, 4]", False), ("[0, 10]", False)])
def test_wide_ranges_of_positive_values_are_spaced_by_their_logarithm(tmp_path, stated, log):
    path = tmp_path / "fin.yaml"
    path.write_text(FIN.replace("[0.5, 4], spacing: log", stated))
    assert ps.load(path).ranges["m"].log is log


def test_a_failed_member_is_said(file, monkeypatch):
    def fails_at_the_end(task):
        if task.place == (1.0,):
            return SolvedMember(task, None, "there is none")
        return solve(task)

    solve = team.solve_here
    monkeypatch.setattr(team, "solve_here", fails_at_the_end)
    monkeypatch.setattr(team, "WORTH_STARTING", math.inf)
    found = ps.solve(ps.load(file))
    assert found.result["status"] == "tolerance_not_reached"
    assert "the member at m = 4 has no solution: there is none" in found.result["message"]


def test_an_interruption_keeps_the_members_so_far(file, monkeypatch):
    solved = []

    def interrupted(task):
        if len(solved) == 4:
            raise KeyboardInterrupt
        solved.append(task)
        return solve(task)

    solve = team.solve_here
    monkeypatch.setattr(team, "solve_here", interrupted)
    monkeypatch.setattr(team, "WORTH_STARTING", math.inf)
    found = ps.solve(ps.load(file))
    assert found.result["status"] == "interrupted" and "4 members" in found.result["message"]
    assert found(x=1.0, m=math.sqrt(2)) == pytest.approx(fin(1.0, math.sqrt(2)), rel=1e-4)


def test_a_kink_in_a_parameter_is_not_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(team, "WORTH_STARTING", math.inf)
    path = tmp_path / "kink.yaml"
    path.write_text(
        "name: kink\ncoordinates: {x: [0, 1]}\nunknowns: u\nparameters: {a: {range: [0, 1]}}\n"
        'equations: {e: "D(u, x, x) = 1"}\n'
        'conditions: {ends: {on: boundary, equation: "u = abs(a - 0.37)"}}\n'
        "solve: {tolerance: 1e-3, limits: {refinements: 4}}\n"
    )
    found = ps.solve(ps.load(path))
    assert found.result["status"] == "tolerance_not_reached"
    a = np.linspace(0, 1, 50)
    error = np.abs(found(x=0.0, a=a) - np.abs(a - 0.37)).max()
    assert error > 1e-3 and len(found.result["members"]) < range_solve.MOST_MEMBERS
