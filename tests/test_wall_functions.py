"""Functions that meet walls: how they fade, their order, and the points at which they are tested."""

import math

import pytest
import torch

from pinnsolve.bases.wall_functions import (
    COSINE,
    FREE,
    PERIODIC,
    SINE,
    SLOPE,
    VALUE,
    plain_rule,
    plain_values,
    wall_functions,
)

RATES = {
    (VALUE, VALUE): [(k * math.pi / 2) ** 2 for k in range(1, 9)],
    (SLOPE, SLOPE): [(k * math.pi / 2) ** 2 for k in range(8)],
    (VALUE, SLOPE): [((k + 0.5) * math.pi / 2) ** 2 for k in range(8)],
    (SLOPE, VALUE): [((k + 0.5) * math.pi / 2) ** 2 for k in range(8)],
    (PERIODIC, PERIODIC): [(((k + 1) // 2) * math.pi) ** 2 for k in range(8)],
    (SINE, SINE): [(k * math.pi / 2) ** 2 for k in range(1, 9)],
    (COSINE, COSINE): [(k * math.pi / 2) ** 2 for k in range(8)],
}


@pytest.mark.parametrize("degree", [20, 61, 300])
@pytest.mark.parametrize("walls", RATES)
def test_functions_meet_their_walls_and_fade_as_they_should(walls, degree):
    found = wall_functions(degree, walls)
    count = 4 if degree == 20 else 8  # that have converged
    lowest = found.rates.sort().values[:count]
    assert torch.allclose(lowest, torch.tensor(RATES[walls][:count], dtype=torch.float64), rtol=1e-11, atol=1e-10)
    unit = torch.eye(len(found.rates), dtype=torch.float64)
    assert torch.allclose(found.plain @ found.plain.mT, unit, atol=1e-12)
    ends = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    values, slopes = (table @ found.plain.mT for table in plain_values(degree, walls[0], ends))
    for side, wall in enumerate(walls):
        if wall == PERIODIC:
            assert torch.allclose(values[0], values[1], atol=1e-9)
        else:
            size = degree ** (1.5 if wall in (VALUE, SINE) else 3.5)  # of the functions that they are made of
            table = values if wall in (VALUE, SINE) else slopes
            assert float(table[side].abs().max()) < 1e-13 * size


@pytest.mark.parametrize("walls", [(kind, kind) for kind in (VALUE, SLOPE, PERIODIC, FREE, SINE, COSINE)])
def test_even_functions_come_before_odd_ones(walls):
    found = wall_functions(31, walls)
    s = torch.tensor([0.123, 0.7], dtype=torch.float64)
    here, there = (plain_values(31, walls[0], at)[0] @ found.plain.mT for at in (s, -s))
    assert torch.allclose(here[:, : found.even], there[:, : found.even], atol=1e-12)
    assert torch.allclose(here[:, found.even :], -there[:, found.even :], atol=1e-12)


@pytest.mark.parametrize("kind", [FREE, PERIODIC, SINE, COSINE])
def test_points_test_exactly(kind):
    points, weights = plain_rule(24, kind, 1.0)
    half = len(points) // 2
    mirrored = points[half:].flip(0) if kind == PERIODIC else points[half:]
    assert torch.allclose(points[:half], -mirrored, atol=1e-15) and float(weights.sum()) == pytest.approx(
        1.0, abs=1e-14
    )
    values = plain_values(24, kind, points)[0]
    unit = torch.eye(values.shape[1], dtype=torch.float64)
    assert torch.allclose(values.mT @ (weights[:, None] * values), unit, atol=1e-12)
