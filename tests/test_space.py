"""Polynomials on cells: exact for polynomials, the same function in richer spaces, and a basis like any other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pinnsolve.bases import restore_basis
from pinnsolve.bases.jets import indices_to_order
from pinnsolve.bases.legendre import exponents
from pinnsolve.bases.piecewise.basis import PouCells
from pinnsolve.bases.piecewise.mesh import Cells, uniform_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.errors import PinnsolveError
from pinnsolve.estimate.enriched_space import enriched_space
from pinnsolve.language.symbols import MAX_ORDER
from pinnsolve.results.solution import Solution, load_solution

LOWER, UPPER = [-1.0, 0.5, 2.0], [3.0, 1.0, 2.7]
dimensions = pytest.mark.parametrize("dimension", [1, 2, 3])


def box(dimension: int) -> tuple[Tensor, Tensor]:
    return torch.tensor(LOWER[:dimension], dtype=torch.float64), torch.tensor(UPPER[:dimension], dtype=torch.float64)


def cells_of(dimension: int) -> Cells:
    """A few cells of several sizes, whose faces do not match."""
    cells = uniform_cells(*box(dimension), [2] * dimension)
    marked = torch.zeros(cells.count, dtype=torch.bool)
    marked[:2] = True
    axes = torch.zeros(cells.count, dimension, dtype=torch.bool)
    axes[0], axes[1, -1] = True, True
    return cells.split(marked, axes)


def space_of(dimension: int, degree: int = 4) -> Space:
    degrees = tuple(degree + a for a in range(dimension))
    return Space(cells_of(dimension), degrees, (2,) * dimension)


def points_in(dimension: int, count: int = 200, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    lower, upper = box(dimension)
    return lower + (upper - lower) * torch.rand(count, dimension, generator=generator, dtype=torch.float64)


def random_function(space: Space, unknowns: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(space.cells.count, unknowns, space.functions, generator=generator, dtype=torch.float64)


class Monomials:
    """A polynomial of total degree at most 3 in any number of coordinates, and its derivatives."""

    def __init__(self, dimension: int, seed: int = 0):
        self.terms = list(indices_to_order(dimension, 3))
        generator = torch.Generator().manual_seed(seed)
        self.c = torch.randn(len(self.terms), generator=generator, dtype=torch.float64)

    def __call__(self, x: Tensor, alpha: tuple[int, ...]) -> Tensor:
        total = torch.zeros(len(x), dtype=torch.float64)
        for factor, k in zip(self.c, self.terms, strict=True):
            if all(p >= a for p, a in zip(k, alpha, strict=True)):
                product = factor.expand(len(x))
                for axis, (p, a) in enumerate(zip(k, alpha, strict=True)):
                    product = product * math.perm(p, a) * x[:, axis] ** (p - a)
                total = total + product
        return total


def two_of(one: Monomials, other: Monomials, alpha):
    return lambda x: torch.stack([one(x, alpha), other(x, alpha)])


# -- spaces -----------------------------------------------------------------------------------------------------------


@dimensions
def test_projected_polynomials_are_exact(dimension):
    space = space_of(dimension, 4 if dimension < 3 else 6)  # a ball of degree 6 holds all of total degree 3
    zero = (0,) * dimension
    one, other = Monomials(dimension, 1), Monomials(dimension, 2)
    c = space.project(two_of(one, other, zero), 2)
    assert c.shape == (space.cells.count, 2, space.functions)
    x = points_in(dimension)
    alphas = indices_to_order(dimension, 3)
    found = space.combined(c, x, alphas)
    for alpha in alphas:
        true = two_of(one, other, alpha)(x)
        size = float(true.abs().max() + found[zero].abs().max())
        # in rounding every derivative costs 2/h and more
        torch.testing.assert_close(found[alpha], true, rtol=0, atol=1e-12 * 30.0 ** sum(alpha) * size)


@dimensions
def test_projecting_what_the_space_holds_gives_it_back(dimension):
    space = space_of(dimension)
    c = random_function(space)
    again = space.project(lambda x: space.values(c, x, (0,) * dimension), 2)
    torch.testing.assert_close(again, c, rtol=1e-10, atol=1e-10)


@dimensions
def test_squares_of_coefficients_are_the_mean_square(dimension):
    space = Space(cells_of(dimension), (3,) * dimension, (0,) * dimension)
    c = random_function(space, 1)
    x = points_in(dimension, 60_000)
    sampled = float((space.values(c, x, (0,) * dimension) ** 2).mean())
    exact = float(((c**2).sum(dim=2) * space.cells.volume[:, None]).sum() / space.cells.volume.sum())
    assert sampled == pytest.approx(exact, rel=0.05)


@dimensions
def test_widened_keeps_the_function(dimension):
    space = space_of(dimension)
    c, x = random_function(space), points_in(dimension)
    larger = Space(space.cells, tuple(p + 1 + a for a, p in enumerate(space.degrees)), space.orders)
    wide = space.widened(c, larger)
    for alpha in indices_to_order(dimension, 1):
        torch.testing.assert_close(larger.values(wide, x, alpha), space.values(c, x, alpha), rtol=1e-9, atol=1e-9)
    assert torch.equal(larger.widened(wide, space), c)


def test_widened_cuts_off_what_a_smaller_space_does_not_hold():
    space = space_of(2)
    smaller = Space(space.cells, (2, 7), space.orders)
    cut = space.widened(random_function(space), smaller)
    assert cut.shape[2] == smaller.functions
    kept = (exponents(space.degrees)[:, 0] <= 2).sum()
    assert int((cut[0, 0] != 0).sum()) == int(kept)


def test_a_space_whose_degrees_fill_a_ball_is_one_of_fewer_functions():
    whole = space_of(2, degree=5)
    space = replace(whole, ball=True)
    c = random_function(space)
    assert space.functions < whole.functions
    assert torch.equal(space.gather(space.spread(c)), c)
    lower, upper = box(2)
    x = lower + torch.rand(40, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * (upper - lower)
    for alpha in indices_to_order(2, 2):
        expected = whole.values(space.widened(c, whole), x, alpha)
        torch.testing.assert_close(space.values(c, x, alpha), expected, rtol=1e-12, atol=1e-12)
    cubic = space.project(lambda x: (x[:, 0] ** 2 * x[:, 1])[None], 1)
    torch.testing.assert_close(space.values(cubic, x, (0, 0))[0], x[:, 0] ** 2 * x[:, 1], rtol=1e-9, atol=1e-9)
    known = enriched_space(space)
    assert known.ball and torch.equal(known.widened(space.widened(c, known), space), c)


def test_the_richer_space_of_a_ball_sees_what_is_odd_in_one_coordinate():
    space = replace(space_of(2), degrees=(7, 7), ball=True)
    added = enriched_space(space).exponents
    assert ((added[:, 0] == 9) & (added[:, 1] == 0)).any()


@dimensions
def test_spread_and_gather_are_inverse(dimension):
    space = space_of(dimension)
    c = random_function(space)
    spread = space.spread(c)
    assert spread.shape[2:] == tuple(p + 1 for p in space.degrees)
    assert torch.equal(space.gather(spread), c)
    assert float(spread.abs().sum()) == pytest.approx(float(c.abs().sum()))


def test_long_lists_of_points_come_in_blocks(monkeypatch):
    space = space_of(2)
    c, x = random_function(space), points_in(2)
    whole = space.combined(c, x, [(0, 0), (1, 1)])
    monkeypatch.setattr("pinnsolve.bases.piecewise.space.BLOCK_NUMBERS", 7 * space.functions)
    for alpha, values in space.combined(c, x, [(0, 0), (1, 1)]).items():
        torch.testing.assert_close(values, whole[alpha], rtol=1e-13, atol=1e-13)


def test_points_per_axis_are_more_than_functions():
    for degrees in [(1,), (8,), (20,), (3, 9), (2, 4, 6)]:
        space = Space(uniform_cells(*box(len(degrees)), [1] * len(degrees)), degrees, (0,) * len(degrees))
        for axis, p in enumerate(degrees):
            assert space.points_per_axis(axis) >= p + 2


# -- as a basis -------------------------------------------------------------------------------------------------------


def basis_of(dimension: int, degree: int = 3, slabs: int = 0) -> PouCells:
    degrees = tuple(degree + a for a in range(dimension))
    return PouCells(cells_of(dimension), degrees, *box(dimension), slabs)


def inside(basis: PouCells, count: int = 40) -> Tensor:
    """Points away from the edges of their cells, so that differences stay in one cell."""
    x = points_in(basis.dimension, count)
    cell = basis.space.cells.locate(x)
    s = basis.space.cells.reference(x[:, None], cell)
    return basis.space.cells.physical(0.9 * s, cell)[:, 0]


@dimensions
def test_derivatives_against_differences(dimension):
    basis = basis_of(dimension)
    x, h = inside(basis), 1e-5
    for alpha in indices_to_order(dimension, 2):
        for axis in range(dimension):
            step = torch.zeros(dimension, dtype=torch.float64)
            step[axis] = h
            higher = tuple(a + (i == axis) for i, a in enumerate(alpha))
            up, down = (basis.derivatives(x + sign * step, [alpha])[alpha] for sign in (1, -1))
            found = basis.derivatives(x, [higher])[higher]
            size = float(found.abs().max()) + float(up.abs().max())
            torch.testing.assert_close((up - down) / (2 * h), found, rtol=0, atol=1e-5 * size)


@dimensions
def test_derivatives_against_autograd(dimension):
    basis = basis_of(dimension)
    x = inside(basis, 9).requires_grad_(True)
    zero = (0,) * dimension
    values = basis.derivatives(x, [zero])[zero]
    (gradient,) = torch.autograd.grad(values.sum(), x)
    for axis in range(dimension):
        alpha = tuple(int(i == axis) for i in range(dimension))
        torch.testing.assert_close(gradient[:, axis], basis.derivatives(x, [alpha])[alpha].sum(dim=1).detach())


@dimensions
def test_combined_is_the_table_times_coefficients(dimension):
    basis = basis_of(dimension)
    generator = torch.Generator().manual_seed(4)
    coefficients = torch.randn(2, basis.width, generator=generator, dtype=torch.float64)
    alphas = indices_to_order(dimension, 2)
    x = points_in(dimension)
    tables, combined = basis.derivatives(x, alphas), basis.combined(x, alphas, coefficients)
    for alpha in alphas:
        expected = coefficients @ tables[alpha].T
        size = 1e-12 * float(expected.abs().max())
        torch.testing.assert_close(combined[alpha], expected, rtol=1e-11, atol=size)


@dimensions
def test_only_the_functions_of_one_cell_are_nonzero(dimension):
    basis = basis_of(dimension)
    zero = (0,) * dimension
    table = basis.derivatives(points_in(dimension), [zero])[zero]
    assert table.shape == (200, basis.width)
    assert int((table != 0).sum(dim=1).max()) <= basis.active == basis.space.functions
    first = table.reshape(200, basis.space.cells.count, basis.active)[:, :, 0]  # constants: a partition of unity
    assert torch.equal(first.sum(dim=1), torch.ones(200, dtype=torch.float64))


def test_multi_indices_that_it_does_not_have_are_refused():
    basis = basis_of(2)
    for alpha in ((1,), (-1, 0), (MAX_ORDER, 1)):
        with pytest.raises(PinnsolveError):
            basis.derivatives(points_in(2), [alpha])


def test_no_points_and_no_derivatives():
    basis = basis_of(2)
    assert basis.derivatives(points_in(2)[:0], [(0, 0)])[(0, 0)].shape == (0, basis.width)
    assert basis.derivatives(points_in(2), []) == {}


@dimensions
def test_restored_from_settings_and_hidden_parameters(dimension):
    basis = basis_of(dimension, slabs=3)
    settings, hidden = basis.settings(), {n: v.clone() for n, v in basis.hidden.items()}
    again = restore_basis(settings, hidden, basis.lower, basis.upper)
    zero = (0,) * dimension
    x = points_in(dimension)
    assert isinstance(again, PouCells) and again.describe() == basis.describe()
    assert torch.equal(again.derivatives(x, [zero])[zero], basis.derivatives(x, [zero])[zero])
    moved = basis.derivatives(x, [zero], hidden)[zero]
    assert torch.equal(moved, basis.derivatives(x, [zero])[zero])


def test_it_is_described_in_a_line():
    assert basis_of(2, slabs=3).describe() == "pou_grid: 8 cells in 3 time slabs, Legendre polynomials of degree 3 x 4"
    one = PouCells(uniform_cells(*box(1), [1]), (5,), *box(1))
    assert one.describe() == "pou_grid: 1 cell, Legendre polynomials of degree 5"


def test_a_file_cannot_ask_for_it():
    with pytest.raises(PinnsolveError, match="pou_grid"):
        PouCells.create({}, *box(1), 0)


def test_a_solution_is_saved_and_loaded_bit_for_bit(tmp_path):
    basis = basis_of(2, slabs=2)
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(2, basis.width, generator=generator, dtype=torch.float64)
    intervals = tuple(zip(LOWER[:2], UPPER[:2], strict=True))
    solution = Solution("cells", ("x", "y"), intervals, None, ("u", "v"), basis, coefficients)
    solution.save(tmp_path)
    again = load_solution(tmp_path)
    x = points_in(2).numpy()
    assert torch.equal(again.coefficients, coefficients)
    assert all(torch.equal(again.basis.hidden[n], v) for n, v in basis.hidden.items())
    for by in ((), ("x",), ("x", "y", "y")):
        one, other = (s.derivative("u", *by)(x=x[:, 0], y=x[:, 1]) for s in (solution, again))
        assert (one == other).all()
