"""Bases by kind and solvers by method: those of the package and those added from outside.

The tables hold no array library, so that checking a problem file stays quick. Built-in classes are named by module and
class, and imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from pinnsolve.errors import PinnsolveError

# kind -> class, or "module:Class" for one not yet imported
BASES: dict[str, Any] = {
    "mlp": "pinnsolve.bases.networks.mlp:MLP",
    "resnet": "pinnsolve.bases.networks.resnet:ResNet",
    "interactions": "pinnsolve.bases.interactions:Interactions",
    "pou_grid": "pinnsolve.bases.pou.pou_grid:PouGrid",
    "pou_rbf": "pinnsolve.bases.pou.pou_rbf:PouRBF",
    "pou_resnet": "pinnsolve.bases.pou.pou_resnet:PouResNet",
}
BUILT_IN_BASES = tuple(BASES)
NETWORKS = ("mlp", "resnet")  # those with width, depth, activation
PARTITIONED = ("pou_rbf", "pou_resnet")  # whose partition moves, of polynomials of total degree
MADE_BY_SOLVERS = {  # a solution may have them, a problem file may not
    "pou_cells": "pinnsolve.bases.piecewise.basis:PouCells",
    "over_ranges": "pinnsolve.bases.over_ranges:OverRanges",
    "time_slabs": "pinnsolve.bases.time_slabs:TimeSlabs",
}
# name in a problem file, `solve.method` -> class, or "module:Class"
SOLVERS: dict[str, Any] = {
    "least_squares": "pinnsolve.solvers.least_squares:LeastSquares",
    "lsgd": "pinnsolve.solvers.lsgd:LSGD",
    "varpro": "pinnsolve.solvers.varpro:VarPro",
    "gd": "pinnsolve.solvers.gd:GD",
}
BUILT_IN_SOLVERS = tuple(SOLVERS)


def register_basis(kind: str, basis_class: type) -> None:
    """Make `basis: {kind: KIND, ...}` mean `basis_class`, a subclass of `pinnsolve.Basis`."""
    BASES[kind] = basis_class


def register_solver(method: str, solver_class: type) -> None:
    """Make `method: METHOD` mean `solver_class`, a subclass of `pinnsolve.Solver`."""
    if method == "auto":
        raise PinnsolveError("the method `auto` picks a solver by the problem; register yours under another name")
    SOLVERS[method] = solver_class


def basis_class(kind: str) -> type:
    """The class of a basis kind. Raises `PinnsolveError` for an unknown one."""
    found = BASES.get(kind) or MADE_BY_SOLVERS.get(kind)
    if found is None:
        raise PinnsolveError(f"unknown basis kind {kind!r}; there are {', '.join(BASES)}")
    return _loaded(found)


def solver_class(method: str) -> type:
    """The class of a solver. Raises `PinnsolveError` for an unknown method."""
    if method not in SOLVERS:
        raise PinnsolveError(f"unknown method {method!r}; there are {', '.join(SOLVERS)}")
    return _loaded(SOLVERS[method])


def _loaded(found: type | str) -> type:
    if isinstance(found, str):
        module, name = found.split(":")
        return getattr(importlib.import_module(module), name)
    return found
