"""Newton's method from where it has to start: stationary points, domains of functions, branches, stated guesses."""

from __future__ import annotations

import pytest

import pinnsolve as ps

LINE = ps.Box(z=(0, 1))
WALLS = {"walls": ps.Condition(on="boundary", equation="v = 0")}


def problem(equation, conditions=None, domain=LINE, unknown="v", **more):
    return ps.Problem(
        name="guess", domain=domain, unknowns=unknown, equations={"law": equation}, conditions=conditions or {}, **more
    )


def outcome(result):
    return result["status"], " ".join(result.get("warnings", ()))


@pytest.mark.parametrize(
    ("law", "exact"), [("v**2 = 2 + 3*z", "sqrt(2 + 3*z)"), ("v**4 = 7*exp(z)", "7**(1/4)*exp(z/4)")]
)
def test_a_stationary_point_at_zero_is_left_and_the_other_root_is_told_of(law, exact):
    result = ps.solve(problem(law, exact={"v": exact})).result
    assert outcome(result)[0] == "converged" and result["relative_l2_error"]["v"] < 1e-6
    assert "more than one solution" in outcome(result)[1]


def test_a_root_far_from_the_stationary_points_is_found():
    result = ps.solve(problem("v**3 - 3*v + 3 + z/10 = 0")).result
    assert result["status"] == "converged"


@pytest.mark.parametrize("law", ["v**2 = -1 - z", "v**4 + v**2 + 1 = 0"])
def test_what_has_no_solution_does_not_converge(law):
    result = ps.solve(problem(law)).result
    assert result["status"] != "converged" and "`law` does not hold" in result["message"]
    assert result["estimated_error"]["v"] >= 1


def test_many_functions_with_kinks_are_refused_and_viscosity_is_named():
    plane = ps.Box(a=(0, 2), b=(0, 1))
    result = ps.solve(problem("grad_dot(v, v) = 4", WALLS, plane), tolerance=1e-2).result
    assert result["status"] != "converged" and "viscosity" in result["message"]


def test_a_kink_between_cells_is_no_way_to_meet_an_equation_of_first_order():
    result = ps.solve(problem("D(v, z)**2 = 1", WALLS)).result
    assert result["status"] != "converged" and "viscosity" in result["message"]


def test_a_system_that_is_symmetric_in_its_unknowns():
    stated = ps.Problem(
        name="circle", domain=LINE, unknowns=["v", "w"], equations={"a": "v**2 + w**2 = 4 + z", "b": "v*w = 1"}
    )
    result = ps.solve(stated).result
    assert result["status"] == "converged" and "more than one solution" in outcome(result)[1]


def test_an_eikonal_equation_with_a_smooth_solution_is_solved():
    exact = "sqrt((a + 1)**2 + (b + 2)**2)"
    wall = {"walls": ps.Condition(on="boundary", equation=f"v = {exact}")}
    result = ps.solve(problem("grad_dot(v, v) = 1", wall, ps.Box(a=(0, 1), b=(0, 1)), exact={"v": exact})).result
    assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-6


@pytest.mark.parametrize("law", ["-D(v, z, z) = v**3", "-D(v, z, z) = 20*sin(v)"])
def test_the_zero_solution_is_doubted_and_a_guess_leads_to_another(law):
    trivial = ps.solve(problem(law, WALLS))
    assert trivial.result["status"] == "converged" and "may have other solutions" in outcome(trivial.result)[1]
    other = ps.solve(problem(law, WALLS, guess={"v": "4*sin(pi*z)"}))
    assert outcome(other.result) == ("converged", "") and float(other(z=0.5)) > 1


@pytest.mark.parametrize(
    ("rate", "first", "exact"),
    [
        ("-0.5*sqrt(v)", "1", "(1 - s/4)**2"),
        ("-sqrt(v)", "4", "(2 - s/2)**2"),
        ("-1/v", "3", "sqrt(9 - 2*s)"),
        ("-log(v)*v", "1/2", "exp(-log(2)*exp(-s))"),
    ],
)
def test_slabs_whose_prolonged_start_leaves_the_domain_of_a_function(rate, first, exact):
    start = {"start": ps.Condition(on="s = 0", equation=f"v = {first}")}
    stated = problem(f"D(v, s) = {rate}", start, ps.Box(s=(0, 3)), time="s", exact={"v": exact})
    result = ps.solve(stated).result
    assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-6


@pytest.mark.parametrize(("guess", "sign"), [(None, -1), ({"v": "4 + 4*s"}, 1)])
def test_one_branch_is_followed_and_doubted_where_no_guess_chooses_it(guess, sign):
    start = {"start": ps.Condition(on="s = 0", equation="v = 4")}
    exact = {"v": f"(2 + {sign}*3*s/2)**2"}
    more = {} if guess is None else {"guess": guess}
    stated = problem("D(v, s)**2 = 9*v", start, ps.Box(s=(0, 1)), time="s", exact=exact, **more)
    result = ps.solve(stated).result
    assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-6
    assert ("more than one solution" in outcome(result)[1]) == (guess is None)


def test_the_p_laplacian_on_a_disk_and_on_a_line():
    rim = {"rim": ps.Condition(on="boundary", equation="v = 0")}
    disk = ps.Shape({"disk": {"center": [1, 0], "radius": 2}}, "a b")
    slope = {"g": "sqrt(D(v, a)**2 + D(v, b)**2)"}
    exact = "2/3*sqrt(1/2)*(2**1.5 - ((a - 1)**2 + b**2)**0.75)"
    law = "-div([g*D(v, a), g*D(v, b)]) = 1"
    line = problem("-D(abs(D(v, z))*D(v, z), z) = 1", WALLS, exact={"v": "2/3*((1/2)**1.5 - abs(z - 1/2)**1.5)"})
    for stated in (problem(law, rim, disk, definitions=slope, exact={"v": exact}), line):
        result = ps.solve(stated, tolerance=1e-2).result
        assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-2


def bratu(**more):
    return problem("D(v, z, z) + 3*exp(v) = 0", WALLS, **more)


def test_a_guess_chooses_a_solution_and_a_run_is_one(tmp_path):
    low, high = ps.solve(bratu()), ps.solve(bratu(guess={"v": "8*z*(1 - z)"}))
    assert low.result["status"] == high.result["status"] == "converged"
    assert float(low(z=0.5)) == pytest.approx(0.6401, abs=1e-3) and float(high(z=0.5)) == pytest.approx(
        1.9753, abs=1e-3
    )
    again = ps.solve(bratu(guess={"run": high.save(tmp_path / "before")}))
    assert float(again(z=0.5)) == pytest.approx(float(high(z=0.5)), rel=1e-6)


def test_guesses_are_written_and_read_again(tmp_path):
    written = bratu(guess="8*z*(1 - z)").spec.to_yaml()
    file = tmp_path / "again.yaml"
    file.write_text(written)
    assert ps.load(file).spec.guess == {"v": "8*z*(1 - z)"}


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        ({"w": "1"}, "`w` is not an unknown"),
        ({"v": "1 +"}, "guess.v"),
        ({"v": "v + 1"}, "guess.v"),
        ({"run": "nowhere"}, "holds no solution"),
        ([{"v": "1"}, {"w": "2"}], "`w` is not an unknown"),
    ],
)
def test_wrong_guesses_are_told_before_the_solve(guess, said):
    with pytest.raises(ps.ProblemError) as found:
        bratu(guess=guess)
    assert said in str(found.value)


@pytest.mark.parametrize(("force", "parameters"), [("1e300", {}), ("-k*z", {"k": "2e160"}), ("exp(500)*z", {})])
def test_numbers_whose_squares_overflow_are_refused(force, parameters):
    with pytest.raises(ps.ProblemError, match="beyond double precision"):
        problem(f"D(v, z, z) = {force}", WALLS, parameters=parameters)


def test_large_numbers_whose_squares_are_numbers_are_solved():
    result = ps.solve(problem("D(v, z, z) = 1e100", WALLS, exact={"v": "5e99*z*(z - 1)"})).result
    assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-6


@pytest.mark.parametrize("basis", [{"kind": "mlp", "width": 60}, {"kind": "pou_grid", "partitions": 3, "degree": 6}])
def test_a_guess_is_where_other_bases_start_too(basis):
    high = ps.solve(bratu(guess="8*z*(1 - z)"), basis=basis, method="least_squares", tolerance=1e-4)
    assert high.result["status"] == "converged" and float(high(z=0.5)) == pytest.approx(1.9753, abs=1e-3)


WELL = "-D(v, z, z)/2 - 15/cosh(z - 1)**2*v = level*v"


@pytest.mark.parametrize(("guess", "level"), [(-11, -12.5), (-4, -4.5)])
def test_an_eigenvalue_is_the_one_that_is_nearest_to_its_guess(guess, level):
    held = {
        "ends": ps.Condition(on="boundary", equation="v = 0"),
        "scale": ps.Condition(at={"z": 1}, equation="v = 1"),
    }
    stated = problem(WELL, held, ps.Box(z=(-7, 9)), unknown_parameters={"level": {"guess": guess}})
    result = ps.solve(stated).result
    assert result["status"] == "converged"
    assert result["parameters"]["level"]["value"] == pytest.approx(level, abs=1e-4)


def test_a_parameter_that_is_found_far_from_its_guess_is_doubted():
    held = {**WALLS, "slope": ps.Condition(on="z = 0", equation="D(v, z) = 1")}
    stated = problem("k*D(v, z, z) = -8", held, unknown_parameters={"k": {"guess": 1}})
    result = ps.solve(stated).result
    assert result["parameters"]["k"]["value"] == pytest.approx(4, rel=1e-6)
    assert "far from its guess" in outcome(result)[1]


def test_of_several_branches_the_one_that_the_start_states():
    """Clairaut's equation has a line for every slope; from zero, Newton's method ends between two of them."""
    start = {"start": ps.Condition(on="z = 0", equations=["v = 1", "D(v, z) = -1"])}
    result = ps.solve(problem("v = z*D(v, z) + D(v, z)**2", start, exact={"v": "1 - z"})).result
    assert result["status"] == "converged" and result["relative_l2_error"]["v"] < 1e-6


def test_a_network_of_a_problem_that_evolves_begins_with_a_rough_solution():
    """From nothing, Newton's method ends at u = 0, for which the equation holds, and the start nearly."""
    logistic = ps.Problem(
        name="logistic", domain=ps.Box(t=(0, 10)), unknowns="u", equations={"growth": "D(u, t) = u*(1 - u)"},
        conditions={"start": ps.Condition(on="t = 0", equation="u = 0.01")}, exact={"u": "1/(1 + 99*exp(-t))"},
        solve={"method": "varpro", "basis": {"kind": "mlp", "width": 8, "activation": "tanh"}, "tolerance": 1e-3,
               "optimizer": {"steps": 20}},
    )  # fmt: skip
    solution = ps.solve(logistic)
    assert solution.result["status"] == "converged" and solution.result["relative_l2_error"]["u"] < 1e-3
    assert len(solution.history) <= 21 and solution.result["method"] == "varpro"
