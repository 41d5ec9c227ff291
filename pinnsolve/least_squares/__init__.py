"""Least squares for the coefficients: `dense` when the rows fit, `streaming` when only W^2 numbers do."""

from pinnsolve.least_squares.dense import Solved, solve_dense
from pinnsolve.least_squares.streaming import StreamingQR

__all__ = ["Solved", "StreamingQR", "solve_dense"]
