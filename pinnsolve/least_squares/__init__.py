"""Least squares for the coefficients: `tall_skinny` when the rows fit, `streaming` when only W^2 numbers do."""

from pinnsolve.least_squares.dense import Solved
from pinnsolve.least_squares.streaming import StreamingQR
from pinnsolve.least_squares.tall_skinny import range_basis, solve_dense

__all__ = ["Solved", "StreamingQR", "range_basis", "solve_dense"]
