"""Functions given by tables, as sympy sees them: symbols applied to arguments, with derivatives by each.

Input: a name and what evaluates it. Output: classes of sympy functions, one per order of derivative, so that the chain
rule and linearization are sympy's own. What evaluates them is held and never looked into. No array library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
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


MOST_PLACES = 40  # along an argument, where a table jumps and comparisons can still say so


def jumping_tables(e: sp.Expr) -> list[Tabulated]:
    """The functions of tables in an expression that jump from row to row."""
    found = [a for a in e.atoms(Tabulated) if a.table is not None and not any(a.orders)]
    return sorted((a for a in found if getattr(a.table, "steps", lambda: None)() is not None), key=str)


def with_comparisons(e: sp.Expr) -> sp.Expr:
    """With comparisons in place of the tables that jump, but for those that jump in too many places."""
    known: dict[sp.Expr, sp.Expr] = {}
    for atom in jumping_tables(e):
        places, values = atom.table.steps()
        if max(map(len, places)) <= MOST_PLACES:
            known[atom] = _compared(atom.args, places, values)
    return e.xreplace(known) if known else e


def _compared(arguments: Sequence[sp.Expr], places: Sequence[Sequence[float]], values: Any) -> sp.Expr:
    """The value between places of jumps, by comparisons of the arguments with them."""
    parts = []
    for index in product(*(range(len(at) + 1) for at in places)):
        below = [
            sp.Lt(argument, sp.Float(at[i]), evaluate=False)
            for argument, at, i in zip(arguments, places, index, strict=True)
            if i < len(at)
        ]
        parts.append((sp.Float(float(values[index])), sp.And(*below, evaluate=False) if below else sp.true))
    return sp.Piecewise(*parts, evaluate=False)
