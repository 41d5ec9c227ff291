"""Where the coefficients of equations jump in space: the levels whose signs say so, in comparisons, signs and tables.

Input: expressions of equations, and what these take derivatives of. Output: the levels; or `ManyJumps`, where a flux
jumps and no materials see to it that it goes on: what came out then would be the solution of another problem.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.compiler.terms import Term
from pinnsolve.language.symbols import coordinate_symbol
from pinnsolve.language.tabulated import jumping_tables, with_comparisons
from pinnsolve.language.to_sympy import Fluxes

Equations = Sequence[tuple[Term, tuple[Fluxes, ...]]]


class ManyJumps(Exception):
    """What the equation of this name takes the derivative of jumps in more places than there can be materials."""

    def __init__(self, name: str, parts: int):
        message = "what stands in a derivative in space jumps in too many places for each part to be a material"
        super().__init__(f"{message}; at most {parts} parts")
        self.name = name
        self.hint = "a table may be `interpolation: linear`; or name the few materials by `where`"


def stepwise(e: sp.Expr) -> sp.Expr:
    """With comparisons in place of signs, steps and tables that jump, whose jumps are those of materials, too."""
    e = with_comparisons(e)
    if not e.has(sp.sign, sp.Heaviside):
        return e
    return e.replace(lambda part: isinstance(part, sp.sign | sp.Heaviside), _as_comparison)


def _as_comparison(step: sp.Expr) -> sp.Expr:
    below = sp.Integer(-1 if isinstance(step, sp.sign) else 0)
    level = step.args[0]
    return sp.Piecewise((below, sp.Lt(level, 0, evaluate=False)), (sp.Integer(1), True), evaluate=False)


def levels_of(expressions: Sequence[sp.Basic], space: Sequence[str]) -> tuple[sp.Expr, ...]:
    """The levels whose signs decide the comparisons of space coordinates; a level and its negative are one."""
    symbols = {coordinate_symbol(name) for name in space}
    found: list[sp.Expr] = []
    for relation in (r for e in expressions for r in sorted(e.atoms(Relational), key=sp.default_sort_key)):
        level = relation.lhs - relation.rhs
        of_space = bool(relation.free_symbols) and relation.free_symbols <= symbols
        if of_space and not isinstance(relation, sp.Eq | sp.Ne) and level not in found and -level not in found:
            found.append(level)
    return tuple(found)


def differentiated(equations: Equations) -> list[sp.Expr]:
    """What the equations take derivatives of."""
    return [stepwise(inner) for _, parts in equations for flux in parts for _, _, inner in flux]


def refuse_jumps(equations: Equations, space: Sequence[str], parts: int) -> None:
    """Raise ManyJumps where a flux jumps, of a problem with more than so many parts."""
    for equation in equations:
        for inner in differentiated([equation]):
            if jumping_tables(inner) or levels_of([inner], space):
                raise ManyJumps(equation[0].name, parts)
