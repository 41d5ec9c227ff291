"""What can be added from outside: custom linear operators and custom bases, by name.

Holds no array library, so that checking a problem file stays quick; built-in bases are named by module and
class and imported when first used.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pinnsolve.errors import PinnsolveError
from pinnsolve.vocabulary import RESERVED


@dataclass(frozen=True)
class Operator:
    """A custom linear operator: `apply(basis, points (N, d)) -> (N, W)`, the operator on each basis function.

    `order` is the highest derivative the operator takes; it decides which activations are smooth enough. Called with
    an unknown, as in `memory(u)`, it gives the sympy expression for use in equations; called with a basis and points,
    it is applied.
    """

    name: str
    order: int
    apply: Callable[[Any, Any], Any]

    def __call__(self, *arguments: Any) -> Any:
        if len(arguments) == 1:
            import sympy as sp

            return sp.Function(self.name, real=True)(*arguments)
        return self.apply(*arguments)


OPERATORS: dict[str, Operator] = {}

# kind -> class, or "module:Class" for one not yet imported
BASES: dict[str, Any] = {
    "mlp": "pinnsolve.bases.mlp:MLP",
    "resnet": "pinnsolve.bases.resnet:ResNet",
    "pou_grid": "pinnsolve.bases.pou_grid:PouGrid",
    "pou_rbf": "pinnsolve.bases.pou_rbf:PouRBF",
    "pou_resnet": "pinnsolve.bases.pou_resnet:PouResNet",
}
BUILT_IN_BASES = tuple(BASES)
NETWORKS = ("mlp", "resnet")  # those with width, depth, activation
PARTITIONED = ("pou_rbf", "pou_resnet")  # whose partition moves, of polynomials of total degree
MADE_BY_SOLVERS = {
    "pou_cells": "pinnsolve.bases.pou_cells:PouCells"
}  # a solution may have them, a problem file may not


def operator(name: str, order: int = 0) -> Callable[[Callable], Operator]:
    """Decorator that registers a custom linear operator under `name` and makes the function an `Operator`.

    Raises `PinnsolveError` for a name that cannot be called in an expression.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in RESERVED:
        raise PinnsolveError(f"an operator's name must be an identifier that the language does not use, not {name!r}")
    if isinstance(order, bool) or not isinstance(order, int) or order < 0:
        raise PinnsolveError(f"the order of an operator is that of the highest derivative it takes, not {order!r}")

    def register(apply: Callable) -> Operator:
        OPERATORS[name] = Operator(name, order, apply)
        return OPERATORS[name]

    return register


def register_basis(kind: str, basis_class: type) -> None:
    """Make `basis: {kind: KIND, ...}` mean `basis_class`, a subclass of `pinnsolve.Basis`."""
    BASES[kind] = basis_class


def basis_class(kind: str) -> type:
    """The class of a basis kind. Raises `PinnsolveError` for an unknown one."""
    found = BASES.get(kind) or MADE_BY_SOLVERS.get(kind)
    if found is None:
        raise PinnsolveError(f"unknown basis kind {kind!r}; there are {', '.join(BASES)}")
    if isinstance(found, str):
        module, name = found.split(":")
        found = getattr(importlib.import_module(module), name)
    return found
