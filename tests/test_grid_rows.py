"""Rows on cells: their matrices are the derivatives of their residuals, and exact solutions leave none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_problems import STATEMENTS, box
from torch import Tensor

from pinnsolve.adapt.hp_refinement import make_system
from pinnsolve.assembly.faces import continuity_rows, start_rows
from pinnsolve.assembly.row_source import RowBlock, RowSource, State, residual_norm
from pinnsolve.assembly.schur_complement import gradient
from pinnsolve.assembly.system import CellSystem
from pinnsolve.assembly.term_rows import highest_orders, table_orders, term_rows
from pinnsolve.bases.piecewise.mesh import Cells, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem
from pinnsolve.errors import ResourceError
from pinnsolve.problem.problem import Problem
from pinnsolve.solvers.gauss_newton import Iteration, gauss_newton
from pinnsolve.solvers.memory import bytes_needed, check_memory

NONE = torch.zeros(0, dtype=torch.float64)


def at(c: Tensor) -> State:
    return State(c, NONE)


MORE = {
    "flow": {  # several unknowns, nonlinear, a point inside and a plane inside
        "domain": {"x": (0, 2), "y": (-1, 1)},
        "unknowns": ["u", "v", "p"],
        "equations": {
            "momentum_x": "advect([u, v], u) + D(p, x) = 0.1*laplacian(u)",
            "momentum_y": "advect([u, v], v) + D(p, y) = 0.1*laplacian(v) + x*p",
            "mass": {"equation": "D(u, x) + D(v, y) = exp(u)*D(v, y)", "where": "x + y > 0.2"},
        },
        "conditions": {
            "walls": {"on": "boundary", "equations": ["u = x*y", "v**2 + v = y"]},
            "pin": {"at": {"x": 0.3, "y": 0.1}, "equation": "p = 1"},
            "plane": {"at": {"x": 0.7}, "equation": "Du = v*D(p, y)"},
        },
        "definitions": {"Du": "D(u, x)"},
    },
    "torus": {  # periodic in both, fourth order
        "domain": {"x": (0, 1), "y": (0, 2)},
        "unknowns": "u",
        "equations": {"plate": "D(u, x, 4) + u*D(u, y, y) = sin(pi*y)"},
        "conditions": {"around": {"periodic": ["x", "y"]}},
    },
    "cube": {
        "domain": {"x": (0, 1), "y": (0, 1), "z": (-1, 1)},
        "unknowns": "u",
        "equations": {"cubic": "laplacian(u) + u**3 = x*z"},
        "conditions": {
            "bottom": {"on": "z = -1", "equation": "Dn(u) + u**2 = n_z"},
            "rest": {"on": ["z = 1", "x = 0"], "equation": "u = y"},
        },
    },
}
NAMES = ["poisson", "neumann", "burgers", "system", "periodic", *MORE]
names = pytest.mark.parametrize("name", NAMES)


def compiled(name: str) -> CompiledProblem:
    return compile_problem(Problem(name=name, **(MORE.get(name) or STATEMENTS[name])))


def uneven(problem: CompiledProblem) -> Cells:
    """Cells of several sizes whose faces do not match, inside and across periodic boundaries."""
    d = len(problem.coordinates)
    cells = uniform_cells(*box(problem), [2] * d if d < 3 else [2, 1, 1])
    marked = torch.zeros(cells.count, dtype=torch.bool)
    marked[0] = True
    return cells.split(marked, torch.ones(cells.count, d, dtype=torch.bool))


def space_on(problem: CompiledProblem, cells: Cells | None = None, degree: int = 4) -> Space:
    cells = uneven(problem) if cells is None else cells
    return Space(cells, (degree,) * cells.dimension, table_orders(problem))


def random_state(space: Space, unknowns: int, seed: int = 0, size: float = 0.3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(space.cells.count, unknowns, space.functions, generator=generator, dtype=torch.float64)


def dense(rows: RowBlock, shape: tuple[int, int, int]) -> Tensor:
    """The matrix of a group (G M, C U n)."""
    C, U, n = shape
    G, M = rows.r.shape
    result = torch.zeros(G, M, C, U * n, dtype=torch.float64)
    for cells, A in rows.sides:
        for g, cell in enumerate(cells.tolist()):
            result[g, :, cell] += A[g if A.shape[0] > 1 else 0]
    return result.reshape(G * M, C * U * n)


def continuity(problem: CompiledProblem, space: Space) -> list[RowSource]:
    return continuity_rows(space, problem.coordinates, highest_orders(problem))


def start(problem: CompiledProblem, space: Space, before) -> RowSource:
    axis = problem.coordinates.index(problem.time)
    (source,) = start_rows(space, axis, [order[axis] for order in highest_orders(problem)], before)
    return source


# -- matrices ---------------------------------------------------------------------------------------------------------


@names
def test_gradient_and_blocks_are_those_of_the_rows(name):
    problem = compiled(name)
    space = space_on(problem)
    system = make_system(problem, space, {})
    c = random_state(space, len(problem.unknowns))
    rows = system.rows(at(c))
    A = torch.cat([dense(group, c.shape) for group in rows])
    r = torch.cat([group.r.reshape(-1) for group in rows])
    g = gradient(rows, rows, c.flatten(1))
    torch.testing.assert_close(g.reshape(-1), A.T @ r, rtol=1e-9, atol=1e-10 * float(g.abs().max()))
    assert residual_norm(rows) == pytest.approx(float(r.norm()))
    # one correction is that of the dense least squares, where that has one answer
    factor = system.factorize(rows)
    delta = factor.solve(g).reshape(-1)
    torch.testing.assert_close(
        A.T @ (A @ delta), g.reshape(-1), rtol=0, atol=1e-5 * float(g.abs().max()), msg="A^T A delta = A^T r"
    )


def test_steps_lead_to_the_dense_least_squares():
    problem = compiled("neumann")
    space = space_on(problem)
    system = make_system(problem, space, {})
    zero = system.zero()
    solved = gauss_newton(system, at(zero), Iteration(1e-14))
    rows = system.rows(at(zero))
    A = torch.cat([dense(group, zero.shape) for group in rows])
    r = torch.cat([group.r.reshape(-1) for group in rows])
    expected = np.linalg.lstsq(A.numpy(), -r.numpy(), rcond=None)[0]
    assert solved.converged and solved.factorizations == 1
    np.testing.assert_allclose(
        solved.state.coefficients.reshape(-1).numpy(), expected, atol=1e-10 * np.abs(expected).max()
    )
    assert solved.loss**0.5 == pytest.approx(float((A @ torch.tensor(expected) + r).norm()))


def test_term_weights_multiply_the_loss_of_their_term():
    problem = compiled("neumann")
    space = space_on(problem)
    c = random_state(space, 1)

    def loss(weights):
        return {source.name: source.rows(at(c)).loss for source in term_rows(problem, space, weights)}

    one, other = loss({}), loss({"heat": 9.0})
    assert other["heat"] == pytest.approx(9 * one["heat"])
    assert other["start"] == one["start"]


# -- exact solutions --------------------------------------------------------------------------------------------------

POLYNOMIAL = {  # the forcing is put in for u, v; every kind of row once
    "domain": {"t": (0, 1), "x": (-1, 1)},
    "unknowns": ["u", "v"],
    "definitions": {"a": "x**3*t - 2*x*t**2 + 1", "b": "x**2 + t**3"},
    "equations": {
        "one": "D(u, t) + v*D(u, x) = D(u, x, x) + D(a, t) + b*D(a, x) - D(a, x, x)",
        "two": {"equation": "D(v, t, t) + u*v = D(v, x) + D(b, t, t) + a*b - D(b, x)", "where": "t > 0.3"},
    },
    "conditions": {
        "start": {"on": "t = 0", "equations": ["u = a", "v = b", "D(v, t) = D(b, t)"]},
        "left": {"on": "x = -1", "equations": ["u*v = a*b", "Dn(u) = n_x*D(a, x)"]},
        "right": {"on": "x = 1", "equation": "Dn(v) + v**2 = D(b, x) + b**2", "where": "t < 0.8"},
        "inside": {"at": {"x": 0.3}, "equation": "D(u, x) = D(a, x)"},
        "pin": {"at": {"t": 0.9, "x": -0.7}, "equation": "u = a"},
    },
}


def polynomials(x: Tensor) -> Tensor:
    t, x = x[:, 0], x[:, 1]
    return torch.stack([x**3 * t - 2 * x * t**2 + 1, x**2 + t**3])


def test_exact_polynomials_leave_no_residual():
    problem = compile_problem(Problem(name="polynomial", **POLYNOMIAL))
    space = space_on(problem, degree=5)
    system = make_system(problem, space, {})
    names = {source.name for source in system.sources}
    assert names >= {"one", "two", "start", "left", "right", "inside", "pin", "continuity in t", "continuity in x"}
    exact = system.rows(at(space.project(polynomials, 2)))
    wrong = system.rows(at(space.project(lambda x: polynomials(x) + torch.sin(3 * x.sum(dim=1)), 2)))
    for one, other in zip(exact, wrong, strict=True):
        assert float(one.r.abs().max()) < 1e-11, one.name
        assert one.name.startswith("continuity") or float(other.r.abs().max()) > 1e-3, one.name


def test_a_slab_starts_from_what_was_before():
    problem = compile_problem(Problem(name="polynomial", **POLYNOMIAL))
    space = space_on(problem, degree=5)
    c = space.project(polynomials, 2)
    source = start(problem, space, lambda x, alpha: space.values(c, x, alpha))
    assert float(source.rows(at(c)).r.abs().max()) < 1e-12
    assert source.derivatives == [((0, 0),), ((0, 0), (1, 0))]  # u, v and the time derivative of v are handed over
    assert source.rows(at(c)).r.shape[1] == 3 * source.at.sides[0].tables.points
    other = source.starting_from(lambda x, alpha: space.values(2 * c, x, alpha))
    assert float(other.rows(at(c)).r.abs().max()) > 1e-2
    assert float(source.rows(at(c)).r.abs().max()) < 1e-12  # which stays as it was


def test_rows_outside_of_a_where_are_empty():
    problem = compile_problem(Problem(name="polynomial", **POLYNOMIAL))
    space = space_on(problem)
    c = random_state(space, 2)
    group = next(g for g in term_rows(problem, space, {}) if g.name == "two")
    rows = group.rows(at(c))
    x = space.cells.physical(space.shared([space.points_per_axis(a) for a in (0, 1)])[0])
    outside = x[..., 0] <= 0.3
    assert bool(outside.any()) and not rows.r[outside].any() and rows.r[~outside].all()
    assert not rows.sides[0][1].expand(*rows.r.shape, -1)[outside].any()
    assert group.points == int((~outside).sum())


# -- continuity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poisson", "burgers", "cube", "torus", "flow"])
def test_a_global_polynomial_does_not_jump(name):
    problem = compiled(name)
    space = space_on(problem, degree=6)
    U = len(problem.unknowns)

    def function(x: Tensor) -> Tensor:
        s = x.sum(dim=1)
        return torch.stack([(k + 1) * s**3 - x[:, 0] * s**2 + x[:, -1] for k in range(U)])

    c, broken = space.project(function, U), random_state(space, U)
    groups = continuity(problem, space)
    assert {group.name for group in groups} == {f"continuity in {name}" for name in problem.coordinates}
    for group in groups:
        assert group.kind == "continuity"
        assert float(group.rows(at(c)).r.abs().max()) < 1e-10
        assert float(group.rows(at(broken)).r.abs().max()) > 1e-2


def test_jumps_are_those_of_derivatives_below_the_order():
    problem = compiled("burgers")  # of first order in t, of second in x
    space = space_on(problem, uniform_cells(*box(problem), [2, 2]))
    kinked = space.project(lambda x: (x[:, 1].abs())[None], 1)  # u_x jumps at x = 0, u does not
    steps = space.project(lambda x: (x[:, 1] - 0.5 * (x[:, 0] > 0.5))[None], 1)
    bent = space.project(lambda x: (x[:, 1] * x[:, 1].abs() + (x[:, 0] - 0.5).abs())[None], 1)
    in_t, in_x = continuity(problem, space)
    for function, jumps in ((kinked, (False, True)), (steps, (True, False)), (bent, (False, False))):
        found = [float(group.rows(at(function)).r.abs().max()) > 1e-10 for group in (in_t, in_x)]
        assert tuple(found) == jumps


def test_periodic_faces_meet_though_their_cells_do_not_match():
    problem = compiled("torus")
    cells = uniform_cells(*box(problem), [1, 1])
    cells = cells.split(torch.ones(1, dtype=torch.bool), torch.tensor([[True, True]]))
    marked = torch.tensor([True, False, False, False])
    space = space_on(problem, cells.split(marked, torch.ones(4, 2, dtype=torch.bool)), degree=14)
    c = space.project(lambda x: (torch.sin(2 * np.pi * x[:, 0]) * torch.cos(np.pi * x[:, 1]))[None], 1)
    broken = space.project(lambda x: (x[:, 0] + x[:, 1] ** 2)[None], 1)
    groups = [g for g in term_rows(problem, space, {}) if g.name.startswith("around")]
    assert len(groups) == 2
    for group in groups:
        assert float(group.rows(at(c)).r.abs().max()) < 1e-6
        assert float(group.rows(at(broken)).r.abs().max()) > 1e-2


# -- data, memory -----------------------------------------------------------------------------------------------------


def test_every_measurement_counts_the_same(tmp_path):
    random = np.random.default_rng(0)
    x = np.concatenate([0.1 * random.random(30), random.random(5)])  # most of them in one cell
    table = np.column_stack([x, np.sin(x)])
    np.savetxt(tmp_path / "probes.csv", table, delimiter=",", header="x,a", comments="", fmt="%.17g")
    problem = compile_problem(
        Problem(
            name="data",
            domain={"x": (0, 1)},
            unknowns="u",
            equations={"e": "D(u, x) = u"},
            data={"probes": {"file": "probes.csv", "equation": "u = a"}},
            folder=tmp_path,
        )
    )
    space = space_on(problem, uniform_cells(*box(problem), [4]))
    c = random_state(space, 1)
    group = next(g for g in term_rows(problem, space, {}) if g.name == "probes")
    rows = group.rows(at(c))
    misfit = space.values(c, torch.tensor(x)[:, None], (0,))[0] - torch.tensor(np.sin(x))
    assert float((rows.r**2).sum()) == pytest.approx(float((misfit**2).mean()))
    assert group.points == 35
    direction = random_state(space, 1, 3)
    moved = group.rows(at(c + direction), matrix=False).r - rows.r
    torch.testing.assert_close(dense(rows, c.shape) @ direction.reshape(-1), moved.reshape(-1))


def test_memory_grows_with_what_is_held_and_is_refused_in_a_sentence():
    problem = compiled("poisson")
    small, large = (make_system(problem, space_on(problem, uniform_cells(*box(problem), [n, n])), {}) for n in (2, 8))
    assert bytes_needed(large) > 10 * bytes_needed(small)
    C, n = large.space.cells.count, large.columns
    assert bytes_needed(large) > 8 * C * n * n  # at least the diagonal blocks
    check_memory(large, 1e12)
    with pytest.raises(ResourceError, match=r"1600 coefficients, needs .* GB, and 1e-06 GB .*limits.memory_gb"):
        check_memory(large, 1e3)


def test_a_term_that_is_not_finite_is_named():
    problem = compiled("burgers")
    space = space_on(problem)
    system = CellSystem(space, [*term_rows(problem, space, {}), *continuity(problem, space)], 1)
    huge = torch.full((space.cells.count, 1, space.functions), 1e200, dtype=torch.float64)
    with pytest.raises(ArithmeticError, match=r"term `\w+` is not finite"):
        gauss_newton(system, at(huge), Iteration(1e-6))


def test_norms_are_root_mean_squares():
    problem = compiled("poisson")
    space = replace(space_on(problem), degrees=(1, 1))
    c = space.project(lambda x: torch.stack([x[:, 0], torch.full_like(x[:, 0], -3.0)]), 2)
    found = space.rms(c)
    assert found.tolist() == pytest.approx([np.sqrt(4 / 3), 3.0])  # x in [0, 2]
