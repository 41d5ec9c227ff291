"""Ways to minimize the loss. `SOLVERS` maps the name in a problem file to the solver."""

from pinnsolve import extensions
from pinnsolve.extensions import solver_class
from pinnsolve.solvers.base import Iterate, Solver, drive
from pinnsolve.solvers.budget import Clock
from pinnsolve.solvers.follow import Outcome
from pinnsolve.solvers.gd import GD
from pinnsolve.solvers.least_squares import LeastSquares
from pinnsolve.solvers.lsgd import LSGD
from pinnsolve.solvers.varpro import VarPro

SOLVERS = {name: solver_class(name) for name in extensions.SOLVERS}

__all__ = ["GD", "LSGD", "SOLVERS", "Clock", "Iterate", "LeastSquares", "Outcome", "Solver", "VarPro", "drive"]
