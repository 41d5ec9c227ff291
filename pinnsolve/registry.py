"""What can be added from outside: custom linear operators and custom bases, by name.

Holds no array library, so that checking a problem file stays quick; built-in bases are named by module and
class and imported when first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pinnsolve.errors import PinnsolveError


@dataclass(frozen=True)
class Operator:
    """A custom linear operator: `apply(basis, points (N, d)) -> (N, W)`, the operator on each basis function.

    `order` is the highest derivative the operator takes; it decides which activations are smooth enough.
    """

    name: str
    order: int
    apply: Callable[[Any, Any], Any]


OPERATORS: dict[str, Operator] = {}

# kind -> class, or "module:Class" for one not yet imported
BASES: dict[str, Any] = {
    "mlp": "pinnsolve.bases.mlp:MLP",
    "resnet": "pinnsolve.bases.resnet:ResNet",
}
BUILT_IN_BASES = tuple(BASES)


def operator(name: str, order: int = 0) -> Callable:
    """Decorator that registers a custom linear operator under `name` (source: spec language, section 7)."""
    if not name.isidentifier():
        raise PinnsolveError(f"an operator's name must be an identifier, not {name!r}")

    def register(apply: Callable) -> Callable:
        OPERATORS[name] = Operator(name, order, apply)
        return apply

    return register


def register_basis(kind: str, basis_class: type) -> None:
    """Make `basis: {kind: KIND, ...}` mean `basis_class`, a subclass of `pinnsolve.Basis`."""
    BASES[kind] = basis_class


def basis_class(kind: str) -> type:
    """The class of a basis kind. Raises `PinnsolveError` for an unknown one."""
    found = BASES.get(kind)
    if found is None:
        raise PinnsolveError(f"unknown basis kind {kind!r}; there are {', '.join(BASES)}")
    if isinstance(found, str):
        module, name = found.split(":")
        found = BASES[kind] = getattr(importlib.import_module(module), name)
    return found
