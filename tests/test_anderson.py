"""Anderson acceleration: linear corrections are solved as by GMRES, and each of several on its own."""

import pytest
import torch

from pinnsolve.adapt.anderson import Anderson


def correction(size, spread):
    """x -> f(x) = P (b - A x), which contracts slowly or not at all, and the x where it vanishes."""
    A = torch.diag(torch.linspace(1.0, spread, size, dtype=torch.float64))
    b = torch.arange(1.0, size + 1.0, dtype=torch.float64)
    return (lambda x: b - x @ A), torch.linalg.solve(A, b)


def iterated(f, x, count, faster):
    for _ in range(count):
        x = faster.next(x, f(x))
    return x


@pytest.mark.parametrize("spread", [1.8, 3.5])
def test_as_many_corrections_as_eigenvalues_solve_a_linear_problem(spread):
    f, solution = correction(4, spread)
    x = iterated(f, torch.zeros(1, 4, dtype=torch.float64), 6, Anderson())
    assert torch.allclose(x[0], solution, rtol=1e-6)


def test_plain_corrections_of_the_same_problem_diverge():
    f, solution = correction(4, 3.5)
    x = torch.zeros(1, 4, dtype=torch.float64)
    for _ in range(6):
        x = x + f(x)
    assert float((x[0] - solution).norm()) > float(solution.norm())


def test_each_of_several_is_sped_up_on_its_own():
    f, solution = correction(3, 2.5)
    starts = torch.stack([torch.zeros(3, dtype=torch.float64), 100.0 * torch.ones(3, dtype=torch.float64)])
    both = iterated(f, starts, 3, Anderson())
    for x, start in zip(both, starts, strict=True):
        assert torch.allclose(x, iterated(f, start[None], 3, Anderson())[0])
    assert torch.allclose(iterated(f, starts, 5, Anderson()), solution.expand(2, -1), rtol=1e-6)


def test_where_nothing_is_left_nothing_moves():
    faster = Anderson()
    x = torch.ones(1, 3, dtype=torch.float64)
    for _ in range(4):
        x = faster.next(x, torch.zeros_like(x))
    assert torch.equal(x, torch.ones(1, 3, dtype=torch.float64))
