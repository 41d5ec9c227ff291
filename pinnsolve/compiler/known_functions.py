"""The functions of coordinates that a problem states: sources, coefficients, what conditions ask for, and where.

They are known before anything is solved, so where they jump, bend and peak can be found by looking at them. Input: a
compiled problem. Output: expressions of coordinates, and the levels at whose zeros they jump or have kinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import sympy as sp
from sympy.core.relational import Relational

from pinnsolve.compiler.terms import CompiledProblem, Term
from pinnsolve.language.substitution import substituted
from pinnsolve.language.symbols import FeatureSymbol, coordinate_symbol


@dataclass(frozen=True)
class KnownFunction:
    """An expression of coordinates that stands in a term, on a piece where the coordinates `fixed` have values.

    `kind`: that of the term, "equation" or "condition"; `place`: whether it is the `where` of the term.
    """

    term: str
    kind: str
    expression: sp.Expr
    fixed: tuple[tuple[int, float], ...] = ()
    place: bool = False


@dataclass(frozen=True)
class Break:
    """A level at whose zeros a function jumps, or has a kink."""

    level: sp.Expr
    jump: bool


def known_functions(problem: CompiledProblem) -> tuple[KnownFunction, ...]:
    """Every known function of a problem, unknown parameters at their first guesses; those of data are left out."""
    guesses = {coordinate_symbol(p.name): sp.Float(p.guess) for p in problem.unknown_parameters}
    coordinates = {coordinate_symbol(c) for c in problem.coordinates}
    found: dict[KnownFunction, None] = {}
    for term in problem.terms:
        if term.data_file is not None:
            continue
        for expression, place in _stated(term, coordinates | set(guesses)):
            for fixed in dict.fromkeys(piece.fixed for piece in term.region.pieces):
                values = {coordinate_symbol(problem.coordinates[a]): sp.Float(v) for a, v in fixed}
                here = substituted(expression, guesses | values)
                if here.free_symbols & coordinates:
                    found.setdefault(KnownFunction(term.name, term.kind, here, fixed, place))
    return tuple(found)


def _stated(term: Term, known: set[sp.Symbol]) -> Iterator[tuple[sp.Expr, bool]]:
    if term.region.where is not None:
        yield _indicator(term.region.where), True
    for residual in term.residuals:
        for part in _known_parts(residual, known):
            yield part, False


def _known_parts(e: sp.Basic, known: set[sp.Symbol]) -> Iterator[sp.Expr]:
    """The largest parts that hold coordinates and no unknown."""
    if not e.free_symbols & known or isinstance(e, sp.Tuple):
        return
    if not any(_unknown(s, known) for s in e.free_symbols):
        yield e if isinstance(e, sp.Expr) else _indicator(e)
        return
    inner = e.args
    if isinstance(e, sp.Add | sp.Mul):
        stated = [a for a in e.args if not any(_unknown(s, known) for s in a.free_symbols)]
        inner = [a for a in e.args if a not in stated]
        if any(a.free_symbols for a in stated):
            yield e.func(*stated) if len(stated) > 1 else stated[0]
    for part in inner:
        yield from _known_parts(part, known)


def _indicator(condition: sp.Basic) -> sp.Expr:
    """One where a condition holds, zero elsewhere."""
    return sp.Piecewise((sp.Integer(1), condition), (sp.Integer(0), True), evaluate=False)


def _unknown(symbol: sp.Symbol, known: set[sp.Symbol]) -> bool:
    """Whether a symbol stands for what is sought; normals and columns of data are not known beforehand either."""
    return isinstance(symbol, FeatureSymbol) or symbol not in known


def parts_of_sums(e: sp.Expr) -> list[sp.Expr]:
    """The expression, and all that sums in it are made of: what is small beside another may vary faster."""
    found = {e: None}
    for part in sp.preorder_traversal(e):
        if isinstance(part, sp.Add):
            found |= dict.fromkeys(a for a in part.args if not a.is_polynomial(*a.free_symbols))
    return list(found)


def breaks_of(e: sp.Basic) -> list[Break]:
    """Where the expression may jump or bend, those inside others first."""
    found: dict[Break, None] = {}
    for part in sp.postorder_traversal(e):
        for level, jump in _levels(part):
            if level.free_symbols:
                found.setdefault(Break(level, jump))
    return list(found)


def _levels(part: sp.Basic) -> Iterator[tuple[sp.Expr, bool]]:
    if isinstance(part, Relational) and not isinstance(part, sp.Eq | sp.Ne):
        yield part.lhs - part.rhs, True
    elif isinstance(part, sp.sign | sp.Heaviside):
        yield part.args[0], True
    elif isinstance(part, sp.floor):
        yield sp.sin(sp.pi * part.args[0], evaluate=False), True
    elif isinstance(part, sp.Abs):
        yield part.args[0], False
    elif isinstance(part, sp.Max | sp.Min):
        yield from ((a - b, False) for a, b in combinations(part.args, 2))
