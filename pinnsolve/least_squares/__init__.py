"""Least squares for the coefficients: `dense` when the rows fit, `streaming` when only W^2 numbers do."""

from pinnsolve.least_squares.dense import Solved, range_basis, solve_dense
from pinnsolve.least_squares.streaming import StreamingQR

__all__ = ["Solved", "StreamingQR", "range_basis", "solve_dense"]
