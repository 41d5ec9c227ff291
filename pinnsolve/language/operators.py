"""Custom linear operators that can be added from outside, by name. No array library."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pinnsolve.errors import PinnsolveError
from pinnsolve.language.vocabulary import RESERVED


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
