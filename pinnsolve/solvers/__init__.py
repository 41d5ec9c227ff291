"""Ways to minimize the loss. The names that a problem file calls them by are in `pinnsolve.extensions`."""

from pinnsolve.solvers.base import Iterate, Solver, drive
from pinnsolve.solvers.budget import Clock
from pinnsolve.solvers.follow import Outcome
from pinnsolve.solvers.gd import GD
from pinnsolve.solvers.least_squares import LeastSquares
from pinnsolve.solvers.lsgd import LSGD
from pinnsolve.solvers.varpro import VarPro

__all__ = ["GD", "LSGD", "Clock", "Iterate", "LeastSquares", "Outcome", "Solver", "VarPro", "drive"]
