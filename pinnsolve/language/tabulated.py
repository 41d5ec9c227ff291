"""Functions given by tables, as sympy sees them: symbols applied to arguments, with derivatives by each.

Input: a name and what evaluates it. Output: classes of sympy functions, one per order of derivative, so that the chain
rule and linearization are sympy's own. What evaluates them is held and never looked into. No array library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import sympy as sp


class Tabulated(sp.Function):
    """A function of a table, or a derivative of it.

    `table(orders, *arguments)` evaluates it; `orders` are those of the derivative, by argument.
    """

    table: ClassVar[Any] = None
    table_name: ClassVar[str] = ""
    orders: ClassVar[tuple[int, ...]] = ()
    family: ClassVar[dict[tuple[int, ...], type[Tabulated]]] = {}
    is_real = True

    @classmethod
    def eval(cls, *arguments):
        """Nothing is known of it but at points."""
        return None

    @classmethod
    def derived(cls, orders: tuple[int, ...]) -> type[Tabulated]:
        """The class of the derivative of these orders of the table itself."""
        if orders not in cls.family:
            cls.family[orders] = _made(cls.table_name, cls.table, orders, cls.family)
        return cls.family[orders]

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """The derivative by an argument, the first being 1."""
        orders = tuple(o + (i == argindex - 1) for i, o in enumerate(self.orders))
        return self.derived(orders)(*self.args)

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        if self.table is None or not all(a.is_number for a in self.args):
            return None
        return sp.Float(float(self.table(self.orders, *(float(a) for a in self.args))))


def _made(name: str, table: Any, orders: tuple[int, ...], family: dict) -> type[Tabulated]:
    label = name if not any(orders) else f"{name}_{'_'.join(map(str, orders))}"
    inside = {"table": table, "table_name": name, "orders": orders, "family": family, "nargs": len(orders)}
    return type(label, (Tabulated,), inside)


def tabulated(name: str, arguments: int, table: Callable | None) -> type[Tabulated]:
    """The sympy function of a table of so many arguments; `table` evaluates it, None where nobody will."""
    family: dict[tuple[int, ...], type[Tabulated]] = {}
    zero = (0,) * arguments
    family[zero] = _made(name, table, zero, family)
    return family[zero]
