"""pinnsolve: differential equations stated in a text file, solved by least squares on adaptive bases, the error stated.

import pinnsolve as ps

problem = ps.load("burgers.yaml")
solution = ps.solve(problem, tolerance=1e-6)
solution(t=0.5, x=[0.1, 0.2])
"""

from __future__ import annotations

import importlib

# name -> module; imported when first used, so that the command line stays quick
_PUBLIC = {
    "Basis": "pinnsolve.bases.base",
    "Box": "pinnsolve.problem.python_words",
    "Condition": "pinnsolve.problem.python_words",
    "Data": "pinnsolve.problem.python_words",
    "Diagnostic": "pinnsolve.errors",
    "PinnsolveError": "pinnsolve.errors",
    "Problem": "pinnsolve.problem.problem",
    "ProblemError": "pinnsolve.errors",
    "Range": "pinnsolve.problem.python_words",
    "ResourceError": "pinnsolve.errors",
    "Shape": "pinnsolve.problem.python_words",
    "Solution": "pinnsolve.results.solution",
    "SolutionError": "pinnsolve.errors",
    "Solver": "pinnsolve.solvers.base",
    "Table": "pinnsolve.problem.python_words",
    "coordinates": "pinnsolve.problem.python_words",
    "eigenvalues": "pinnsolve.problem.python_words",
    "integral": "pinnsolve.problem.python_words",
    "load": "pinnsolve.pipeline",
    "load_solution": "pinnsolve.results.solution",
    "mean": "pinnsolve.problem.python_words",
    "operator": "pinnsolve.language.operators",
    "quantity": "pinnsolve.problem.python_words",
    "register_basis": "pinnsolve.extensions",
    "register_solver": "pinnsolve.extensions",
    "solve": "pinnsolve.pipeline",
    "sweep": "pinnsolve.sweeps.command",
    "unknown": "pinnsolve.problem.python_words",
    "verify": "pinnsolve.verification.command",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name == "__version__":
        from pinnsolve.version import version

        return version()
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pinnsolve' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
