"""Which of the two solutions of a march is returned."""

import math

import pytest
import torch

from pinnsolve.adapt.collocation_step import Moment, Step
from pinnsolve.adapt.radau import radau
from pinnsolve.adapt.returned_steps import MISSED, returned, share_missed
from pinnsolve.bases.piecewise.mesh import tensor_cells
from pinnsolve.bases.piecewise.space import Space
from pinnsolve.estimate.enriched_space import enriched_space

STAGES, DEGREE = 3, 6


def step(in_space: float, in_time: float, ball: bool = False) -> Step:
    """One whose coefficients fall by these factors per degree."""
    edges = [torch.linspace(0.0, 1.0, 3, dtype=torch.float64), torch.linspace(0.0, 2.0, 2, dtype=torch.float64)]
    space = Space(tensor_cells(edges), (DEGREE, DEGREE), (1, 1), ball=ball)
    fine = enriched_space(space)
    powers = [in_space ** torch.arange(p + 1, dtype=torch.float64) for p in fine.degrees]
    tensor = (powers[0][:, None] * powers[1]).expand(space.cells.count, 1, -1, -1)
    fall = in_time ** torch.arange(STAGES + 2, dtype=torch.float64)
    values = torch.linalg.inv(radau(STAGES + 1).modal()) @ fall
    corrected = values[:, None, None, None] * fine.gather(tensor)
    steps = torch.stack([fine.widened(one, space) for one in corrected[:-1]])
    one = torch.ones(1, dtype=torch.float64)
    return Step(space, 0.0, 1.0, steps, corrected, one, one, 0.0, Moment(steps[-1:], corrected[-1:]))


@pytest.mark.parametrize("in_space, in_time", [(0.1, 1e-3), (0.5, 1e-3), (1e-3, 0.3), (1e-3, 0.05)])
def test_what_is_missed_is_told_by_how_fast_coefficients_fall(in_space, in_time):
    share = share_missed([step(in_space, in_time)] * 2)
    assert share == pytest.approx(max(in_space**2, in_time), rel=0.1)


@pytest.mark.parametrize("in_space", [0.1, 0.3])
def test_of_degrees_that_fill_a_ball_functions_outside_it_are_missed(in_space):
    one = step(in_space, 1e-5, ball=True)
    fine, functions = enriched_space(one.space), enriched_space(one.space).exponents
    outside = ((functions / torch.tensor([DEGREE, DEGREE])) ** 2).sum(dim=1) > 1 + 1e-12
    before = ((functions / torch.tensor([DEGREE - 2, DEGREE - 2])) ** 2).sum(dim=1) > 1 + 1e-12
    squares = (in_space ** functions.sum(dim=1).double()) ** 2
    expected = math.sqrt(float(squares[outside].sum() / squares[before & ~outside].sum()))
    assert len(functions) == fine.functions and bool(((functions <= DEGREE).all(dim=1) & outside).any())
    assert share_missed([one]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("in_space", [0.1, 0.6])
def test_the_corrected_solution_is_returned_where_the_estimate_misses_much(in_space):
    one = step(in_space, 1e-3)
    ((space, values),) = returned([one])
    assert (values is one.corrected) == (in_space**2 > MISSED) == (space is not one.space)
