"""The one table of defaults: every number that a solve uses and a problem file may leave out.

Point counts and widths are per basis function or per dimension, so that one table serves every problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Widths of successive refinements of the default basis, by number of coordinates (more share the last row).
WIDTHS = {1: (64, 128, 256, 512), 2: (250, 500, 1000, 2000, 3000), 3: (500, 1000, 2000, 3000)}
# Factors on the slopes of Box initialization that `scale: auto` tries, by number of coordinates.
SCALES = {
    1: (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0),
    2: (2.0, 4.0, 8.0, 16.0, 32.0),
    3: (1.0, 2.0, 4.0, 8.0, 16.0),
    4: (0.5, 1.0, 2.0, 4.0, 8.0),
}
ACTIVATION = "sin"  # of the default basis: its span is that of random Fourier modes, spectral on smooth solutions
POINTS_PER_FUNCTION = 3.0  # interior collocation points per basis function
LEAST_INTERIOR, LEAST_BOUNDARY = 1024, 33  # as the 32 x 32 grids of [Gulian], for small bases whose functions move
MANY_FACES = 1024  # points that all faces share at least, where there are many, twice over
MOST_COLUMNS = 6000  # coefficients of a dense least squares that refinement goes up to
CHECK_POINTS = 4000  # points on which errors, residuals and estimates are measured; the solver never sees them
CHECK_SEED = 20_000_003  # far from any seed a person gives, so that check points are never solve points
LEAST_TOLERANCE = 1e-15  # that refinement aims at: below it, all is rounding
STEPS = {"lsgd": 500, "gd": 5000, "varpro": 200, "least_squares": 60}
LEARNING_RATE = {"adam": 0.005, "sgd": 0.01, "lbfgs": 1.0}
FIXED_WIDTH = {"relu": 64}  # width of a basis that is asked for without one, by activation
DEFAULT_FIXED_WIDTH = 128
PARTITIONS, PARTITION_DEGREE = 8, 3  # of pou_rbf and pou_resnet, where the file does not say
MOVING_WIDTH = 256  # up to which `auto` moves the hidden parameters of a basis that the file asks for


@dataclass(frozen=True)
class Collocation:
    """How many points a term gets. `interior`: in the domain; `boundary`: on each face or periodic pair."""

    interior: int
    boundary: int
    sampling: str


def widths(dimension: int) -> tuple[int, ...]:
    """Return the widths of successive refinements, by the number of coordinates."""
    return WIDTHS[min(dimension, max(WIDTHS))]


def scales(dimension: int) -> tuple[float, ...]:
    """Return the factors that `scale: auto` tries, by the number of coordinates."""
    return SCALES[min(dimension, max(SCALES))]


def collocation(
    asked,
    dimension: int,
    width: int,
    moving: bool,
    per_function: tuple[float, float] = (POINTS_PER_FUNCTION, POINTS_PER_FUNCTION),
) -> Collocation:
    """The points of a solve: what the file asks for, else by the width of the basis, so many `per_function` inside and
    on all of the boundary.

    `moving`: the hidden parameters will move, so that small bases need points everywhere, not in proportion.
    """
    interior = math.ceil(per_function[0] * width)
    least = min(LEAST_BOUNDARY, MANY_FACES // dimension) if per_function[1] else 1  # on each of so many faces
    boundary = max(least, math.ceil(per_function[1] * width / (2 * dimension)))
    if moving:
        interior, boundary = max(interior, LEAST_INTERIOR), max(LEAST_BOUNDARY, boundary)
    if asked is not None:
        interior = asked.interior or interior
        boundary = asked.boundary or boundary
    sampling = (asked and asked.sampling) or ("chebyshev" if dimension == 1 else "sobol")
    return Collocation(interior, boundary, sampling)


DEVIATIONS = 2.0  # standard deviations that count as the error which noise of data makes
