"""Rows against differences of the residuals they linearize, blocks against the whole, scaling against the loss."""

from __future__ import annotations

import math

import pytest
import torch
from small_problems import STATEMENTS, assembled, basis_for, compiled, random_state, stated

from pinnsolve.assembly.collocation import term_weights, zero_state
from pinnsolve.assembly.normal_blocks import PANEL, gram
from pinnsolve.assembly.row_source import State, stacked
from pinnsolve.assembly.rows import Assembly, losses
from pinnsolve.compiler.compiler import compile_problem
from pinnsolve.compiler.terms import CompiledProblem

names = pytest.mark.parametrize("name", STATEMENTS)
LINEAR = {"poisson", "neumann", "periodic"}


@pytest.fixture
def arranged(name, tmp_path):
    """A problem with a basis, an assembly of unequal weights and a state that is not zero."""
    problem = compiled(name, tmp_path)
    basis = basis_for(problem)
    weights = {t.name: 0.5 + i for i, t in enumerate(problem.terms)}
    return problem, basis, assembled(problem, weights=weights), random_state(problem, basis)


def whole(assembly: Assembly, basis, state, **options) -> tuple[torch.Tensor, torch.Tensor]:
    blocks = list(assembly.blocks(basis, state, **options))
    return stacked(blocks)


def differences(assembly: Assembly, basis, state: State, h: float = 1e-6) -> torch.Tensor:
    """d(residual vector)/d(state) by central differences, (rows, coefficients and parameters)."""
    n = state.vector().numel()
    columns = []
    for j in range(n):
        unit = torch.zeros(n, dtype=torch.float64)
        unit[j] = 1.0
        there, back = (assembly.residual_vector(basis, state.moved(unit, s * h)) for s in (1, -1))
        columns.append((there - back) / (2 * h))
    return torch.stack(columns, dim=1)


# -- rows ---------------------------------------------------------------------------------------------------


@names
def test_rows_are_the_derivatives_of_the_residuals(arranged):
    _, basis, assembly, state = arranged
    A, r = whole(assembly, basis, state)
    assert A.shape == (assembly.row_count, state.vector().numel())
    assert torch.equal(r, assembly.residual_vector(basis, state))
    expected = differences(assembly, basis, state)
    torch.testing.assert_close(A, expected, rtol=1e-6, atol=1e-7 * float(expected.abs().max()))


@names
def test_rows_of_a_linear_problem_give_its_residuals_everywhere(arranged, name):
    problem, basis, assembly, state = arranged
    A, r = whole(assembly, basis, state)
    other = random_state(problem, basis, seed=7, size=3.0)
    moved = assembly.residual_vector(basis, other)
    predicted = r + A @ (other.vector() - state.vector())
    agree = torch.allclose(moved, predicted, rtol=1e-10, atol=1e-10 * float(moved.abs().max()))
    assert agree == problem.linear == (name in LINEAR)


@names
@pytest.mark.parametrize("rows", [1, 7, 8, 10_000])
def test_blocks_of_any_size_give_the_same_rows(arranged, rows):
    _, basis, assembly, state = arranged
    blocks = list(assembly.blocks(basis, state, rows=rows))
    for term, expected in zip(assembly.terms, assembly.blocks(basis, state), strict=True):
        count = len(term.term.residuals)
        mine = [b for b in blocks if b.name == expected.name]
        assert len(mine) == math.ceil(term.points.count / rows)
        assert max(b.r.numel() for b in mine) <= rows * count
        A = torch.cat([b.A.reshape(count, -1, b.A.shape[1]) for b in mine], dim=1)
        r = torch.cat([b.r.reshape(count, -1) for b in mine], dim=1)
        torch.testing.assert_close(A.reshape(expected.A.shape), expected.A, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(r.reshape(-1), expected.r[0], rtol=1e-13, atol=1e-14)


@names
def test_hidden_parameters_given_are_those_taken(arranged):
    _, basis, assembly, state = arranged
    other = {name: 1.1 * value for name, value in basis.hidden.items()}
    expected, r = whole(assembly, basis.with_hidden(other), state)
    A, s = whole(assembly, basis, state, hidden=other)
    assert torch.equal(A, expected) and torch.equal(r, s)
    assert not torch.allclose(A, whole(assembly, basis, state)[0])
    assert torch.equal(assembly.residual_vector(basis, state, other), r)


@names
def test_residuals_are_differentiable_in_the_hidden_parameters(arranged):
    _, basis, assembly, state = arranged
    hidden = {name: value.clone().requires_grad_(True) for name, value in basis.hidden.items()}
    loss = assembly.residual_vector(basis, state, hidden).square().sum()
    loss.backward()
    name = "layer0.slopes"
    direction = torch.randn(hidden[name].shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def moved(h: float) -> float:
        changed = {**basis.hidden, name: basis.hidden[name] + h * direction}
        return float(assembly.residual_vector(basis, state, changed).square().sum())

    slope = (moved(1e-6) - moved(-1e-6)) / 2e-6
    assert float((hidden[name].grad * direction).sum()) == pytest.approx(slope, rel=1e-6)


# -- residuals and their scale ------------------------------------------------------------------------------


def test_residuals_are_those_of_the_equations_written_out():
    problem = compiled("neumann")
    basis = basis_for(problem)
    assembly, state = assembled(problem), random_state(problem, basis)
    c = state.coefficients[0]

    def derivative(x, *alpha):
        return basis.derivatives(x, [alpha])[alpha] @ c

    residuals = assembly.unscaled_residuals(basis, state)
    x = assembly.points["heat"].x[0]
    heat = derivative(x, 1, 0) - (1 + x[:, 1] ** 2) * derivative(x, 0, 2) - torch.sin(x[:, 0])
    torch.testing.assert_close(residuals["heat"][0], heat, rtol=1e-12, atol=1e-12)
    x = assembly.points["start"].x[0]
    start = derivative(x, 0, 0) - torch.cos(torch.pi * x[:, 1])
    torch.testing.assert_close(residuals["start"][0], start, rtol=1e-12, atol=1e-12)
    x, n = assembly.points["flux"].x[0], assembly.points["flux"].normals
    assert (x[:, 0] > 0.3).all() and set(n[:, 1].tolist()) == {-1.0, 1.0}
    flux = n[:, 1] * derivative(x, 0, 1) + 3 * derivative(x, 0, 0) - n[:, 1]
    torch.testing.assert_close(residuals["flux"][0], flux, rtol=1e-12, atol=1e-12)


def test_periodic_residuals_compare_both_sides():
    problem = compiled("periodic")
    basis = basis_for(problem)
    assembly, state = assembled(problem), random_state(problem, basis)
    here, there = assembly.points["ring"].x
    assert (here[:, 1] == 0).all() and torch.allclose(there[:, 1], torch.tensor(2 * math.pi, dtype=torch.float64))
    values = []
    for alpha in ((0, 0), (0, 1)):
        first, second = (basis.derivatives(x, [alpha])[alpha] @ state.coefficients[0] for x in (here, there))
        values.append(first - second)
    found = assembly.unscaled_residuals(basis, state)["ring"]
    for mine, expected in zip(found, values, strict=True):
        sign = 1 if mine[0] * expected[0] > 0 else -1
        torch.testing.assert_close(sign * mine, expected, rtol=1e-11, atol=1e-11)


def test_data_residuals_take_their_columns_and_parameters(tmp_path):
    problem = compiled("inverse", tmp_path)
    basis = basis_for(problem)
    assembly, state = assembled(problem), random_state(problem, basis)
    points = assembly.points["probes"]
    values = basis.derivatives(points.x[0], [(0, 0)])[(0, 0)] @ state.coefficients[0]
    rate = float(state.parameters[1])
    assert rate == pytest.approx(-0.9)
    found = assembly.unscaled_residuals(basis, state)["probes"][0]
    torch.testing.assert_close(found, (1 + rate) * values - points.columns["measured"], rtol=1e-12, atol=1e-13)


@names
def test_the_loss_is_the_sum_of_weighted_means(arranged):
    problem, basis, assembly, state = arranged
    unscaled = assembly.unscaled_residuals(basis, state)
    parts = assembly.residual_parts(basis, state)
    found = losses(parts)
    for i, term in enumerate(problem.terms):
        count = assembly.points[term.name].count
        assert unscaled[term.name].shape == (len(term.residuals), count)
        expected = (0.5 + i) * float(unscaled[term.name].square().sum(dim=0).mean())
        assert found[term.name] == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(parts[term.name], unscaled[term.name] * math.sqrt((0.5 + i) / count))
    total = float(assembly.residual_vector(basis, state).square().sum())
    assert total == pytest.approx(math.fsum(found.values()), rel=1e-12)


@names
def test_states_keep_coefficients_and_parameters_apart(arranged):
    problem, basis, _, state = arranged
    n = len(problem.unknowns) * basis.width
    delta = torch.arange(1.0, n + len(problem.unknown_parameters) + 1, dtype=torch.float64)
    moved = state.moved(delta, 0.5)
    torch.testing.assert_close(moved.vector(), state.vector() + 0.5 * delta)
    assert moved.coefficients.shape == (len(problem.unknowns), basis.width)
    torch.testing.assert_close(moved.parameters - state.parameters, 0.5 * delta[n:])


# -- automatic weights --------------------------------------------------------------------------------------


def weighted_rows(problem: CompiledProblem, basis) -> dict[str, float]:
    """The mean square over points of each term's rows at the zero state, with the automatic weights."""
    assembly = assembled(problem)
    weights = term_weights(problem, None, assembly.points, basis)
    found = {}
    for block in Assembly(problem, assembly.points, weights).blocks(basis, zero_state(problem, basis)):
        found[block.name] = float(block.A.square().sum())
    return found


def test_automatic_weights_make_the_rows_of_terms_equally_large():
    problem = compiled("poisson")
    found = weighted_rows(problem, basis_for(problem))
    assert found["poisson"] == pytest.approx(found["walls"], rel=0.2)
    assert term_weights(problem, None, assembled(problem).points, basis_for(problem))["walls"] == 1.0


def test_weights_that_are_given_are_taken_and_the_others_are_one():
    problem = compiled("poisson")
    found = term_weights(problem, {"poisson": 0.25}, assembled(problem).points, basis_for(problem))
    assert found == {"poisson": 0.25, "walls": 1.0}


# -- what equations may hold --------------------------------------------------------------------------------

EQUATIONS = {
    "steps": "D(u, x, x) = where(x < 0.5, 1, 0)",
    "thirds": "D(u, x, x) + where(x < 0.5, 1/3, 2/3)*u = where(x < 0.2, 1/3, 0.1)",
    "large": "10**30*u = 10**30*x",
    "numbers": "sin(sqrt(2))*D(u, x) + sqrt(2)*u = exp(sqrt(2))",
    "bessel": "D(u, x) = bessel_j(1, u) + bessel_j(0, x)",
    "max": "D(u, x) = max(u, 0.3, x)",
    "piecewise": "D(u, x) = where(u < 0.1, u**2, sin(u))",
    "constant": "u = 1",
}


@pytest.mark.parametrize("text", EQUATIONS.values(), ids=EQUATIONS)
def test_rows_of_equations_with_special_functions(text):
    changes = {"domain": {"x": (0, 1)}, "equations": {"special": text}, "conditions": {}}
    problem = compile_problem(stated("poisson", **changes))
    basis = basis_for(problem)
    assembly, state = assembled(problem), random_state(problem, basis)
    A, r = whole(assembly, basis, state)
    assert A.dtype == r.dtype == torch.float64
    expected = differences(assembly, basis, state)
    torch.testing.assert_close(A, expected, rtol=1e-6, atol=1e-7 * float(expected.abs().max()))


def test_numbers_chosen_by_a_condition_are_in_double_precision():
    changes = {"domain": {"x": (0, 1)}, "equations": {"steps": "u = where(x < 0.5, 1/3, 0.1)"}, "conditions": {}}
    problem = compile_problem(stated("poisson", **changes))
    basis = basis_for(problem)
    residual = assembled(problem).unscaled_residuals(basis, zero_state(problem, basis))["steps"]
    assert set(residual.flatten().tolist()) == {-1 / 3, -0.1}


def test_half_a_product_and_its_mirror_image_are_the_product():
    A = torch.randn(2, 30, 2 * PANEL + 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(gram(A), A.mT @ A)
