"""Where nonlinear equations of first order have no smooth solution they are refused; before that they are solved."""

from __future__ import annotations

import numpy as np
import pytest

import pinnsolve as ps


def line(equation: str, start: str, unknown: str = "u", **more) -> ps.Problem:
    """An equation on a line: x in [0, 2] and time to 1, if nothing else is said."""
    box, conditions = more.pop("box", {"t": (0, 1), "x": (0, 2)}), more.pop("conditions", {})
    begin = ps.Condition(on="t = 0", equation=f"{unknown} = {start}")
    return ps.Problem(
        name="line",
        domain=ps.Box(**box),
        time="t",
        unknowns=unknown,
        equations={"transport": equation},
        conditions={"start": begin, **conditions},
        **more,
    )


def inflow(equation: str) -> dict:
    return {"inflow": ps.Condition(on="x = 0", equation=equation)}


BURGERS = "D(u, t) + u*D(u, x) = 0"
RING = {"ring": ps.Condition(periodic="x")}


@pytest.mark.parametrize(
    ("equation", "start", "conditions", "words"),
    [
        (BURGERS, "where(x < 0.7, 3, 1)", inflow("u = 3"), "jumps at x = 0.7"),
        ("D(u, t) + D(u**2/2, x) = -u", "where(x < 0.7, 3, 1)", inflow("u = 3"), "jumps at x = 0.7"),
        ("D(u, t) + D(u*(1 - u), x) = 0", "where(x < 1.1, 0.2, 0.9)", inflow("u = 0.2"), "jumps at x = 1.1"),
        (BURGERS, "1 + sin(pi*x)/2", RING, "cross at about t = 0.6366"),
        ("D(u, t) + D(u**3/3, x) = 0", "1 + exp(-9*(x - 0.6)**2)", RING, "cross at about t = 0.1"),
        (BURGERS, "1", inflow("u = 1 + 5*t**2"), "overtakes"),
        (BURGERS, "0.5", inflow("u = where(t < 0.4, 0.5, 0.8)"), "after t = 0.4"),
        (BURGERS, "0.2", inflow("u = 1"), "after t = 0"),
    ],
)
def test_crossing_characteristics_are_refused(equation, start, conditions, words):
    with pytest.raises(ps.ProblemError) as caught:
        line(equation, start, conditions=conditions)
    assert words in str(caught.value) and "weak" in str(caught.value) and "viscosity" in str(caught.value)


@pytest.mark.parametrize(
    ("equation", "start", "conditions"),
    [
        (BURGERS, "where(x < 0.7, 1, 3)", inflow("u = 1")),  # a fan
        (BURGERS, "1 + sin(pi*x)/4", RING),  # would break at 1.27
        (BURGERS, "4 - x", inflow("u = 4/(1 - t/2)")),  # meets at x = 4, outside
        (BURGERS, "2 + x", inflow("u = 2/(1 + t)")),
        ("D(u, t) + 3*D(u, x) = -u**2", "where(x < 0.7, 3, 1)", inflow("u = 3/(1 + 3*t)")),  # linear characteristics
        ("D(u, t) + u*D(u, x) = 1e-2*D(u, x, x)", "where(x < 0.7, 3, 1)", RING),  # viscous
        ("D(u, t) + u*D(u, x) = 1 - x/2", "1 + sin(pi*x)/2", RING),  # left to the solve
    ],
)
def test_what_stays_smooth_is_not(equation, start, conditions):
    line(equation, start, conditions=conditions)


def test_a_start_in_two_dimensions_breaks_along_its_gradient():
    with pytest.raises(ps.ProblemError, match=r"cross at about t = 0\.31"):
        line(
            "D(u, t) + u*D(u, x) + u*D(u, y) = 0",
            "1 + sin(2*pi*(x + y))/4",
            box={"t": (0, 1), "x": (0, 1), "y": (0, 1)},
            conditions={"ring": ps.Condition(periodic=["x", "y"])},
        )


def test_a_system_whose_start_jumps_is_refused():
    with pytest.raises(ps.ProblemError, match=r"start of `h` jumps at x = 0\.3"):
        ps.Problem(
            name="dam",
            domain=ps.Box(t=(0, 0.2), x=(-1, 1)),
            time="t",
            unknowns=["h", "m"],
            equations={"mass": "D(h, t) + D(m, x) = 0", "momentum": "D(m, t) + D(m**2/h + h**2/2, x) = 0"},
            conditions={
                "start": ps.Condition(on="t = 0", equations=["h = where(x < 0.3, 2, 1)", "m = 0"]),
                "sides": ps.Condition(on=["x = -1", "x = 1"], equation="m = 0"),
            },
        )


def test_a_break_that_only_the_march_sees_is_never_called_converged():
    """A Hamilton-Jacobi equation: its slope breaks at t = 0.16, and later slopes would be those of any kink."""
    problem = line(
        "D(s, t) + D(s, x)**2/2 = 0",
        "cos(2*pi*(x - 0.23))/(2*pi)",
        unknown="s",
        box={"t": (0, 0.5), "x": (0, 1)},
        conditions=RING,
        solve={"tolerance": 2e-2, "limits": {"seconds": 60}},
    )
    result = ps.solve(problem).result
    assert result["status"] != "converged"
    assert "weak" in result["message"] and "viscosity" in result["message"]


def test_a_simple_wave_in_shallow_water_is_solved_until_it_breaks():
    """u = 2 (sqrt(h) - 1) travels at the speed 1 + 3 u/2 (Whitham, Linear and Nonlinear Waves, section 13.10)."""
    start, end = "0.1*exp(-4*x**2)", 1.0  # it breaks at 3.9
    problem = ps.Problem(
        name="simple-wave",
        domain=ps.Box(t=(0, end), x=(-4, 5)),
        time="t",
        unknowns=["h", "u"],
        equations={"mass": "D(h, t) + D(h*u, x) = 0", "momentum": "D(u, t) + u*D(u, x) + D(h, x) = 0"},
        conditions={
            "start": ps.Condition(on="t = 0", equations=[f"h = (1 + {start}/2)**2", f"u = {start}"]),
            "sides": ps.Condition(on=["x = -4", "x = 5"], equation="u = 0"),
        },
        solve={"tolerance": 1e-3},
    )
    solution = ps.solve(problem)
    assert solution.result["status"] == "converged"
    x0 = np.linspace(-2, 2, 200)
    u = 0.1 * np.exp(-4 * x0**2)
    values = solution(t=end, x=x0 + (1 + 1.5 * u) * end)
    np.testing.assert_allclose(np.asarray(values["u"]).ravel(), u, atol=1e-4)
    np.testing.assert_allclose(np.asarray(values["h"]).ravel(), (1 + u / 2) ** 2, atol=1e-4)
