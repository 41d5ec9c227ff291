"""Legendre polynomials: orthonormal in the mean, with numpy's derivatives; degrees that fill a ball."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pinnsolve.bases.legendre import (
    BALL,
    ReferenceTables,
    chebyshev_points,
    exponents,
    held,
    legendre,
    shared_points,
    shared_tables,
    tensor_index,
    tensor_points,
)


def of_numpy(k: int, order: int, s: np.ndarray) -> np.ndarray:
    """The derivative of P~_k = sqrt(2k + 1) P_k."""
    c = np.zeros(k + 1)
    c[k] = math.sqrt(2 * k + 1)
    return np.polynomial.legendre.legval(s, np.polynomial.legendre.legder(c, order))


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 24])
def test_they_are_orthonormal_in_the_mean(degree):
    nodes, weights = np.polynomial.legendre.leggauss(degree + 1)
    table = legendre(torch.tensor(nodes), degree, 0)[0].numpy()
    np.testing.assert_allclose(0.5 * (table.T * weights) @ table, np.eye(degree + 1), atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 12, 20])
@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_derivatives_are_those_of_numpy(degree, order):
    s = np.linspace(-1, 1, 11)
    tables = legendre(torch.tensor(s), degree, order)
    assert tables.shape == (order + 1, 11, degree + 1)
    for k in range(degree + 1):
        true = of_numpy(k, order, s)
        np.testing.assert_allclose(tables[order, :, k].numpy(), true, rtol=1e-10, atol=1e-12 * np.abs(true).max())


def test_any_shape_of_points_will_do():
    s = torch.linspace(-1, 1, 12, dtype=torch.float64)
    flat = legendre(s, 3, 2)
    assert torch.equal(legendre(s.reshape(3, 4), 3, 2), flat.reshape(3, 3, 4, 4))
    assert legendre(s.float(), 3, 0).dtype == torch.float32
    assert legendre(s[:0], 3, 1).shape == (2, 0, 4)


def test_autograd_goes_through():
    s = torch.linspace(-0.9, 0.9, 5, dtype=torch.float64, requires_grad=True)
    tables = legendre(s, 6, 1)
    (found,) = torch.autograd.grad(tables[0].sum(), s)
    torch.testing.assert_close(found, tables[1].detach().sum(dim=1))


# -- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_chebyshev_points_are_the_zeros_of_the_polynomial(count):
    points = chebyshev_points(count)
    assert points.shape == (count,) and (points.diff() > 0).all() and float(points.abs().max()) < 1
    torch.testing.assert_close(torch.cos(count * torch.arccos(points)), torch.zeros(count, dtype=torch.float64))


def test_the_last_axis_of_a_tensor_grid_runs_fastest():
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])
    assert tensor_points([a, b]).tolist() == [[1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5]]
    assert tensor_points([]).shape == (1, 0)


def test_shared_points_stand_on_the_ends_that_are_asked_for():
    points = shared_points((-1.0, 3))
    assert points.shape == (3, 2) and (points[:, 0] == -1).all()
    torch.testing.assert_close(points[:, 1], chebyshev_points(3))


# -- degrees ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [(4,), (2, 3), (0, 5)])
def test_one_or_two_variables_have_the_whole_tensor_product(degrees):
    grid = exponents(degrees)
    assert len(grid) == math.prod(p + 1 for p in degrees)
    assert grid.max(dim=0).values.tolist() == list(degrees)
    assert tensor_index(degrees).tolist() == list(range(len(grid)))


@pytest.mark.parametrize("degrees", [(4, 4, 4), (2, 5, 3), (3, 3, 3, 3), (0, 4, 4), (1, 1, 1), (4, 4), (2, 5), (0, 3)])
def test_three_and_four_variables_have_a_ball_and_fewer_where_they_are_to(degrees):
    ball = exponents(degrees, ball=True)
    assert len(degrees) < BALL or torch.equal(ball, exponents(degrees))
    found = {tuple(k) for k in ball.tolist()}
    expected = {
        k
        for k in np.ndindex(*(p + 1 for p in degrees))
        if sum((a / max(p, 1)) ** 2 for a, p in zip(k, degrees, strict=True)) <= 1 + 1e-12
    }
    assert found == expected
    for axis, p in enumerate(degrees):  # every axis goes up to its own degree
        alone = tuple(p if a == axis else 0 for a in range(len(degrees)))
        assert alone in found
    assert all(  # with every function those of lower degrees
        tuple(v - (a == axis) for a, v in enumerate(k)) in found for k in found for axis in range(len(k)) if k[axis]
    )


def test_the_ball_grows_with_its_degrees():
    small, large = ({tuple(k) for k in exponents(p).tolist()} for p in ((4, 4, 4), (6, 5, 4)))
    assert small < large


@pytest.mark.parametrize("degrees", [(3,), (3, 2), (3, 2, 4), (2, 2, 2, 2)])
def test_places_in_the_tensor_product(degrees):
    whole = tensor_points([torch.arange(p + 1) for p in degrees])
    assert torch.equal(whole[tensor_index(degrees)], exponents(degrees))
    assert torch.equal(whole[tensor_index(degrees, ball=True)], exponents(degrees, ball=True))


def test_what_a_space_holds_is_what_there_is_of_another_one():
    for degrees, ball in (((3, 4), False), ((3, 4), True), ((3, 4, 2), False)):
        wide = exponents(tuple(p + 2 for p in degrees), ball=ball)
        assert torch.equal(wide[held(wide, degrees, ball)], exponents(degrees, ball=ball))


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [(3,), (3, 2), (3, 2, 4)])
def test_tables_are_products_of_axes(degrees):
    d = len(degrees)
    generator = torch.Generator().manual_seed(1)
    points = 2 * torch.rand(2, 5, d, generator=generator, dtype=torch.float64) - 1
    tables = ReferenceTables(points, degrees, (2,) * d)
    assert not tables.shared and tables.points == 5
    for alpha in [(0,) * d, (1,) + (0,) * (d - 1), (0,) * (d - 1) + (2,)]:
        found = tables.table(alpha).numpy()
        assert found.shape == (2, 5, len(exponents(degrees)))
        for column, k in enumerate(exponents(degrees).tolist()):
            true = np.prod([of_numpy(k[a], alpha[a], points[..., a].numpy()) for a in range(d)], axis=0)
            np.testing.assert_allclose(found[..., column], true, rtol=1e-11, atol=1e-11)


def test_shared_tables_are_made_once():
    assert shared_tables((3, 1.0), (2, 2), (1, 1)) is shared_tables((3, 1.0), (2, 2), (1, 1))
    tables = shared_tables((3, 1.0), (2, 2), (1, 1))
    assert tables.shared and tables.table((0, 1)).shape == (1, 3, 9)


def test_a_variable_apart_stands_with_all_products_of_the_others():
    degrees = (3, 4, 5, 4)
    ball = exponents(degrees[1:])
    found = exponents(degrees, 0)
    assert len(found) == 4 * len(ball)
    assert torch.equal(found[: len(ball), 1:], ball)
    assert torch.equal(exponents((3, 4, 5), 0), tensor_points([torch.arange(p + 1) for p in (3, 4, 5)]))
    whole = tensor_points([torch.arange(p + 1) for p in degrees])
    assert torch.equal(whole[tensor_index(degrees, 0)], found)
    disk = exponents((4, 5), ball=True)
    assert torch.equal(exponents((3, 4, 5), 0, True)[:, 1:], disk.repeat(4, 1))


def test_tables_on_a_grid_are_those_at_its_points():
    axes, degrees, orders = (4, -1.0, 5), (3, 2, 4), (1, 0, 2)
    on_grid = shared_tables(axes, degrees, orders, None)
    at_points = ReferenceTables(shared_points(axes)[None], degrees, orders)
    assert on_grid.points == at_points.points == 20
    for alpha in [(0, 0, 0), (1, 0, 0), (1, 0, 2)]:
        torch.testing.assert_close(on_grid.table(alpha), at_points.table(alpha))
