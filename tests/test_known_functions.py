"""What a file itself states is seen: peaks, jumps, kinks and small regions, wherever they lie and however narrow."""

from __future__ import annotations

import pytest
import torch

import pinnsolve as ps
from pinnsolve.adapt.hp_refinement import first_space, newton, solve_level
from pinnsolve.assembly.points_of_interest import points_of_interest
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.details import details_of
from pinnsolve.bases.piecewise.mesh import uniform_cells
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.estimate.measured_errors import exact_values
from pinnsolve.estimate.unresolved import unresolved
from pinnsolve.geometry.level_sets import Gradient
from pinnsolve.geometry.marching_squares import traced_chains
from pinnsolve.geometry.shapes import Implicit
from pinnsolve.language.intervals import BoundsEvaluator
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.to_sympy import Scope, expression
from pinnsolve.language.to_torch import Evaluator

X, Y = coordinate_symbol("x"), coordinate_symbol("y")
EXPRESSIONS = [
    "exp(-((x-0.3)/0.01)**2)",
    "where(x > 0.3 and not (x >= 0.4 or y < 0.2), x**2, sin(3*y))",
    "where(x < 0.2, x, where(y < 0.5, 2*y, x*y))",
    "tanh((x-y)/0.1)*cosh(x)",
    "max(min(x, 0.3), y - 0.2, x*y)",
    "abs(x - 0.5)**1.5 + floor(4*x)*y",
    "1/(1 + 1e3*(x-y)**2)",
    "atan2(y - 0.5, x + 0.2)",
    "log(1 + x*y) + sqrt(x + 0.1)*erf(5*x)",
    "x**3 - 2*x**2*y + y**-1",
    "sin(20*x)*cos(7*y) + tan(x)",
    "bessel_j(2, 3*x)*sign(x - y) + heaviside(y - 0.3)",
    "asin(x/2) + acos(y/3) + sinh(x - 0.5) + atan(4*x - 2)",
    "where(x - floor(x*3)/3 < 0.1, y, 0)",
    "exp(-x/0.01) + 2**x + x**y",
    "1/cosh((x - 0.4)/0.05)**2",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_bounds_hold_values_and_slopes(text):
    e = expression(text, Scope(coordinates=("x", "y")))
    generator = torch.Generator().manual_seed(1)
    lower, size, unit = (torch.rand(n, generator=generator, dtype=torch.float64) for n in ((300, 2),) * 2 + ((60, 2),))
    upper = lower + 0.3 * size**3
    bounds = BoundsEvaluator(e, (X, Y))(lower, upper)
    x = (lower[:, None] + unit * (upper - lower)[:, None]).requires_grad_(True)
    values = Evaluator([e + 0 * X * Y])({X: x[..., 0].flatten(), Y: x[..., 1].flatten()})[0].reshape(300, 60)
    slopes = torch.autograd.grad((values + 0 * x.sum(dim=2)).sum(), x)[0]
    near = 1e-9 * (1 + values.detach().abs())
    inside = (values >= bounds.low[:, None] - near) & (values <= bounds.high[:, None] + near)
    assert bool((inside | ~values.isfinite()).all())
    near = 1e-7 * (1 + slopes.abs())
    inside = (slopes >= bounds.below[:, None] - near) & (slopes <= bounds.above[:, None] + near)
    assert bool((inside | ~slopes.isfinite()).all())


def decay(source: str, end: float = 10.0, exact: str | None = None, **more):
    """y' = -y + source from y = 0."""
    return ps.Problem(
        name="decay",
        domain=ps.Box(t=(0, end)),
        unknowns="y",
        equations={"decay": f"D(y, t) = -y + {source}"},
        conditions={"start": ps.Condition(on="t = 0", equation="y = 0")},
        **({"exact": {"y": exact}} if exact else {}),
        **more,
    )


def found(problem: ps.Problem):
    return details_of(compile_problem(problem))


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("where(t > 3.3 and t < 3.31, 1, 0)", [3.3, 3.31]),
        ("where(not (t <= 7.01 or t >= 7.02), 1, 0)", [7.01, 7.02]),
        ("heaviside(t - 1.234)*sign(9.1 - t)", [1.234, 9.1]),
        ("floor(t/3)", [3.0, 6.0, 9.0]),
        ("where(t - 4*floor(t/4) < 0.01, 50, 0)", [0.01, 4.0, 4.01, 8.0, 8.01]),
        ("max(0, 1 - abs(t - 5)/0.001)", [4.999, 5.0, 5.001]),
        ("where((t - 2.2)**2 < 1e-8, 1, 0)", [2.1999, 2.2001]),
    ],
)
def test_jumps_and_kinks_are_found(source, places):
    assert found(decay(source)).places(0) == pytest.approx(places, abs=1e-12)


@pytest.mark.parametrize("width", [2e-3, 1e-4, 1e-5])
@pytest.mark.parametrize(
    "peak",
    ["exp(-((t - {c})/{w})**2)", "1/cosh((t - {c})/{w})", "1/(1 + ((t - {c})/{w})**2)", "tanh((t - {c})/{w})"],
)
def test_peaks_and_layers_are_found(peak, width):
    for center in (0.123, 6.789):
        details = found(decay(f"sin(t) + 0.01*{peak.format(c=center, w=10 * width)}"))
        assert details.count and not details.unseen
        assert bool(((details.lower[:, 0] - 30 * width <= center) & (center <= details.upper[:, 0] + 30 * width)).all())
        assert 1.0 * width < float(details.size.min()) <= 100 * width


def test_small_regions_are_found_and_large_ones_are_not_taken_for_such():
    def regions(condition):
        source = f"laplacian(u) = where({condition}, 1, 0)"
        return found(
            ps.Problem(
                name="region", domain=ps.Box(x=(0, 1), y=(0, 1)), unknowns="u", equations={"p": source},
                conditions={"walls": ps.Condition(on="boundary", equation="u = 0")},
            )
        )  # fmt: skip

    for radius in (0.03, 1e-3, 1e-5):
        details = regions(f"(x - 0.313)**2 + (y - 0.617)**2 < {radius}**2")
        assert details.count
        assert radius / 8 < float(details.size.min()) <= 3 * radius
    assert regions("(x - 0.3)**2 + (y - 0.6)**2 < 0.25**2").count == 0
    assert regions("(x - 0.3)*(y - 0.6) < 0").count == 0
    assert regions("x + y < 0.7").count == 0


def test_a_root_that_is_made_safe_has_no_details():
    source = "laplacian(u) = cos(3*sqrt(max((x - 0.3)**2 + (y - 0.6)**2, 1e-30)))"
    walls = {"walls": ps.Condition(on="boundary", equation="u = 0")}
    box = ps.Box(x=(0, 1), y=(0, 1))
    assert found(ps.Problem(name="r", domain=box, unknowns="u", equations={"p": source}, conditions=walls)).count == 0


@pytest.mark.parametrize("source", ["sin(6*t)", "exp(-t)", "sqrt(t)", "1/t", "log(t + 1)", "t**5 - 3*t"])
def test_smooth_and_singular_functions_have_no_details(source):
    problem = compile_problem(decay(source))
    assert details_of(problem).count == 0
    assert points_of_interest(problem) == {}


def test_points_of_interest_lie_where_functions_vary():
    problem = compile_problem(decay("where(t > 3.3 and t < 3.301, 1, 0)"))
    t = points_of_interest(problem)["decay"].x[0, :, 0]
    assert int(((t > 3.3) & (t < 3.301)).sum()) >= 20


# -- solves ---------------------------------------------------------------------------------------------------------


def test_a_narrow_switch_is_seen():
    exact = "where(t < 7.123, 0, 1 - exp(-min(t - 7.123, 0.003)))*exp(-max(t - 7.126, 0))"
    solution = ps.solve(decay("where(t > 7.123 and t < 7.126, 1, 0)", exact=exact))
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["y"] < 1e-6


@pytest.mark.parametrize("place, width", [(7.71, 0.004), (18.2, 0.0006)])
def test_the_tails_of_a_kick_in_a_long_time_are_seen(place, width):
    """They reach farther than the kick seems to: into a step that is long beside it."""
    z = f"(t - {place!r})/{width!r}"
    kick = ps.Problem(
        name="kick",
        domain=ps.Box(t=(0, 20)),
        unknowns="y",
        equations={"decay": f"D(y, t) = -0.7*y + (1 - tanh({z})**2)/{width!r} + 0.7*(1 + tanh({z}))"},
        conditions={"start": ps.Condition(on="t = 0", equation="y = 1")},
        exact={"y": f"exp(-0.7*t) + 1 + tanh({z})"},
    )
    result = ps.solve(kick, tolerance=1e-8).result
    error, estimate = result["relative_l2_error"]["y"], result["estimated_error"]["y"]
    assert result["status"] == "converged"
    assert error < 1e-8 and error < 5 * estimate


def test_periodic_pulses_are_cut_at_every_jump():
    solution = ps.solve(decay("where(t - 2*floor(t/2) < 0.01, 50, 0)", end=5.0))
    y, pulse = 0.0, 50 * (1 - torch.exp(torch.tensor(-0.01, dtype=torch.float64)))
    for start in (0.0, 2.0, 4.0):
        y += float(pulse * torch.exp(torch.tensor(-(5.0 - start - 0.01), dtype=torch.float64)))
    assert solution.result["status"] == "converged"
    assert float(solution(t=5.0)) == pytest.approx(y, rel=1e-8)


def test_a_narrow_start_is_seen():
    s, a = 2e-3, 0.02
    exact = f"{s}/sqrt({s}**2 + 4*{a}*t)*exp(-(x - 0.613)**2/({s}**2 + 4*{a}*t))"
    problem = ps.Problem(
        name="spike", domain=ps.Box(t=(0, 0.01), x=(0, 1)), unknowns="u",
        equations={"heat": f"D(u, t) = {a}*D(u, x, x)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation=f"u = exp(-((x - 0.613)/{s})**2)"),
            "ends": ps.Condition(on=["x = 0", "x = 1"], equation="u = 0"),
        },
        exact={"u": exact}, solve={"tolerance": 1e-3},
    )  # fmt: skip
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    assert solution.result["relative_l2_error"]["u"] < 1e-3


def test_a_short_pulse_on_the_boundary_is_seen():
    problem = ps.Problem(
        name="flash", domain=ps.Box(t=(0, 5), x=(0, 1)), unknowns="u",
        equations={"heat": "D(u, t) = D(u, x, x)"},
        conditions={
            "start": ps.Condition(on="t = 0", equation="u = 0"),
            "flash": ps.Condition(on="x = 0", equation="u = exp(-((t - 3.21)/0.01)**2)"),
            "cold": ps.Condition(on="x = 1", equation="u = 0"),
        },
        solve={"tolerance": 1e-4},
    )  # fmt: skip
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    assert float(solution(t=3.21, x=0.0)) == pytest.approx(1.0, abs=1e-3)


def test_a_condition_on_a_short_piece_of_a_side_holds():
    problem = ps.Problem(
        name="chip", domain=ps.Box(x=(0, 0.4), y=(0, 0.1)), unknowns="T",
        equations={"heat": "laplacian(T) = 0"},
        conditions={
            "chip": ps.Condition(on="y = 0", where="x > 0.233 and x < 0.236", equation="-D(T, y) = 5000"),
            "rest": ps.Condition(on="y = 0", where="not (x > 0.233 and x < 0.236)", equation="D(T, y) = 0"),
            "cold": ps.Condition(on=["y = 0.1", "x = 0", "x = 0.4"], equation="T = 20"),
        },
        solve={"tolerance": 1e-2},
    )  # fmt: skip
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    assert solution.result["terms"]["chip"]["points"] > 0
    assert float(solution(x=0.2345, y=0.0)) == pytest.approx(42.5, rel=0.1)


@pytest.mark.parametrize(("radius", "center"), [(0.2, (0.21, -0.17)), (0.03, (-0.37, 0.53))])
def test_an_inclusion_that_conducts_well_does_not_float(radius, center):
    """Its value follows from the flux through its boundary, which small residuals inside are not small for."""
    a, b = center
    conductivity = {
        "r2": f"(x - {a})**2 + (y - {b})**2",
        "k": f"where(r2 < {radius}**2, 100, 1)",
        "true": f"where(r2 < {radius}**2, 2/101*(x - {a}), (x - {a})*(1 - 99/101*{radius}**2/max(r2, 1e-9)))",
    }
    problem = ps.Problem(
        name="inclusion", domain=ps.Box(x=(-1, 1), y=(-1, 1)), unknowns="u", definitions=conductivity,
        equations={"p": "div([k*D(u, x), k*D(u, y)]) = 0"},
        conditions={"walls": ps.Condition(on="boundary", equation="u = true")},
        exact={"u": "true"},
    )  # fmt: skip
    compiled = compile_problem(problem)
    space = first_space(compiled)
    zero = torch.zeros(space.cells.count, 1, space.functions, dtype=torch.float64)
    level = solve_level(compiled, space, zero, {}, newton(1e-3))
    x = 2 * torch.rand(2000, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 1
    true = torch.as_tensor(exact_values(problem, x)["u"])
    error = (space.values(level.c, x, (0, 0))[0] - true).norm() / true.norm()
    assert float(error) < 0.1


def test_a_tiny_part_of_a_curve_is_traced():
    scope = Scope(coordinates=("x", "y"))
    level = expression("((x - 0.5)**2 + y**2 - 0.04)*((x + 0.4)**2 + (y - 0.3)**2 - 1e-8)", scope)
    shape = Implicit(level, (X, Y), (-1.0, -1.0), (1.0, 1.0))
    chains = traced_chains(Gradient(shape), shape)
    sizes = sorted(float((points.amax(dim=0) - points.amin(dim=0)).max()) for points, _ in chains)
    assert sizes == pytest.approx([2e-4, 0.4], rel=0.05)


def test_a_detail_that_cells_do_not_see_is_said():
    problem = compile_problem(decay("exp(-((t - 3.3)/0.001)**2)"))
    lower, upper = torch.zeros(1, dtype=torch.float64), torch.full((1,), 10.0, dtype=torch.float64)
    coarse = PouCells(uniform_cells(lower, upper, [20]), (11,), lower, upper)
    (sentence,) = unresolved(problem, coarse, {"decay": 300, "start": 1})
    assert "`decay`" in sentence and "t = 3.3" in sentence
    assert unresolved(problem, PouCells(uniform_cells(lower, upper, [2000]), (11,), lower, upper), {}) == []
